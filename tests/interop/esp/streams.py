"""On the host, beside the guest: connections inside our ESP to the kernel's, both ways.

python streams.py SUITE HOST PEER NUMBER ──▶ the ports that each answer came between
"""

import asyncio
import json
import sys

from imsphone.ipsec.sa import SUITES, Associations, Ends, Keys
from imsphone.machine import Flow
from imsphone.net.protection import Outlets
from imsphone.net.sealing import Sealing

CK, IK = bytes(range(16)), bytes(range(16, 32))
PATIENCE_S = 5.0
MESSAGE = b"OPTIONS sip:a@b SIP/2.0\r\nContent-Length: 20003\r\n\r\n" + bytes(20000) + b"end"


async def main(name: str, host: str, peer: str, number: int) -> None:
    suite = {str(one): one for one in SUITES}[name]
    own = Ends(12000 + number, 13000 + number, 41000 + 2 * number, 41001 + 2 * number)
    theirs = Ends(14000 + number, 15000 + number, 6100 + number, 7100 + number)
    held = Associations(suite, host, peer, own, theirs, Keys.of(suite, CK, IK))
    came: asyncio.Queue[tuple[bytes, Flow]] = asyncio.Queue()
    outlets = Outlets(lambda data, flow: came.put_nowait((data, flow)), lambda flow: None, lambda *_: None)
    sealing = Sealing(outlets)
    try:
        assert "TCP" in sealing.protect(held)
        sealing.send(MESSAGE, Flow("TCP", held.own_client, held.peer_server))
        ports = []
        for _ in range(2):
            data, flow = await asyncio.wait_for(came.get(), PATIENCE_S)
            assert data == MESSAGE
            ports.append([flow.remote.port, flow.local.port])
        refused = sum(one.forged + one.replayed for one in sealing.counted())
    finally:
        sealing.close()
    print(json.dumps({"ports": ports, "refused": refused}))


asyncio.run(main(*sys.argv[1:4], int(sys.argv[4])))
