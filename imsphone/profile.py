"""One phone in one TOML file: who it is, which key it has, which network it speaks to.

    base = "ir92"                       # a network of assets/networks/, or a path: what this file does not say
    imsi = "001010000000001"            # the identities follow from it (ims/identity.py)
    k    = "keyring:alice-k"            # a secret is never here, only where to find it (store.py)
    opc  = "file:alice.opc"
    pcscf = "127.0.10.10:5060"

The fields of `Profile` are the keys of the file. Each is declared once, with what it is, what it should look like and
its default; the check, the sentence of an error and the print all come from there. A profile keeps what was written:
deriving an IMPI is the business of who needs one.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from importlib import resources
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Literal, NamedTuple

from imsphone.errors import ProfileError
from imsphone.machine import Address
from imsphone.secret import Secret as Secret


class Endpoint(NamedTuple):
    """A host (name or IP literal, IPv6 without brackets) and the port, where one was said."""

    host: str
    port: int | None


def endpoint(text: str) -> Endpoint:
    """`host`, `host:port`, `[v6]`, `[v6]:port` or a bare IPv6 address. Raises ValueError."""
    bracketed = re.fullmatch(r"\[([^\]]*)\](?::(\d{1,5}))?", text)
    if bracketed or text.count(":") > 1:
        host, digits = bracketed.groups() if bracketed else (text, None)
        if ip_address(host).version != 6 or "%" in host:
            raise ValueError(text)
    else:
        host, colon, digits = text.partition(":")
        if not re.fullmatch(_HOST, host) or (colon and not re.fullmatch(r"[0-9]{1,5}", digits)):
            raise ValueError(text)
    port = int(digits) if digits else None
    if port is not None and not 0 < port < 65536:
        raise ValueError(text)
    return Endpoint(host, port)


def place(text: str) -> Address:
    """`v4:port` or `[v6]:port`, read. Raises ValueError for a name, or where one of the two is missing."""
    host, port = endpoint(text)
    if port is None:
        raise ValueError(text)
    return Address(str(ip_address(host)), port)


# What a value may look like -----------------------------------------------------------------------------------------

_HOST = r"(?=.{1,253}\Z)[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*"
_USER = r"(?:(?![@<>\",;:])[!-~])+"
_NUMBER = r"[+]?(?=[^;]*[0-9])[0-9().-]+(;[A-Za-z0-9-]+(=[A-Za-z0-9+.-]+)?)*"
SECRET_NAME = r"[\w.@+-]+"  # what comes after keyring:
_REFERENCE = rf"keyring:{SECRET_NAME}|env:[A-Za-z_]\w*|file:[^\x00-\x1f\x7f]+"


class _Form(NamedTuple):
    should: str
    fits: Callable[[Any], bool]


def _spelled(pattern: str, should: str) -> _Form:
    compiled = re.compile(pattern)
    return _Form(should, lambda value: isinstance(value, str) and compiled.fullmatch(value) is not None)


def _whole(least: int, most: int) -> _Form:
    return _Form(f"a whole number from {least} to {most}", lambda value: type(value) is int and least <= value <= most)


def _one_of(*choices: object) -> _Form:
    names = " or ".join(json.dumps(choice) for choice in choices)
    return _Form(names, lambda value: type(value) in map(type, choices) and value in choices)


def _is_accepted_by(parse: Callable[[str], object]) -> Callable[[Any], bool]:
    def fits(value: Any) -> bool:
        try:
            return isinstance(value, str) and parse(value) is not None
        except ValueError:
            return False

    return fits


def _list_of(should: str, fits: Callable[[Any], bool], least: int = 1) -> _Form:
    return _Form(should, lambda value: isinstance(value, tuple) and len(value) >= least and all(map(fits, value)))


_TEXT = _spelled(r"[^\x00-\x1f\x7f\ud800-\udfff]*", "text on one line")
_ENDPOINT = _Form('"host", "host:port" or "[v6]:port"', _is_accepted_by(endpoint))
_ENDPOINTS = _list_of('a list of P-CSCFs, each "host", "host:port" or "[v6]:port"', _ENDPOINT.fits, 0)
_PLACE = _Form('an IP address and a port such as "10.0.0.5:5060"', _is_accepted_by(place))
_LITERAL = _Form("an IP address", lambda value: _is_accepted_by(ip_address)(value) and "%" not in value)
_TRANSPORT = _Form('"udp", "tcp" or "tls"', lambda value: value in ("UDP", "TCP", "TLS"))
_PATH = _spelled(r"[^\x00-\x1f\x7f]*\.[A-Za-z]{2,4}", 'the path of a file such as "ca.pem"')
_SECRET = _spelled(_REFERENCE, 'a reference: "keyring:NAME", "file:PATH" or "env:VARIABLE", never the secret itself')
_SIM = _spelled(r"card:[^\x00-\x1f\x7f\ud800-\udfff]*", '"card:" or "card:READER", a part of the reader\'s name')
_CODECS = _list_of('a list of encoding names such as ["PCMA", "PCMU"]', _spelled(r"[A-Za-z][\w.-]{0,19}", "").fits)
SECURITY_SUITES = (
    *("hmac-sha-1-96/aes-cbc", "hmac-md5-96/aes-cbc", "hmac-sha-1-96/null", "hmac-md5-96/null"),
    *("null/aes-gcm", "aes-gmac/null"),
)
_SUITES = _list_of(
    'a list of integrity and encryption algorithms such as ["hmac-sha-1-96/aes-cbc", "hmac-sha-1-96/null"]',
    SECURITY_SUITES.__contains__,
)


def _key(what: str, form: _Form, default: Any = None) -> Any:
    return field(default=default, metadata={"what": what, "form": form})


# The profile --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What one phone is told. `None`: not said. Building one with a value of the wrong form raises ProfileError."""

    name: str = _key("what the phone is called in traces and windows", _TEXT, "")

    # Who. At least one of imsi, impi and impu; what is not said follows from the others (TS 23.003 13).
    imsi: str | None = _key("the number of the subscription", _spelled(r"[0-9]{6,15}", "6 to 15 digits"))
    mnc_digits: int | None = _key("how many digits of the IMSI after the first three are the MNC", _one_of(2, 3))
    impi: str | None = _key("the private identity", _spelled(f"{_USER}@{_HOST}", '"user@realm"'))
    impu: str | None = _key(
        "the public identity to register",
        _spelled(rf"sips?:{_USER}@{_HOST}|tel:{_NUMBER}", '"sip:user@domain" or "tel:+number"'),
    )
    home_domain: str | None = _key("the domain to register with", _spelled(_HOST, "a domain name"))
    display_name: str = _key("the name that a called phone may show", _TEXT, "")
    imei: str | None = _key(
        "the number of the device", _spelled(r"[0-9]{14,15}", "14 digits, or 15 with the check digit")
    )

    # How it proves itself.
    sim: str | None = _key("the card that is the SIM, in place of k and opc; it says who the phone is", _SIM)
    pin: str | None = _key("the PIN of that card, 4 to 8 digits, where it asks for one", _SECRET)
    auth: Literal["aka", "digest"] = _key("the kind of authentication", _one_of("aka", "digest"), "aka")
    algorithm: Literal["milenage", "tuak"] = _key("what the SIM computes", _one_of("milenage", "tuak"), "milenage")
    k: str | None = _key("the key of the SIM, 32 hex digits (tuak: 32 or 64)", _SECRET)
    op: str | None = _key("the operator's constant, 32 hex digits (op or opc, not both)", _SECRET)
    opc: str | None = _key("the operator's constant bound to k, 32 hex digits (op or opc, not both)", _SECRET)
    top: str | None = _key("the operator's constant of tuak, 64 hex digits (top or topc, not both)", _SECRET)
    topc: str | None = _key("the operator's constant of tuak bound to k, 64 hex digits", _SECRET)
    res_bits: int = _key("the length of RES with tuak", _one_of(32, 64, 128, 256), 64)
    password: str | None = _key('the password of auth = "digest"', _SECRET)
    sqn_ind_bits: int = _key("the length of IND in SQN (TS 33.102 C.3)", _whole(0, 10), 5)
    sqn_delta: int = _key("the longest jump of SEQ that the SIM takes (TS 33.102 C.2.1)", _whole(1, 2**48 - 1), 1 << 28)
    sqn_limit: int | None = _key("how far behind a SEQ may be, L (TS 33.102 C.2.2)", _whole(1, 2**48 - 1))

    # Where to.
    pcscf: str | None = _key("the P-CSCF; without it DNS of the home domain names one", _ENDPOINT)
    other_pcscfs: tuple[str, ...] = _key("P-CSCFs to try after that one, in this order", _ENDPOINTS, ())
    transport: Literal["UDP", "TCP", "TLS"] | None = _key(
        "which transport always; without it the size decides", _TRANSPORT
    )
    tls_ca: str | None = _key("the file of whom to trust, a PEM, in place of those whom the system trusts", _PATH)
    tls_cert: str | None = _key("the file of the own certificate, a PEM, for a P-CSCF that wants one", _PATH)
    tls_key: str | None = _key("the file of its key, a PEM with mode 0600", _PATH)
    dns: str | None = _key("the resolver, in place of the system's", _ENDPOINT)
    local_host: str | None = _key("the own address; without it the one that the route to the P-CSCF takes", _LITERAL)
    local_port: int = _key("the own SIP port, 0 for any free one", _whole(0, 65535), 0)

    # Security between phone and P-CSCF (TS 33.203). "ipsec-or-plain" registers unprotected where there is no IPsec.
    security: Literal["none", "ipsec", "ipsec-or-plain"] = _key(
        "whether messages to the P-CSCF go inside IPsec", _one_of("none", "ipsec", "ipsec-or-plain"), "none"
    )
    ipsec_by: Literal["auto", "own", "kernel"] = _key(
        "who makes ESP: imsphone itself or the kernel", _one_of("auto", "own", "kernel"), "auto"
    )
    security_suites: tuple[str, ...] = _key("the algorithms to offer, the preferred first", _SUITES, SECURITY_SUITES)

    # Registration.
    expires_s: int = _key("how long to register for (TS 24.229 5.1.1.2.1)", _whole(1, 2**32 - 1), 600_000)
    keep_trying: bool = _key("whether to go on trying where no P-CSCF answers", _one_of(True, False), False)
    keep_alive_s: int = _key("how often to ask the P-CSCF whether it is there, 0: never", _whole(0, 3600), 5)
    reg_event: bool = _key(
        "whether to ask the network to tell what it holds of us (5.1.1.3)", _one_of(True, False), True
    )
    flows: int = _key("how many P-CSCFs to be registered by at a time (RFC 5626)", _whole(1, 4), 1)
    gruu: bool = _key("whether to ask for addresses of this device alone (RFC 5627)", _one_of(True, False), True)
    access_network_info: str | None = _key("the value of P-Access-Network-Info", _spelled(r"[\x20-\x7e]+", "text"))
    user_agent: str = _key("the value of User-Agent", _spelled(r"[\x20-\x7e]*", "text on one line"), "imsphone")
    timers: Literal["3gpp", "rfc3261"] = _key("the SIP timers (TS 24.229 7.7)", _one_of("3gpp", "rfc3261"), "3gpp")

    # Emergency (TS 24.229 5.1.6): to a test PSAP alone, which only an IP address and a port can name.
    test_psap: str | None = _key("the P-CSCF of a test PSAP, the only place that emergency calls go to", _PLACE)
    emergency: bool = _key("whether this is an emergency phone of test_psap", _one_of(True, False), False)

    # Calls.
    codecs: tuple[str, ...] = _key("the speech codecs, the preferred first", _CODECS, ("PCMA", "PCMU"))
    ptime_ms: int = _key("how much speech goes into a packet", _one_of(10, 20, 40, 60), 20)
    no_answer_s: int = _key("how long a call rings before it is given up", _whole(1, 3600), 120)

    def __post_init__(self) -> None:
        for name in ("codecs", "security_suites", "other_pcscfs"):
            if isinstance(getattr(self, name), list):
                object.__setattr__(self, name, tuple(getattr(self, name)))
        if isinstance(self.transport, str):
            object.__setattr__(self, "transport", self.transport.upper())
        for key in fields(self):
            value, form = getattr(self, key.name), key.metadata["form"]
            if value is None and key.default is None:
                continue
            if not form.fits(value):
                shown = "" if form is _SECRET else f" = {_shown(value)}"
                raise ProfileError(f"{key.name}{shown} should be {form.should}: {key.metadata['what']}")

    @classmethod
    def load(cls, path: str | Path) -> Profile:
        """The profile of a TOML file. Raises ProfileError: the file, the key, and what it should be."""
        path = Path(path)
        return cls.parse({"name": path.stem} | _read(path), where=str(path), folder=path.parent)

    @classmethod
    def parse(cls, table: Mapping[str, Any], *, where: str = "the profile", folder: Path = Path()) -> Profile:
        """The profile of a TOML table, if it is enough to register with. Raises ProfileError, naming `where`.

        `folder` is where relative paths (of `base` and of `file:`) start.
        """
        keys = _with_base(table, where, folder, ())
        try:
            profile = cls(**keys)
            profile._require()
        except ProfileError as error:
            raise ProfileError(f"{where}: {error}") from None
        return profile

    @property
    def pcscf_endpoint(self) -> Endpoint | None:
        """`pcscf`, read."""
        return endpoint(self.pcscf) if self.pcscf else None

    @property
    def dns_address(self) -> Address | None:
        """`dns`, read; port 53 where it names none."""
        if not self.dns:
            return None
        host, port = endpoint(self.dns)
        return Address(host, port or 53)

    def as_toml(self) -> str:
        """Every key that has a value, as a file that says the same; secrets are the references that they are."""
        lines = []
        for key in fields(self):
            value = getattr(self, key.name)
            if value is not None:
                value = list(value) if isinstance(value, tuple) else value
                lines.append(f"{key.name} = {json.dumps(value, ensure_ascii=False)}\n")
        return "".join(lines)

    def _require(self) -> None:
        if self.sim and self.auth == "aka":
            if self.k:
                raise ProfileError(
                    "sim and k are both there: keep sim for the card in a reader, or k for a SIM in software"
                )
            return
        if not (self.imsi or self.impi or self.impu):
            raise ProfileError(
                "imsi is missing: the number of the subscription, 6 to 15 digits (impi or impu would do, or a card: "
                'sim = "card:")'
            )
        needed = ["password"] if self.auth == "digest" else ["k"]
        plain, bound = ("op", "opc") if self.algorithm == "milenage" else ("top", "topc")
        if self.auth == "aka" and getattr(self, plain) and getattr(self, bound):
            raise ProfileError(f"{plain} and {bound} are both there: keep the one that your operator or HSS gave you")
        if self.auth == "aka" and not getattr(self, plain):
            needed.append(bound)
        for key in fields(self):
            if key.name in needed and getattr(self, key.name) is None:
                raise ProfileError(
                    f'{key.name} is missing: {key.metadata["what"]}; put it away by "imsphone profile set-secret NAME" '
                    f'and write {key.name} = "keyring:NAME"'
                )


