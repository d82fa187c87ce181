"""Why a P-CSCF that challenged in the clear is silent inside IPsec: which of the two ways is shut, and where to look.

phone ── REGISTER in ESP ──▶ ? ──▶ P-CSCF          what has passed (`ipsec.shield.Passed`)
      ◀── ? ────────────────────── 200 in ESP

nothing came             the way there or the way back is shut, or over there our packets do not open
it came, did not open    the keys differ
an unknown SPI, ports    both sides speak of different agreements
it came without ESP      the P-CSCF does not protect its answers; what is unprotected is dropped (TS 33.203 7.4)
it came and opened       IPsec is well, and the P-CSCF has no final answer
"""

from __future__ import annotations

from imsphone.ims.explain import Setback
from imsphone.ipsec.shield import Passed

_INTRODUCTION = "{tried} challenged in the clear and gives no answer inside IPsec"
_REASONS = {
    "forged": "its ESP arrives here and does not open ({count}): the keys differ; has the P-CSCF this SIM's CK and IK, "
    "and does it use the algorithms that it named?",
    "unknown_spi": "its ESP arrives here under an SPI that this phone did not choose ({count}): does the P-CSCF take "
    "spi-c and spi-s from Security-Client of this very registration, or are older associations in its way?",
    "off_selector": "its ESP opens and is between other ports than were agreed ({count}): does the P-CSCF send from "
    "its port-c to our port-s, and answer over UDP there too?",
    "in_the_clear": "its packets come to our protected ports without ESP and are dropped ({count}): the P-CSCF does "
    "not protect what it sends; are its outbound associations and policies in place?",
    "opened": "ESP passes both ways ({count}): IPsec is well; what does the P-CSCF, or the core behind it, do with "
    "REGISTER?",
    "replayed": "its ESP arrives with sequence numbers that were used before ({count}): does anything between double "
    "packets, or has the P-CSCF begun to count anew?",
}
_DROPPED = ("forged", "unknown_spi", "off_selector", "in_the_clear")
_NO_CONNECTION = (
    "no TCP connection came up inside the new security associations at {tried}: does that P-CSCF take TCP there? "
    'Without transport = "tcp" UDP serves where it does not'
)
_NOTHING = (
    "none of its ESP arrives here ({count}): does everything between let ESP (IP protocol 50) pass both ways, and has "
    "the P-CSCF this SIM's CK and IK? What does not open there is dropped without a word"
)


def silence_inside(passed: Passed, tried: list[str], answer: str = "timeout") -> Setback:
    """The first message inside new associations had no answer; `passed` is what went through them meanwhile.

    `answer` is "unreachable" where no TCP connection came up; then something may have opened all the same.
    """
    introduction = _INTRODUCTION.format(tried=", ".join(tried))
    for name, reason in _REASONS.items():
        if (count := getattr(passed, name)) and (answer == "timeout" or name in _DROPPED):
            return Setback("timeout", f"{introduction}: {reason.format(count=_packets(count))}")
    if answer == "unreachable":
        return Setback("unreachable", _NO_CONNECTION.format(tried=", ".join(tried)))
    return Setback("timeout", f"{introduction}: {_NOTHING.format(count=f'{_packets(passed.sent)} left')}")


def _packets(count: int) -> str:
    return f"{count} packet{'s' if count != 1 else ''}"
