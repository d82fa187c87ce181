"""A host's associations at work: two shields, one for each end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsphone.ipsec import datagram, segment
from imsphone.ipsec.esp import Sealer
from imsphone.ipsec.sa import SUITES, Associations, Ends, Keys, Suite
from imsphone.ipsec.shield import Packet, Passed, Shield
from imsphone.machine import Address, Flow

CK, IK = bytes(range(16)), bytes(range(16, 32))
PHONE, PCSCF = "10.9.1.2", "10.9.1.1"
OURS, THEIRS = Ends(256, 257, 40001, 40002), Ends(300, 301, 5100, 6100)


def a_set(
    ours: Ends = OURS,
    theirs: Ends = THEIRS,
    suite: Suite = SUITES[1],
    ik: bytes = IK,
    hosts: tuple[str, str] = (PHONE, PCSCF),
) -> tuple[Associations, Associations]:
    here, there = hosts
    keys = Keys.of(suite, CK, ik)
    return Associations(suite, here, there, ours, theirs, keys), Associations(suite, there, here, theirs, ours, keys)


def joined(*sets: tuple[Associations, Associations]) -> tuple[Shield, Shield]:
    phone, pcscf = Shield(), Shield()
    for ours, theirs in sets:
        phone.protect(ours)
        pcscf.protect(theirs)
    return phone, pcscf


def udp(local: tuple[str, int], remote: tuple[str, int]) -> Flow:
    return Flow("UDP", Address(*local), Address(*remote))


def crossed(sender: Shield, receiver: Shield, flow: Flow, data: bytes = b"SIP") -> Flow | None:
    """The flow on which a message that leaves on `flow` arrives, None where it does not."""
    packet = sender.seal(data, flow)
    assert packet is not None
    arrived = receiver.open(packet.data, Flow("ESP", packet.flow.remote, packet.flow.local))
    assert arrived is None or arrived.data == data
    return arrived.flow if arrived else None


REQUEST = udp((PHONE, 40001), (PCSCF, 6100))


@pytest.mark.parametrize("suite", SUITES, ids=str)
@pytest.mark.parametrize("hosts", [(PHONE, PCSCF), ("2001:db8::2", "2001:db8::1")])
def test_all_four_ways(suite: Suite, hosts: tuple[str, str]) -> None:
    here, there = hosts
    phone, pcscf = joined(a_set(suite=suite, hosts=hosts))
    for sender, receiver, local, remote in (
        (phone, pcscf, (here, 40001), (there, 6100)),
        (pcscf, phone, (there, 5100), (here, 40002)),
        (phone, pcscf, (here, 40002), (there, 5100)),
        (pcscf, phone, (there, 6100), (here, 40001)),
    ):
        assert crossed(sender, receiver, udp(local, remote)) == udp(remote, local)
    assert {(one.is_inbound, one.packets) for one in phone.counted()} == {(True, 1), (False, 1)}


def test_an_answer_from_server_port_to_server_port_leaves_from_the_client_port() -> None:
    phone, pcscf = joined(a_set())
    assert crossed(phone, pcscf, udp((PHONE, 40002), (PCSCF, 6100))) == udp((PCSCF, 6100), (PHONE, 40001))
    assert crossed(pcscf, phone, udp((PCSCF, 6100), (PHONE, 40002))) == udp((PHONE, 40002), (PCSCF, 5100))


def test_the_new_set_is_used_once_it_was_heard_on() -> None:
    old, new = a_set(), a_set(Ends(258, 259, 40003, 40002), Ends(302, 303, 5101, 6100))
    phone, pcscf = joined(old, new)
    to_phone = udp((PCSCF, 6100), (PHONE, 40002))
    assert crossed(phone, pcscf, udp((PHONE, 40001), (PCSCF, 6100)))
    assert crossed(pcscf, phone, to_phone) == udp((PHONE, 40002), (PCSCF, 5100))
    assert crossed(phone, pcscf, udp((PHONE, 40003), (PCSCF, 6100)))
    assert crossed(pcscf, phone, to_phone) == udp((PHONE, 40002), (PCSCF, 5101))
    phone.release(old[0])
    assert phone.seal(b"late", udp((PHONE, 40001), (PCSCF, 6100))) is None
    assert phone.guards(udp((PHONE, 40001), (PCSCF, 6100)))  # so it is lost, and never leaves in the clear


def test_the_end_of_an_old_connection_brings_no_old_set_back() -> None:
    old, new = a_set(), a_set(Ends(258, 259, 40003, 40002), Ends(302, 303, 5101, 6100))
    phone, pcscf = joined(old, new)
    to_phone = udp((PCSCF, 6100), (PHONE, 40002))
    for client in (40001, 40003):
        assert crossed(phone, pcscf, udp((PHONE, client), (PCSCF, 6100)))
    first = tcp((PHONE, 40001), (PCSCF, 6100))
    assert crossed(phone, pcscf, first, segment.write(first.local, first.remote, b""))  # a RST, say
    assert crossed(pcscf, phone, to_phone) == udp((PHONE, 40002), (PCSCF, 5101))


def test_what_is_not_protected_is_left_alone() -> None:
    phone, _ = joined(a_set())
    plain = udp((PHONE, 5060), (PCSCF, 5060))
    assert not phone.guards(plain)
    assert phone.seal(b"SIP", plain) is None


def test_a_replay_and_a_wrong_key_are_dropped_and_counted() -> None:
    phone, pcscf = joined(a_set())
    packet = phone.seal(b"SIP", udp((PHONE, 40001), (PCSCF, 6100)))
    assert packet is not None
    there = Flow("ESP", packet.flow.remote, packet.flow.local)
    assert pcscf.open(packet.data, there)
    assert pcscf.open(packet.data, there) is None
    stranger = Shield()
    stranger.protect(a_set(ik=IK[:15] + b"?")[0])
    forged = stranger.seal(b"SIP", udp((PHONE, 40001), (PCSCF, 6100)))
    assert forged is not None
    assert pcscf.open(b"\0\0\1\x2d\0\0\0\2" + forged.data[8:], there) is None
    (server,) = (one for one in pcscf.counted() if one.association.spi == 301)
    assert (server.packets, server.replayed, server.forged) == (1, 1, 1)


def test_an_association_carries_its_own_ports_only() -> None:
    """RFC 4301 5.2: a right key does not open every door."""
    phone, pcscf = joined(a_set())
    liar = Shield()
    ours = a_set()[0]
    liar.protect(Associations(ours.suite, PHONE, PCSCF, OURS._replace(port_c=5060), THEIRS, ours.keys))
    assert crossed(liar, pcscf, udp((PHONE, 5060), (PCSCF, 6100))) is None
    packet = phone.seal(b"SIP", udp((PHONE, 40001), (PCSCF, 6100)))
    assert packet is not None
    assert pcscf.open(packet.data, Flow("ESP", Address(PCSCF, 0), Address("10.9.1.3", 0))) is None


@given(st.binary(max_size=80))
def test_no_packet_raises(junk: bytes) -> None:
    _, pcscf = joined(a_set())
    esp = Flow("ESP", Address(PCSCF, 0), Address(PHONE, 0))
    assert pcscf.open(junk, esp) is None
    assert pcscf.open((301).to_bytes(4, "big") + junk, esp) is None


def tcp(local: tuple[str, int], remote: tuple[str, int]) -> Flow:
    return udp(local, remote).over("TCP")


@pytest.mark.parametrize("suite", SUITES, ids=str)
@pytest.mark.parametrize("hosts", [(PHONE, PCSCF), ("2001:db8::2", "2001:db8::1")])
def test_a_connection_has_two_associations(suite: Suite, hosts: tuple[str, str]) -> None:
    """TS 33.203 7.1: what the phone asks goes by spi_ps, the answers come by spi_uc, and so the other way round."""
    here, there = hosts
    phone, pcscf = joined(a_set(suite=suite, hosts=hosts))
    for sender, receiver, local, remote in (
        (phone, pcscf, (here, 40001), (there, 6100)),
        (pcscf, phone, (there, 6100), (here, 40001)),
        (pcscf, phone, (there, 5100), (here, 40002)),
        (phone, pcscf, (here, 40002), (there, 5100)),
    ):
        written = segment.write(Address(*local), Address(*remote), b"SIP")
        assert crossed(sender, receiver, tcp(local, remote), written) == tcp(remote, local)
    assert {one.packets for one in phone.counted()} == {1}


def test_a_segment_is_sealed_between_its_own_ends_only() -> None:
    phone, pcscf = joined(a_set())
    whence = tcp((PCSCF, 6100), (PHONE, 40002))
    assert pcscf.way(whence) == tcp((PCSCF, 5100), (PHONE, 40002))  # TS 33.203 7.1: from port_pc
    written = segment.write(*whence[1:], b"INVITE")
    assert pcscf.seal(written, whence) is None
    assert pcscf.seal(b"no segment", tcp((PCSCF, 5100), (PHONE, 40002))) is None
    assert phone.way(tcp((PHONE, 5060), (PCSCF, 5060))) is None


@given(st.binary(max_size=80))
def test_whatever_a_kernel_writes_is_sealed_or_refused(junk: bytes) -> None:
    phone, pcscf = joined(a_set())
    flow = tcp((PHONE, 40001), (PCSCF, 6100))
    for data in (junk, flow.local.port.to_bytes(2, "big") + flow.remote.port.to_bytes(2, "big") + junk):
        packet = phone.seal(data, flow)
        if packet is not None:
            opened = pcscf.open(packet.data, Flow("ESP", packet.flow.remote, packet.flow.local))
            assert opened == (data, Flow("TCP", flow.remote, flow.local))


def test_ports_inside_that_are_not_the_associations_are_dropped() -> None:
    """RFC 4301 5.2, also for TCP."""
    _, pcscf = joined(a_set())
    liar = Shield()
    ours = a_set()[0]
    liar.protect(Associations(ours.suite, PHONE, PCSCF, OURS._replace(port_c=5060), THEIRS, ours.keys))
    flow = tcp((PHONE, 5060), (PCSCF, 6100))
    assert crossed(liar, pcscf, flow, segment.write(flow.local, flow.remote, b"SIP")) is None


def test_a_packet_goes_from_host_to_host() -> None:
    phone, _ = joined(a_set())
    packet = phone.seal(b"SIP", udp((PHONE, 40001), (PCSCF, 6100)))
    assert isinstance(packet, Packet)
    assert packet.flow == Flow("ESP", Address(PHONE, 0), Address(PCSCF, 0))


def test_what_did_not_pass_is_counted_by_its_reason() -> None:
    ours, theirs = a_set()
    phone, pcscf = joined((ours, theirs))
    assert crossed(phone, pcscf, REQUEST) is not None
    back = Flow("ESP", Address(PHONE, 0), Address(PCSCF, 0))
    phone.open((7777).to_bytes(4, "big") + bytes(60), back)
    phone.open((256).to_bytes(4, "big") + (1).to_bytes(4, "big") + bytes(60), back)
    elsewhere = Sealer(256, ours.suite, ours.keys).seal(
        datagram.write(Address(PCSCF, 6101), ours.own_client, b"SIP"), datagram.UDP
    )
    assert elsewhere is not None
    assert phone.open(elsewhere, back) is None
    assert phone.open(elsewhere, back) is None
    phone.note_plain(udp((PHONE, 40002), (PCSCF, 5060)))
    assert phone.passed(ours) == Passed(1, 1, 1, 1, 1, 1, 1)
    assert pcscf.passed(theirs) == Passed(0, 1)
    assert pcscf.passed(ours) == Passed()


def test_what_strangers_send_is_counted_with_nobody() -> None:
    ours, _ = a_set()
    phone, _ = joined(a_set())
    phone.open((7777).to_bytes(4, "big") + bytes(60), Flow("ESP", Address(PHONE, 0), Address("10.9.1.66", 0)))
    phone.note_plain(udp((PHONE, 40002), ("10.9.1.66", 5060)))
    assert phone.passed(ours) == Passed()


def test_the_set_that_has_been_silent_is_counted_with() -> None:
    first, second = a_set(), a_set(Ends(500, 501, 41001, 40002), Ends(600, 601, 5102, 6100))
    phone, _ = joined(first, second)
    phone.note_plain(udp((PHONE, 40002), (PCSCF, 5060)))
    assert phone.passed(second[0]).in_the_clear == 1
    assert phone.passed(first[0]).in_the_clear == 0
