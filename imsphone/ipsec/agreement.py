"""What phone and P-CSCF say to each other before there is anything secure to say it in (RFC 3329, TS 33.203 annex H).

    REGISTER  Security-Client: ipsec-3gpp;alg=…;ealg=…;spi-c=…;spi-s=…;port-c=…;port-s=…    a line for each suite
    401       Security-Server: ipsec-3gpp;q=0.9;alg=…;…                                      in order of preference
    REGISTER  Security-Verify: the very same, inside ESP by now

A third party that struck the strong suites out of Security-Client is found out by Security-Verify, for that comes under
the integrity that it could not break. So the words are kept as they came.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from imsphone.errors import ParseError
from imsphone.ipsec.sa import Ends, Suite
from imsphone.sip.grammar import parse_params

MECHANISM = "ipsec-3gpp"
OPTION_TAG = "sec-agree"
_PORTS = ("port-c", "port-s")
_SPIS = ("spi-c", "spi-s")
_MOST_IN_QUALITY = 5  # "0.999"


class Proposal(NamedTuple):
    """One way to protect: a suite, and the SPIs and ports of who proposes it. `q` is its preference, 0 to 1."""

    suite: Suite
    ends: Ends
    q: float = 1.0

    @classmethod
    def parse(cls, text: str) -> Proposal | None:
        """The proposal in one value of a header, None where it is of another mechanism. Raises ParseError."""
        name, _, rest = text.partition(";")
        if name.strip().lower() != MECHANISM:
            return None
        params = {key.lower(): (value or "").lower() for key, value in parse_params(f";{rest}").items()}
        if params.get("prot", "esp") != "esp" or params.get("mod", "trans") != "trans":
            return None
        numbers = [_number(params, key, 32) for key in _SPIS] + [_number(params, key, 16) for key in _PORTS]
        suite = Suite(params.get("alg") or "null", params.get("ealg") or "null")  # annex H: no ealg is null
        return cls(suite, Ends(*numbers), _quality(params.get("q", "1")))

    def __str__(self) -> str:
        spi_c, spi_s, port_c, port_s = self.ends
        quality = f";q={self.q:g}" if self.q != 1.0 else ""
        return (
            f"{MECHANISM}{quality};alg={self.suite.alg};ealg={self.suite.ealg}"
            f";spi-c={spi_c:010d};spi-s={spi_s:010d};port-c={port_c};port-s={port_s}"
        )


def proposals(values: Iterable[str]) -> list[Proposal]:
    """The proposals of our mechanism among header values, the preferred first: by q, then as they stand.

    What cannot be read is left out.
    """
    found: list[Proposal] = []
    for value in values:
        try:
            proposal = Proposal.parse(value)
        except ParseError:
            continue
        if proposal is not None:
            found.append(proposal)
    return sorted(found, key=lambda proposal: -proposal.q)


def _number(params: dict[str, str], key: str, bits: int) -> int:
    text = params.get(key, "")
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and 0 < int(text) < 1 << bits):
        raise ParseError(f"{key} with a number of {bits} bits")
    return int(text)


def _quality(text: str) -> float:
    if len(text) > _MOST_IN_QUALITY or not text.replace(".", "", 1).isdigit() or not text.isascii():
        raise ParseError("a q from 0 to 1")
    return min(1.0, float(text))
