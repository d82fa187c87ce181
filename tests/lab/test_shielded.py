"""Whole messages inside ESP."""

from __future__ import annotations

import pytest

from imsphone.ipsec.sa import SUITES, Associations, Ends, Keys
from imsphone.lab.shielded import WholeShield
from imsphone.machine import Address, Flow, Transport

HOSTS = (("10.9.1.2", "10.9.1.1"), ("2001:db8::2", "2001:db8::1"))
OURS, THEIRS = Ends(256, 257, 40001, 40002), Ends(300, 301, 5100, 6100)
KEYS = Keys.of(SUITES[0], bytes(16), bytes(range(16)))


def joined(phone: str, pcscf: str) -> tuple[WholeShield, WholeShield]:
    ours, theirs = WholeShield(), WholeShield()
    ours.protect(Associations(SUITES[0], phone, pcscf, OURS, THEIRS, KEYS))
    theirs.protect(Associations(SUITES[0], pcscf, phone, THEIRS, OURS, KEYS))
    return ours, theirs


@pytest.mark.parametrize(("phone", "pcscf"), HOSTS)
@pytest.mark.parametrize("transport", ["UDP", "TCP"])
def test_a_message_crosses_whole(phone: str, pcscf: str, transport: Transport) -> None:
    ours, theirs = joined(phone, pcscf)
    data = b"INVITE" * 1000
    packet = ours.seal(data, Flow(transport, Address(phone, 40001), Address(pcscf, 6100)))
    assert packet is not None
    opened = theirs.open(packet.data, Flow("ESP", packet.flow.remote, packet.flow.local))
    assert opened == (data, Flow(transport, Address(pcscf, 6100), Address(phone, 40001)))


def test_over_tcp_the_p_cscf_calls_from_its_client_port() -> None:
    phone, pcscf = HOSTS[0]
    ours, theirs = joined(phone, pcscf)
    packet = theirs.seal(b"INVITE", Flow("TCP", Address(pcscf, 6100), Address(phone, 40002)))
    assert packet is not None
    opened = ours.open(packet.data, Flow("ESP", packet.flow.remote, packet.flow.local))
    assert opened == (b"INVITE", Flow("TCP", Address(phone, 40002), Address(pcscf, 5100)))


def test_who_has_no_tcp_drops_it() -> None:
    phone, pcscf = HOSTS[0]
    ours, theirs = joined(phone, pcscf)
    theirs.transports = ("UDP",)
    packet = ours.seal(b"REGISTER", Flow("TCP", Address(phone, 40001), Address(pcscf, 6100)))
    assert packet is not None
    assert theirs.open(packet.data, Flow("ESP", packet.flow.remote, packet.flow.local)) is None


def test_connections_of_a_client_port_go_with_it() -> None:
    phone, pcscf = HOSTS[0]
    ours, _ = joined(phone, pcscf)
    gone = Flow("TCP", Address(phone, 40001), Address(pcscf, 6100))
    stays = Flow("TCP", Address(phone, 40002), Address(pcscf, 6100))
    ours.connected |= {gone, stays}
    ours.release(Associations(SUITES[0], phone, pcscf, OURS, THEIRS, KEYS))
    assert ours.connected == {stays}
