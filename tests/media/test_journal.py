"""What one pull did."""

from __future__ import annotations

from imsphone.media.journal import NAMES, Journal


def test_it_tells_in_order_and_never_more_than_a_page() -> None:
    journal = Journal()
    expected = [(what, k) for k in range(20) for what in NAMES.values()]
    for what, value in expected:
        journal.written(what, value)
    assert journal.entries == expected[:64]
