"""What happened to a stream so far."""

from __future__ import annotations

from imsphone.media.codecs.g711 import PCMA
from imsphone.media.counts import Counts
from imsphone.media.playout import Playout
from imsphone.rtp.packet import Packet


def test_nothing_happened_yet() -> None:
    counts = Counts()
    assert counts.played == counts.sounded == 0
    assert counts.concealed_percent == 0


def test_a_share_is_of_what_was_played() -> None:
    playout = Playout({8: PCMA})
    for k in range(50):
        playout.insert(Packet(8, k, 160 * k, 1, bytes(160)), 0)
    for _ in range(200):
        playout.pull()
    counts = playout.counts
    assert counts.sounded > counts.concealed == counts.waited > 0
    assert counts.concealed_percent == 100 * counts.concealed / counts.sounded
