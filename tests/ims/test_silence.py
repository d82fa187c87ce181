"""One-way ESP: which way is shut."""

from __future__ import annotations

import pytest

from imsphone.ims.silence import silence_inside
from imsphone.ipsec.shield import Passed

UP = "no TCP connection came up inside"
TRIED = ["UDP 127.0.10.101:5060 ↔ 127.0.10.10:5060"]


@pytest.mark.parametrize(
    ("passed", "words"),
    [
        (Passed(), ("none of its ESP arrives", "0 packets left")),
        (Passed(sent=11), ("none of its ESP arrives", "11 packets left", "protocol 50")),
        (Passed(sent=11, forged=3), ("does not open (3 packets)", "CK and IK")),
        (Passed(sent=11, unknown_spi=1), ("an SPI that this phone did not choose (1 packet)", "Security-Client")),
        (Passed(sent=11, off_selector=2), ("other ports than were agreed", "port-c")),
        (Passed(sent=11, in_the_clear=2), ("without ESP", "does not protect what it sends")),
        (Passed(sent=11, opened=1), ("both ways", "IPsec is well")),
        (Passed(sent=11, replayed=4), ("used before (4 packets)",)),
        (Passed(sent=11, opened=1, forged=2), ("does not open",)),
    ],
)
def test_what_has_passed_tells_which_way_is_shut(passed: Passed, words: tuple[str, ...]) -> None:
    setback = silence_inside(passed, TRIED)
    assert (setback.cause, setback.status) == ("timeout", None)
    assert TRIED[0] in setback.sentence
    assert all(word in setback.sentence for word in words)


@pytest.mark.parametrize(
    ("passed", "cause", "words"),
    [
        (Passed(sent=3), "unreachable", UP),
        (Passed(sent=3, opened=3), "unreachable", UP),  # what says no opens, too
        (Passed(sent=3, forged=3), "timeout", "does not open"),
        (Passed(sent=3, unknown_spi=3), "timeout", "an SPI that this phone did not choose"),
    ],
)
def test_a_connection_that_does_not_come_up_has_its_reason_too(passed: Passed, cause: str, words: str) -> None:
    setback = silence_inside(passed, TRIED, "unreachable")
    assert (setback.cause, words in setback.sentence) == (cause, True)
