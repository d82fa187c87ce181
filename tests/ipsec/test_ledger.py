"""When associations came and went."""

from __future__ import annotations

from imsphone.errors import NetworkError
from imsphone.ipsec.ledger import Ledger
from imsphone.ipsec.sa import SUITES, Associations, Ends, Inspect, Keys, Protect, Release
from imsphone.ipsec.shield import Counted, Passed, Shield
from imsphone.machine import Address, Flow
from imsphone.trace import Trace

KEYS = Keys.of(SUITES[0], bytes(range(16)), bytes(range(16, 32)))
OURS = Associations(SUITES[0], "10.9.1.2", "10.9.1.1", Ends(256, 257, 40001, 40002), Ends(300, 301, 5100, 6100), KEYS)
THEIRS = Associations(SUITES[0], "10.9.1.1", "10.9.1.2", OURS.peer, OURS.own, KEYS)
WAY = Flow("UDP", Address("10.9.1.2", 40001), Address("10.9.1.1", 6100))


def test_what_passed_is_kept_when_the_associations_go() -> None:
    shield = Shield()
    ledger = Ledger("alice", shield)
    assert ledger.answer(Protect(OURS), 5.0) == ("UDP",)
    shield.seal(b"SIP", WAY)
    assert [(one.spi, one.is_inbound, one.packets) for one in ledger.living()] == [
        (301, False, 1),
        (300, False, 0),
        (256, True, 0),
        (257, True, 0),
    ]
    shield.seal(b"SIP", WAY)
    assert ledger.answer(Inspect(OURS), 6.0) == Passed(sent=2)
    assert ledger.answer(Release(OURS), 9.0) is True
    assert shield.counted() == []
    assert ledger.living() == []
    first = ledger.all()[0]
    assert (first.who, first.since, first.until, first.packets) == ("alice", 5.0, 9.0, 2)
    assert first.suite == "hmac-sha-1-96/aes-cbc"


def test_who_stops_counting_keeps_what_it_knew() -> None:
    shield = Shield()
    ledger = Ledger("p-cscf", shield)
    ledger.answer(Protect(THEIRS), 5.0)
    phone = Shield()
    phone.protect(OURS)
    packet = phone.seal(b"SIP", WAY)
    assert packet is not None
    shield.open(packet.data, Flow("ESP", packet.flow.remote, packet.flow.local))
    ledger.freeze()
    shield.release(THEIRS)
    assert [(one.packets, one.until) for one in ledger.all() if one.packets] == [(1, None)]
    assert not any(name in repr(ledger.all()) for name in ("integrity", KEYS.integrity.hex()))


def test_the_oldest_are_forgotten_in_the_end() -> None:
    ledger = Ledger("alice", Shield())
    for number in range(2000):
        ledger.answer(Protect(OURS), float(number))
        ledger.answer(Release(OURS), number + 0.5)
    assert len(ledger.all()) == 4096


class Gone(Shield):
    """Its counts can be had no longer."""

    def counted(self) -> list[Counted]:
        raise NetworkError("imsphone-sa has gone")


def test_counts_that_cannot_be_had_cost_no_trace() -> None:
    trace = Trace()
    ledger = Ledger("alice", Gone(), trace)
    ledger.answer(Protect(OURS), 5.0)
    assert [one.packets for one in trace.associations()] == [0, 0, 0, 0]
    ledger.answer(Release(OURS), 9.0)
    assert {one.until for one in trace.associations()} == {9.0}
