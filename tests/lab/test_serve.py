"""The lab on loopback sockets: one registration and one echo over real UDP and TCP, and an address that is taken."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import struct

import dns.message
import pytest

from imsphone.errors import NetworkError
from imsphone.lab.call import CallOver, CallUp
from imsphone.lab.network import Network
from imsphone.lab.serve import serve
from imsphone.machine import Address, Flow
from imsphone.trace import Trace
from tests.lab.conftest import REALM, Registrant, header

BASE = f"127.{os.getpid() % 199 + 30}.19"  # several test runs may share a machine


class _Wire:
    """What a handset takes for its World."""

    def __init__(self, own: socket.socket) -> None:
        self.own = own
        self.handset: Registrant

    def perform(self, _name: str, effects: list[object]) -> None:
        for effect in effects:
            self.own.sendto(effect.data, effect.flow.remote)  # type: ignore[attr-defined]

    def run_until(self, is_done: object, timeout_s: float) -> None:
        while not is_done():  # type: ignore[operator]
            self.own.settimeout(timeout_s)
            data, source = self.own.recvfrom(65535)
            self.handset.receive(data, Flow("UDP", self.handset.address, Address(*source)), 0.0)


def wired(network: Network, name: str) -> Registrant:
    own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    own.bind(("127.0.0.1", 0))
    wire = _Wire(own)
    handset = Registrant(wire, name, Address(*own.getsockname()), network.addresses["p-cscf"])  # type: ignore[arg-type]
    handset.account = network.accounts[name]
    handset.isim = handset.account.isim()
    wire.handset = handset
    return handset


async def test_a_registration_and_an_echo_over_sockets() -> None:
    network = Network(base=BASE)
    trace = Trace()
    told: list[tuple[str, object]] = []
    async with serve(network, trace=trace, on_event=lambda name, event: told.append((name, event))):
        alice = wired(network, "alice")

        def talk() -> str:
            answer = alice.come_in()
            sdp = "v=0\no=- 1 1 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio {} RTP/AVP 8\n"
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ear:
                ear.bind(("127.0.0.1", 0))
                ear.settimeout(5)
                alice.invite(f"sip:echo@{REALM}", sdp=sdp.format(ear.getsockname()[1]))
                ok = alice.next("SIP/2.0 200")
                alice.in_dialog("ACK", ok, "1")
                port = int(ok.partition("m=audio ")[2].partition(" ")[0])
                ear.sendto(struct.pack("!BBHII", 0x80, 8, 1, 160, 7) + b"hello" * 32, (f"{BASE}.50", port))
                assert ear.recv(2000)[12:] == b"hello" * 32
                alice.in_dialog("BYE", ok, "2")
                alice.next("SIP/2.0 200")
            return answer

        answer = await asyncio.to_thread(talk)
        assert header(answer, "Service-Route") == f"<sip:orig@{BASE}.30:5060;lr>"
        alice.world.own.close()  # type: ignore[attr-defined]
    assert [type(event) for name, event in told if name == "far-end"] == [CallUp, CallOver]
    who = {record.who for record in trace.records()}
    assert who == {"p-cscf", "i-cscf", "s-cscf", "hss", "far-end"}
    assert {record.protocol for record in trace.records()} == {"SIP", "DIAMETER", "RTP", "RTCP"}


async def test_the_name_server_answers_over_udp() -> None:
    network = Network(base=BASE)
    async with serve(network):
        query = dns.message.make_query(REALM, "NAPTR")
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
            own.setblocking(False)
            await loop.sock_sendto(own, query.to_wire(), network.addresses["dns"])
            data = await asyncio.wait_for(loop.sock_recv(own, 4096), 5)
    assert len(dns.message.from_wire(data).answer) == 1


async def test_an_address_that_is_taken_is_one_sentence_and_leaves_nothing_open() -> None:
    network = Network(base=BASE)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as thief:
        thief.bind(network.addresses["s-cscf"])
        with pytest.raises(NetworkError, match=re.escape(f"{BASE}.30")):
            async with serve(network):
                pass
    async with serve(Network(base=BASE)):
        pass


async def test_the_far_end_calls_on_command() -> None:
    network = Network(base=BASE)
    told: list[object] = []
    async with serve(network, on_event=lambda _name, event: told.append(event)) as lab:
        lab.perform("far-end", network.far_end.call, f"sip:nobody@{REALM}")
        for _ in range(100):
            if told:
                break
            await asyncio.sleep(0.02)
    [over] = told
    assert isinstance(over, CallOver)
    assert over.status == 404
