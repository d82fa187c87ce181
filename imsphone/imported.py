"""Subscribers as other cores and tools write them down, read for a profile of ours.

    open5gs    JSON   {"imsi": "…", "security": {"k": "…", "opc": "…", "amf": "8000"}, "msisdn": ["…"]}
    PyHSS      JSON   {"imsi": "…", "ki": "…", "opc": "…"}, alone or below "auc", beside "ims_subscriber"
    UERANSIM   YAML   supi: 'imsi-…'   key: '…'   op: '…'   opType: 'OPC'
    pySim      CSV    IMSI,ICCID,…,Ki,OPC,…        one card a row

What is which is told from the text itself. Keys leave here as `Secret`s, and no sentence shows one.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from imsphone.errors import ProfileError
from imsphone.profile import Secret

_YAML_LINE = re.compile(r"""^([A-Za-z][\w-]*)\s*:\s*(?:'([^']*)'|"([^"]*)"|([^\s#'"\[{&*!|>][^#]*?))\s*(?:#.*)?$""")
_EXPECTED = "a subscriber of open5gs or PyHSS (JSON), UERANSIM (YAML) or pySim (CSV)"


@dataclass(frozen=True, slots=True)
class Imported:
    """One subscriber: `constant` is an OP or OPc as `constant_name` says; `number` is global, with its plus."""

    imsi: str
    k: Secret
    constant: Secret
    constant_name: Literal["op", "opc"]
    number: str = ""
    imei: str = ""
    mnc_digits: int | None = None


def read(text: str) -> list[Imported]:
    """All subscribers of a file. Raises ProfileError: what is missing, and in which of them."""
    stripped = text.lstrip("\ufeff \t\r\n")
    if stripped[:1] in ("{", "["):
        found = list(_json(stripped))
    elif re.search(r"^supi\s*:", text, re.MULTILINE):
        found = [_ueransim(text)]
    else:
        found = list(_csv(stripped))
    if not found:
        raise ProfileError(f"there is no subscriber in it; it should be {_EXPECTED}")
    return found


def _json(text: str) -> Iterator[Imported]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        raise ProfileError(f"it is no JSON; it should be {_EXPECTED}") from None
    for one in content if isinstance(content, list) else [content]:
        if isinstance(one, dict):
            yield _of(_flat(one))


def _flat(one: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of a subscriber and of what hangs below it, as PyHSS and open5gs group them."""
    keys = {name.lower(): value for name, value in one.items() if not isinstance(value, dict)}
    for name in ("security", "auc", "subscriber", "ims_subscriber"):
        below = one.get(name)
        if isinstance(below, dict):
            keys |= {key.lower(): value for key, value in below.items() if value is not None}
    return keys


def _ueransim(text: str) -> Imported:
    found = [match for line in text.splitlines() if (match := _YAML_LINE.match(line))]
    keys: dict[str, Any] = {match[1].lower(): next(filter(None, match.groups()[1:]), "") for match in found}
    keys["imsi"] = keys.get("supi", "").removeprefix("imsi-")
    kind = keys.pop("optype", "OPC").upper()
    if kind not in ("OP", "OPC"):
        raise ProfileError(f"opType should be OP or OPC: {kind!r} is neither")
    keys |= {"op": "", "opc": ""} | {kind.lower(): keys.get("op", "")}
    if keys.get("mnc"):
        keys["mnc_digits"] = len(keys["mnc"])
    return _of(keys)


def _csv(text: str) -> Iterator[Imported]:
    try:
        for row in csv.DictReader(text.splitlines()):
            keys = {(name or "").strip().lower(): value for name, value in row.items() if isinstance(value, str)}
            if "imsi" in keys:
                yield _of(keys)
    except csv.Error:
        raise ProfileError(f"it is no CSV; it should be {_EXPECTED}") from None


def _of(keys: Mapping[str, Any]) -> Imported:
    imsi = _text(keys.get("imsi"))
    if not re.fullmatch(r"[0-9]{6,15}", imsi):
        raise ProfileError("imsi is missing or has not 6 to 15 digits")
    k = _secret(keys, imsi, "k", "ki", "key")
    name: Literal["op", "opc"] = "opc" if _text(keys.get("opc")) else "op"
    digits = keys.get("mnc_digits")
    return Imported(
        imsi,
        k,
        _secret(keys, imsi, name),
        name,
        _number(keys.get("msisdn")),
        _imei(_text(keys.get("imei"))),
        digits if digits in (2, 3) else None,
    )


def _secret(keys: Mapping[str, Any], imsi: str, *names: str) -> Secret:
    text = next((text for name in names if (text := _text(keys.get(name)))), "")
    if not text:
        wanted = "opc (or op)" if names[0] in ("op", "opc") else names[0]
        raise ProfileError(f"{wanted} of {imsi} is missing")
    secret = Secret(text.encode())
    secret.key(f"{names[0]} of {imsi}")  # raises for what is none
    return secret


def _text(value: Any) -> str:
    return str(value).strip() if isinstance(value, str | int) else ""


def _number(value: Any) -> str:
    first = value[0] if isinstance(value, list) and value else value
    digits = _text(first).removeprefix("+")
    return f"+{digits}" if re.fullmatch(r"[0-9]{3,15}", digits) else ""


def _imei(text: str) -> str:
    return text if re.fullmatch(r"[0-9]{14,15}", text) else ""
