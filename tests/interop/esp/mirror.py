"""The far end of a phone's associations: sends back what comes, over TCP where it came from, over UDP from its client
port to the phone's server port, as a P-CSCF does. Some words ask for mischief.

python mirror.py own|kernel HOST/PHONE ...      holds twenty sets of associations for each pair of addresses
"""

import asyncio
import socket
import sys
from collections.abc import Callable
from typing import Any

from imsphone.ipsec import datagram
from imsphone.ipsec.sa import SUITES, Associations, Ends, Keys
from imsphone.machine import Address, Flow
from imsphone.net.kernel import KernelEsp
from imsphone.net.protection import Outlets, Protection
from imsphone.net.sealing import Sealing

CK, IK = bytes(range(16)), bytes(range(16, 32))
STRANGERS_PORT = 7777
SETS = 20


def association(host: str, mirror: str, number: int, ck: bytes = CK, ik: bytes = IK) -> Associations:
    """A set as the phone has it. The first six of ten have a suite each; the tenth has the ninth's server port, as
    after a refresh."""
    suite = SUITES[number % 10 % len(SUITES)]
    sharing = number - (number % 10 == 9)
    phone = Ends(2000 + number, 3000 + number, 40000 + 2 * number, 40001 + 2 * sharing)
    far = Ends(4000 + number, 5000 + number, 5100 + number, 6100 + number)
    return Associations(suite, host, mirror, phone, far, Keys.of(suite, ck, ik))


def message(body: bytes) -> bytes:
    return b"MESSAGE sip:mirror SIP/2.0\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


class Mirror:
    """One pair of addresses."""

    def __init__(self, way: Callable[[Outlets], Protection], host: str, phone: str) -> None:
        self.protection = way(Outlets(self.came, lambda flow: None, lambda *_: None))
        self.host = host
        self.sets: dict[int, Associations] = {}
        for number in range(SETS):
            its = association(phone, host, number)
            held = Associations(its.suite, host, phone, its.peer, its.own, its.keys)
            self.protection.protect(held)
            self.protection.prolong(held, 3600.0)
            self.sets[held.own.port_s] = held

    def came(self, data: bytes, flow: Flow) -> None:
        held = self.sets[flow.local.port]
        back = flow if flow.transport == "TCP" else Flow("UDP", held.own_client, held.peer_server)
        word = data.partition(b"\r\n\r\n")[2]
        if word == b"plain":
            family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
            with socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_UDP) as plain:
                for port in (held.own.port_c, STRANGERS_PORT):
                    packet = datagram.write(Address(self.host, port), held.peer_server, message(b"in the clear"))
                    plain.sendto(packet, (held.peer_host, 0))
        elif word == b"connect":
            data = message(b"connected" if self.connects(held.peer_server) else b"not connected")
        elif word in (b"replay", b"forge"):
            self.mischief(word, held, back)
        self.protection.send(data, back)

    def connects(self, target: Address) -> bool:
        """Whether a connection in the clear, from any port, comes up."""
        try:
            with socket.create_connection(target, 0.3, (self.host, 0)):
                return True
        except OSError:
            return False

    def mischief(self, word: bytes, held: Associations, back: Flow) -> None:
        """One packet more, a copy of which comes again or is not what it was."""
        sealing: Any = self.protection
        packet = sealing._shield.seal(message(b"once"), back)
        wire = sealing._wires[held.own_host]
        if word == b"replay":
            wire.send(packet.data, packet.flow)
            wire.send(packet.data, packet.flow)
        else:
            wire.send(packet.data[:-1] + bytes([packet.data[-1] ^ 1]), packet.flow)


async def main(way: str, *pairs: str) -> None:
    mirrors = [Mirror(KernelEsp if way == "kernel" else Sealing, *pair.split("/")) for pair in pairs]
    print("the mirror is up", flush=True)
    await asyncio.Event().wait()
    assert mirrors


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