# Files and their bases ----------------------------------------------------------------------------------------------


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ProfileError(f"{path}: there is no such file") from None
    except OSError as error:
        raise ProfileError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ProfileError(f"{path}: not a TOML file: it is no UTF-8 text") from None
    except tomllib.TOMLDecodeError as error:
        raise ProfileError(f"{path}: not a TOML file: {error}") from None


def _with_base(table: Mapping[str, Any], where: str, folder: Path, seen: tuple[str, ...]) -> dict[str, Any]:
    """The table over its base over its base's base; paths made absolute while it is known whose folder is meant."""
    keys = dict(table)
    base = keys.pop("base", None)
    for name in keys:
        _expect_known(name, where)
        value = keys[name]
        if _FORMS[name] is _SECRET and isinstance(value, str) and value.startswith("file:") and value[5:6] != "~":
            keys[name] = f"file:{folder.joinpath(value[5:]).absolute()}"
        elif _FORMS[name] is _PATH and isinstance(value, str) and value[:1] != "~":
            keys[name] = str(folder.joinpath(value).absolute())
    if base is None:
        return keys
    if not _TEXT.fits(base):
        raise ProfileError(f"{where}: base = {_shown(base)} should be the name of a network or the path of a file")
    path = _base_path(base, where, folder)
    if str(path) in seen:
        raise ProfileError(f"{where}: base = {_shown(base)} leads back to itself")
    below = _with_base(_read(path), str(path), path.parent, (*seen, str(path)))
    return below | keys


def _base_path(base: str, where: str, folder: Path) -> Path:
    if "/" in base or base.endswith(".toml"):
        return (folder / base).resolve()
    networks = Path(str(resources.files("imsphone.assets"))) / "networks"
    known = sorted(path.stem for path in networks.glob("*.toml"))
    if base not in known:
        raise ProfileError(f"{where}: base = {_shown(base)} is no network known here: {', '.join(known)}, or a path")
    return networks / f"{base}.toml"


def _expect_known(name: str, where: str) -> None:
    if name in _FORMS:
        return
    from difflib import get_close_matches  # only who mistyped pays for it

    near = get_close_matches(name.lower(), ["base", *_FORMS], n=1)
    hint = f"did you mean {near[0]}?" if near else f"the keys are base, {', '.join(_FORMS)}"
    raise ProfileError(f"{where}: there is no key {_shown(name)}; {hint}")


def _shown(value: object) -> str:
    """A value as an error may show it: short, and no key that strayed into a field that is not for keys."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    if re.search(r"(?:[0-9A-Fa-f][\s-]?){20}", text):
        return "•••"
    return text if len(text) <= 60 else f"{text[:57]}..."


_FORMS: dict[str, _Form] = {key.name: key.metadata["form"] for key in fields(Profile)}
