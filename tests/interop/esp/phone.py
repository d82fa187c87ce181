"""On the host, beside the guest: what our ESP says to the kernel's, one JSON line a question asked on standard input.

{"suite": "hmac-sha-1-96/null", "host": "10.93.0.2", "peer": "10.93.0.1", "number": 0, "key": "good", "length": 500}
──▶ {"answers": 1}
"""

import asyncio
import json
import sys

from imsphone.ipsec.sa import SUITES, Associations, Ends, Keys
from imsphone.ipsec.shield import Shield
from imsphone.machine import Address, Flow
from imsphone.net.esp import EspWire

CK, IK = bytes(range(16)), bytes(range(16, 32))
PATIENCE_S = 0.5


async def ask(question: dict[str, object], shields: dict[object, Shield]) -> int:
    """How many right answers a datagram brings; with `again` the same packet is sent twice."""
    host, peer, number = question["host"], question["peer"], int(question["number"])
    suite = {str(one): one for one in SUITES}[question["suite"]]
    ik = IK if question["key"] == "good" else bytes(16)
    own = Ends(2000 + number, 3000 + number, 40000 + 2 * number, 40001 + 2 * number)
    held = Associations(suite, host, peer, own, Ends(4000 + number, 5000 + number, 5100 + number, 6100 + number),
                        Keys.of(suite, CK if question["key"] == "good" else bytes(16), ik))  # fmt: skip
    shield = shields.get((host, number)) if question["key"] == "good" else None
    if shield is None:
        shield = Shield()
        shield.protect(held)
        if question["key"] == "good":
            shields[host, number] = shield
    data = bytes(index % 251 for index in range(int(question["length"])))
    answers: list[Flow] = []

    def came(packet: bytes, flow: Flow) -> None:
        opened = shield.open(packet, flow)
        if opened is not None and opened.data == data:
            answers.append(opened.flow)

    wire = EspWire(host, came)
    sealed = shield.seal(data, Flow("UDP", held.own_client, held.peer_server))
    for _ in range(2 if question.get("again") else 1):
        wire.send(*sealed)
    waited = 0.0
    while waited < PATIENCE_S and not (answers and not question.get("again")):
        await asyncio.sleep(0.02)
        waited += 0.02
    wire.close()
    expected = Flow("UDP", held.own_server, Address(peer, 5100 + number))
    assert all(flow == expected for flow in answers), answers
    return len(answers)


async def main() -> None:
    shields: dict[object, Shield] = {}
    for line in sys.stdin:
        print(json.dumps({"answers": await ask(json.loads(line), shields)}), flush=True)


asyncio.run(main())
