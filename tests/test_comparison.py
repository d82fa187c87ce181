"""What a test says when the trace went another way than it expected."""

from __future__ import annotations

import re

import pytest

from imsphone.comparison import compare
from imsphone.trace import Trace
from tests.test_ladder import Story, a_call


@pytest.fixture
def call() -> Story:
    return a_call()


def test_nothing_expected_and_nothing_happened() -> None:
    assert compare("", Trace()) is None


@pytest.mark.parametrize(
    "expected",
    [
        """
        alice   -> p-cscf   INVITE (SDP)
        p-cscf  -> s-cscf   INVITE (SDP)
        s-cscf  -> p-cscf   183 Session Progress (SDP)

        # and back
        p-cscf  -> alice    183 Session Progress (SDP)
        alice → p-cscf BYE
        p-cscf --> alice  486 Busy Here
        alice->p-cscf  REGISTER
        """,
        "...",
        "alice -> p-cscf INVITE (SDP)\n...\np-cscf -> alice 486 Busy Here\n…\nalice -> p-cscf REGISTER\n...",
        "...\nalice <-> s-cscf RTP\nalice -> p-cscf BYE\n...",
    ],
)
def test_a_ladder_as_expected(call: Story, expected: str) -> None:
    assert compare(expected, call) is None


def test_a_difference_reads_like_a_diff(call: Story) -> None:
    expected = """
        alice -> p-cscf   INVITE (SDP)
        ...
        p-cscf -> alice   180 Ringing
        alice -> p-cscf   BYE
        p-cscf -> alice   200 OK
        alice -> p-cscf   REGISTER
    """
    assert compare(expected, call) == "\n".join(
        [
            "expected (-) and happened (+):",
            "    0.000   alice -> p-cscf          INVITE (SDP)",
            "    0.010   p-cscf -> s-cscf         INVITE (SDP)",
            "    0.020   s-cscf -> p-cscf         183 Session Progress (SDP)",
            "    0.030   p-cscf -> alice          183 Session Progress (SDP)",
            "          - p-cscf -> alice          180 Ringing",
            "   24.120   alice -> p-cscf          BYE",
            "          - p-cscf -> alice          200 OK",
            "   24.130 + p-cscf -> alice          486 Busy Here",
            "   25.140   alice -> p-cscf          REGISTER",
        ]
    )


def test_what_a_long_anything_took_is_shown_at_its_ends() -> None:
    story = Story()
    for number in range(20):
        story.says("alice", "p-cscf", f"M{number:02}")
    difference = compare("...\nalice -> p-cscf  BYE", story)
    assert difference is not None
    assert re.findall(r"M\d\d|\(.* more\)|- .*", difference) == [
        *("M00", "M01", "M02", "(14 more)", "M17", "M18", "M19"),
        "- alice -> p-cscf          BYE",
    ]


def test_order_and_number_count(call: Story) -> None:
    assert compare("alice -> p-cscf BYE\n...", call)
    assert compare("...\nalice -> p-cscf BYE\nalice -> p-cscf BYE\n...", call)
    assert compare("", call)
    assert compare("...\np-cscf -> alice 486 Busy Here\nalice -> p-cscf BYE\n...", call)
