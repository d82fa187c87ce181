"""The rules of docs/house.md, kept by a test: who may import whom, and what every file owes its reader.

A rule is a function that reads the tree and yields one sentence a breach. The second half of this file builds small
houses with one breach each, so that a rule that sees nothing is noticed.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]

# Bottom to top. A module stands where its longest name stands, and imports from its own row or from below.
LAYERS = (
    ("machine", "events", "errors", "assets"),
    (
        "ladder",
        "comparison",
        "trace",
        "lifespan",
        "pcapng",
        "label",
        "redaction",
        "profile",
        "secret",
        "imported",
        "refusal",
    ),
    ("sip",),
    ("sdp", "rtp", "usim", "ipsec"),
    ("ims", "lab", "media"),
    ("net", "audio", "store", "lab.serve"),
    ("phone", "call", "waiting", ""),  # "": imsphone/__init__.py, the shop window
    ("rpc",),
    ("cli", "testing"),
)
THE_LINE = 4  # layers up to this one are machines
STRANGERS = ("ims", "lab", "media")
OUTSIDE_WORLD = frozenset(
    "socket asyncio threading time random secrets os subprocess select ssl "
    "_thread concurrent multiprocessing selectors signal socketserver uuid".split()
)
OPEN_TO_UI = ("events", "errors", "profile", "ladder", "rpc")
DRAWERS = frozenset("util utils common misc helper helpers manager managers handler handlers base core".split())
DRAWER_CLASSES = ("Manager", "Helper", "Handler", "Factory", "Impl")
MOST_LINES = 400
DISTRIBUTIONS = {"dns": "dnspython", "PySide6": "PySide6-Essentials", "pjsua2": "pjsua2-python", "smartcard": "pyscard"}
TEST_TOOLS = ("pytest", "_pytest", "libc", "cpython")  # the plug-in's host, C's own library and Python's to Cython
APART = ("bench", "interop", "journeys", "screens", "soak", "wire")  # tests that mirror no source file


@dataclass(frozen=True)
class Source:
    """A source file: where it lies in the house, its dotted name, and its text."""

    path: Path
    module: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @property
    def is_compiled(self) -> bool:
        return self.path.suffix == ".pyx"

    @property
    def is_package(self) -> bool:
        return self.path.name == "__init__.py"

    @property
    def owner(self) -> tuple[int, str] | None:
        """Its layer's number and its name there: `imsphone.lab.serve` → (5, "lab.serve")."""
        return layer_of(self.module)

    def imports(self, modules: frozenset[str]) -> Iterator[str]:
        """Dotted names of what it imports; `from a import b` is a.b where that is a module, else a."""
        for package, names in self._compiled_imports() if self.is_compiled else self._python_imports():
            if not names:
                yield package
            for name in names:
                yield f"{package}.{name}" if f"{package}.{name}" in modules else package

    def _python_imports(self) -> Iterator[tuple[str, list[str]]]:
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from ((alias.name, []) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                stem = self.module.split(".") if self.is_package else self.module.split(".")[:-1]
                stem = stem[: len(stem) - node.level + 1] if node.level else []
                yield ".".join([*stem, *filter(None, [node.module])]), [alias.name for alias in node.names]

    def _compiled_imports(self) -> Iterator[tuple[str, list[str]]]:
        for line in self.text.splitlines():
            if match := re.match(r"\s*from\s+([\w.]+)\s+c?import\s+(.*)", line):
                yield match[1], re.findall(r"(\w+)(?:\s+as\s+\w+)?", match[2])
            elif match := re.match(r"\s*c?import\s+(.*)", line):
                yield from ((name, []) for name in re.findall(r"([\w.]+)(?:\s+as\s+\w+)?", match[1]))


def layer_of(module: str) -> tuple[int, str] | None:
    if module.split(".")[0] != "imsphone":
        return None
    name = module.removeprefix("imsphone").removeprefix(".")
    while True:
        for number, layer in enumerate(LAYERS):
            if name in layer and (name or module == "imsphone"):
                return number, name
        if not name:
            return None
        name = name.rpartition(".")[0]


class House:
    """The tree as the rules see it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.sources = sorted(self._sources(), key=lambda source: source.path)
        self.modules = frozenset(source.module for source in self.sources)

    def _sources(self) -> Iterator[Source]:
        for folder in (self.root / "imsphone", self.root / "ui" / "imsphone_ui"):
            for path in [*folder.rglob("*.py"), *folder.rglob("*.pyx")]:
                parts = path.relative_to(folder.parent).with_suffix("").parts
                module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
                yield Source(path.relative_to(self.root), module, path.read_text(encoding="utf-8"))


# The rules ----------------------------------------------------------------------------------------------------------


def imports_go_down(house: House) -> Iterator[str]:
    for source in house.sources:
        if not source.module.startswith("imsphone_ui") and source.owner is None:
            yield f"{source.path} stands in no layer: give {source.module} a place in LAYERS and in docs/house.md"
            continue
        for target in dict.fromkeys(source.imports(house.modules)):
            there = layer_of(target)
            if there is None or source.owner is None:
                continue
            (own_layer, own_name), (layer, name) = source.owner, there
            if layer > own_layer:
                yield f"{source.path} imports {target}, which stands above it"
            elif own_name in STRANGERS and name in STRANGERS and name != own_name:
                yield f"{source.path} imports {target}: {own_name} and {name} are strangers"


def ui_knows_only_the_front_door(house: House) -> Iterator[str]:
    for source in house.sources:
        for target in dict.fromkeys(source.imports(house.modules)):
            is_engine = target.split(".")[0] == "imsphone"
            if source.module.startswith("imsphone_ui"):
                if is_engine and not any(f"{target}.".startswith(f"imsphone.{name}.") for name in OPEN_TO_UI):
                    yield f"{source.path} imports {target}: the ui knows only {', '.join(OPEN_TO_UI)}"
            elif target.split(".")[0] == "imsphone_ui":
                yield f"{source.path} imports {target}: the engine does not know the ui"


def machines_touch_no_world(house: House) -> Iterator[str]:
    for source in house.sources:
        if source.owner is None or source.owner[0] > THE_LINE:
            continue
        for target in dict.fromkeys(source.imports(house.modules)):
            if target.split(".")[0] in OUTSIDE_WORLD:
                yield f"{source.path} imports {target} below the line, where `now` and Ids are handed in"
        if source.is_compiled:
            continue
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Attribute) and node.attr in {"now", "utcnow", "today"}:
                owner = node.value.attr if isinstance(node.value, ast.Attribute) else getattr(node.value, "id", "")
                if owner in {"datetime", "date"}:
                    yield f"{source.path} reads the clock by {owner}.{node.attr} below the line"


def every_file_has_its_test(house: House) -> Iterator[str]:
    for source in house.sources:
        parts = ("ui", *source.path.parts[2:]) if source.path.parts[0] == "ui" else source.path.parts[1:]
        test = Path("tests", *parts[:-1], f"test_{source.path.stem}.py")
        if not source.path.stem.startswith("__") and not (house.root / test).exists():
            yield f"{source.path} has no {test}"
    for path in sorted((house.root / "tests").rglob("__init__.py")):
        yield f"{path.relative_to(house.root)}: tests are no packages (pytest imports them by importlib)"


def every_test_mirrors_a_file(house: House) -> Iterator[str]:
    tests = house.root / "tests"
    for path in sorted(tests.rglob("test_*.py")):
        inside = path.relative_to(tests)
        if inside.parts[0] in APART or inside == Path("test_house.py"):
            continue
        stem = inside.with_name(inside.stem.removeprefix("test_"))
        place = Path("ui", "imsphone_ui", *stem.parts[1:]) if stem.parts[0] == "ui" else Path("imsphone") / stem
        if not any((house.root / place).with_suffix(suffix).exists() for suffix in (".py", ".pyx")):
            yield f"tests/{inside} mirrors no source file: there is no {place}.py"


def no_drawers(house: House) -> Iterator[str]:
    for source in house.sources:
        if DRAWERS & {source.path.stem, source.path.parent.name}:
            yield f"{source.path} is a drawer: name it after what it holds"
        if source.is_compiled:
            continue
        for node in ast.walk(source.tree):
            if isinstance(node, ast.ClassDef) and node.name.endswith(DRAWER_CLASSES):
                yield f"{source.path} has a class {node.name}: name it after what it is"


def files_are_short_and_say_what_they_are_for(house: House) -> Iterator[str]:
    for source in house.sources:
        if (lines := source.text.count("\n")) > MOST_LINES:
            yield f"{source.path} has {lines} lines, {lines - MOST_LINES} too many: split it by usage"
        if source.is_compiled and not (house.root / source.path.with_suffix(".pyi")).exists():
            yield f"{source.path} has no .pyi beside it"
        if not source.is_compiled and not ast.get_docstring(source.tree):
            yield f"{source.path} does not say what it is for: it has no docstring"


def no_room_is_empty(house: House) -> Iterator[str]:
    for source in house.sources:
        inside = f"{source.module}."
        if source.is_package and not any(other.module.startswith(inside) for other in house.sources):
            yield f"{source.path} opens a room with nothing in it"


def every_package_is_installed(house: House) -> Iterator[str]:
    listed = set(tomllib.loads((house.root / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    present = {source.module for source in house.sources if source.is_package}
    for module in sorted(present - listed):
        yield f"pyproject.toml does not install the package {module}"
    for module in sorted(listed - present - {"imsphone.assets"}):
        yield f"pyproject.toml installs the package {module}, which is not there"


def every_dependency_has_its_licence(house: House) -> Iterator[str]:
    project = tomllib.loads((house.root / "pyproject.toml").read_text())["project"]
    extras = project.get("optional-dependencies", {}).values()
    declared = [*project["dependencies"], *(line for extra in extras for line in extra)]
    paper = (house.root / "docs" / "licences.md").read_text(encoding="utf-8")
    rows = {match[1].lower() for match in re.finditer(r"^\| `?([\w.-]+)`? \|", paper, re.MULTILINE)}
    for name in sorted({Requirement(line).name for line in declared}):
        if name.lower() not in rows:
            yield f"docs/licences.md has no line for {name}"


def dependencies_are_used_and_declared(house: House) -> Iterator[str]:
    project = tomllib.loads((house.root / "pyproject.toml").read_text())["project"]
    extras = project.get("optional-dependencies", {})
    lines = [*project["dependencies"], *(line for name, extra in extras.items() if name != "test" for line in extra)]
    declared = {Requirement(line).name for line in lines}
    used: dict[str, Path] = {}
    for source in house.sources:
        for target in source.imports(house.modules):
            top = target.split(".")[0]
            if top not in sys.stdlib_module_names and top not in ("imsphone", "imsphone_ui", *TEST_TOOLS):
                used.setdefault(DISTRIBUTIONS.get(top, top), source.path)
    for name in sorted(used.keys() - declared):
        yield f"{used[name]} imports {name}, which pyproject.toml does not declare"
    for name in sorted(declared - used.keys()):
        yield f"pyproject.toml asks for {name}, which nothing imports"


RULES: tuple[Callable[[House], Iterator[str]], ...] = (
    imports_go_down,
    ui_knows_only_the_front_door,
    machines_touch_no_world,
    every_file_has_its_test,
    every_test_mirrors_a_file,
    no_drawers,
    files_are_short_and_say_what_they_are_for,
    no_room_is_empty,
    every_package_is_installed,
    every_dependency_has_its_licence,
    dependencies_are_used_and_declared,
)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_house_stands(rule: Callable[[House], Iterator[str]]) -> None:
    breaches = list(rule(House(ROOT)))
    assert not breaches, "\n" + "\n".join(breaches)


# The rules themselves -----------------------------------------------------------------------------------------------

SOUND = {
    "pyproject.toml": """
        [project]
        dependencies = ["click>=8"]
        [tool.setuptools]
        packages = ["imsphone", "imsphone.assets", "imsphone.sip", "imsphone.net", "imsphone_ui"]
    """,
    "docs/licences.md": "| `click` | BSD-3-Clause | |",
    "imsphone/__init__.py": '"""The house."""',
    "imsphone/machine.py": '"""The contract."""\nimport click',
    "imsphone/sip/__init__.py": '"""SIP."""',
    "imsphone/sip/uri.py": '"""A URI."""\nfrom ..machine import Address',
    "imsphone/net/__init__.py": '"""The world."""',
    "imsphone/net/driver.py": '"""The driver."""\nimport socket\nfrom imsphone.sip import uri',
    "ui/imsphone_ui/__init__.py": '"""The window."""',
    "ui/imsphone_ui/app.py": '"""Opens it."""\nfrom imsphone.events import Event',
    "tests/test_machine.py": "",
    "tests/sip/test_uri.py": "",
    "tests/net/test_driver.py": "",
    "tests/ui/test_app.py": "",
    "tests/wire/test_torture.py": "",
}
URI, DRIVER, APP = "imsphone/sip/uri.py", "imsphone/net/driver.py", "ui/imsphone_ui/app.py"
BREACHES = [
    ({URI: '"""A."""\nfrom imsphone.net import driver'}, f"{URI} imports imsphone.net.driver, which stands above it"),
    ({URI: '"""A."""\nfrom ..net.driver import Driver'}, f"{URI} imports imsphone.net.driver, which stands above it"),
    ({URI: '"""A."""\ndef f():\n    import imsphone.phone'}, f"{URI} imports imsphone.phone, which stands above it"),
    ({URI: '"""A."""\nimport imsphone'}, f"{URI} imports imsphone, which stands above it"),
    ({URI: '"""A."""\nfrom os.path import join'}, f"{URI} imports os.path below the line"),
    ({URI: '"""A."""\nimport asyncio as a'}, f"{URI} imports asyncio below the line"),
    ({URI: '"""A."""\nnow = datetime.datetime.now()'}, f"{URI} reads the clock by datetime.now"),
    ({URI: "x = 1"}, f"{URI} does not say what it is for"),
    ({URI: '"""A."""\n' + "x = 1\n" * 400}, f"{URI} has 401 lines, 1 too many"),
    ({URI: '"""A."""\nclass UriFactory: ...'}, f"{URI} has a class UriFactory"),
    ({APP: '"""A."""\nfrom imsphone.sip.uri import Uri'}, f"{APP} imports imsphone.sip.uri: the ui knows only"),
    ({APP: '"""A."""\nimport imsphone'}, f"{APP} imports imsphone: the ui knows only"),
    ({DRIVER: '"""A."""\nfrom imsphone_ui import app'}, f"{DRIVER} imports imsphone_ui.app: the engine does not know"),
    ({"imsphone/errors.py": '"""A."""'}, "imsphone/errors.py has no tests/test_errors.py"),
    ({"imsphone/errors.py": '"""A."""', "tests/errors.py": ""}, "imsphone/errors.py has no tests/test_errors.py"),
    ({"imsphone/lost.py": '"""A."""', "tests/test_lost.py": ""}, "imsphone/lost.py stands in no layer"),
    ({"imsphone/sip/utils.py": '"""A."""', "tests/sip/test_utils.py": ""}, "imsphone/sip/utils.py is a drawer"),
    ({"tests/sip/test_gone.py": ""}, "tests/sip/test_gone.py mirrors no source file"),
    ({"tests/sip/__init__.py": ""}, "tests/sip/__init__.py: tests are no packages"),
    ({"imsphone/sdp/__init__.py": '"""A."""'}, "imsphone/sdp/__init__.py opens a room with nothing in it"),
    ({DRIVER: '"""A."""\nimport nosuch.thing'}, f"{DRIVER} imports nosuch, which pyproject.toml does not declare"),
    ({"imsphone/machine.py": '"""A."""'}, "pyproject.toml asks for click, which nothing imports"),
    ({"docs/licences.md": ""}, "docs/licences.md has no line for click"),
]


def build(root: Path, files: dict[str, str]) -> House:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return House(root)


def breaches_of(house: House) -> list[str]:
    return [breach for rule in RULES for breach in rule(house)]


def test_a_sound_house_has_no_breach(tmp_path: Path) -> None:
    assert breaches_of(build(tmp_path, SOUND)) == []


@pytest.mark.parametrize(("change", "sentence"), BREACHES, ids=[sentence[:60] for _, sentence in BREACHES])
def test_a_breach_is_one_sentence(tmp_path: Path, change: dict[str, str], sentence: str) -> None:
    found = breaches_of(build(tmp_path, SOUND | change))
    found = [breach for breach in found if "does not install" not in breach]  # a new room breaks that rule too
    assert len(found) == 1
    assert found[0].startswith(sentence)


def test_a_package_that_would_not_be_installed_is_found(tmp_path: Path) -> None:
    listed = SOUND["pyproject.toml"].replace('"imsphone.net", ', '"imsphone.gone", ')
    assert breaches_of(build(tmp_path, SOUND | {"pyproject.toml": listed})) == [
        "pyproject.toml does not install the package imsphone.net",
        "pyproject.toml installs the package imsphone.gone, which is not there",
    ]


def test_strangers_stay_strangers_and_serve_may_know_the_net(tmp_path: Path) -> None:
    rooms = {f"imsphone/{room}/__init__.py": '"""A room."""' for room in ("ims", "lab", "media")}
    house = build(
        tmp_path,
        SOUND
        | rooms
        | {
            "imsphone/ims/ue.py": '"""A."""\nfrom imsphone.lab import world\nfrom imsphone.ims import ue',
            "imsphone/lab/world.py": '"""A."""\nimport imsphone.lab.serve',
            "imsphone/lab/serve.py": '"""A."""\nimport asyncio\nfrom imsphone.net.driver import Driver',
            "imsphone/media/voice.py": '"""A."""\nfrom ..ims.ue import Ue',
        },
    )
    assert list(imports_go_down(house)) == [
        "imsphone/ims/ue.py imports imsphone.lab.world: ims and lab are strangers",
        "imsphone/lab/world.py imports imsphone.lab.serve, which stands above it",
        "imsphone/media/voice.py imports imsphone.ims.ue: media and ims are strangers",
    ]
    assert list(machines_touch_no_world(house)) == []


def test_compiled_files_are_read_by_their_import_lines(tmp_path: Path) -> None:
    text = "# cython\nfrom libc.math cimport sqrt\ncimport libc.math as m\nimport time, imsphone.call as c\n"
    house = build(tmp_path, SOUND | {"imsphone/sip/fast.pyx": text, "tests/sip/test_fast.py": ""})
    assert breaches_of(house) == [
        "imsphone/sip/fast.pyx imports imsphone.call, which stands above it",
        "imsphone/sip/fast.pyx imports time below the line, where `now` and Ids are handed in",
        "imsphone/sip/fast.pyx has no .pyi beside it",
    ]
    (tmp_path / "imsphone/sip/fast.pyi").write_text("")
    assert len(breaches_of(house)) == 2
