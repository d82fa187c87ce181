"""Which of several answers goes upstream (RFC 3261 16.7)."""

from __future__ import annotations

import pytest

from imsphone.lab.proxy import Forwarding
from imsphone.machine import Address, Flow
from imsphone.sip.client import ClientTransaction
from imsphone.sip.message import Request, Response
from imsphone.sip.server import ServerTransaction
from imsphone.sip.timers import RFC_3261

FLOW = Flow("UDP", Address("127.0.0.1", 5060), Address("127.0.0.2", 5060))


def request(branch: str) -> Request:
    via = f"SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK{branch}"
    return Request("INVITE", "sip:a@b", [("Via", via), ("CSeq", "1 INVITE")])


def forwarding(branches: int) -> tuple[Forwarding, list[ClientTransaction]]:
    server = ServerTransaction(request("up"), FLOW, RFC_3261, ("up", "127.0.0.1", 5060, "INVITE"), 0.0)
    one = Forwarding(server)
    clients = [ClientTransaction(request(str(number)), FLOW, RFC_3261, 0.0) for number in range(branches)]
    one.branches.update(dict.fromkeys(clients, 0.0))
    return one, clients


@pytest.mark.parametrize(
    ("statuses", "best"),
    [
        ([486], 486),
        ([486, 404], 486),
        ([500, 486], 486),
        ([302, 486], 302),
        ([486, 603], 603),
        ([404, 401], 401),
        ([480, 484, 486], 484),
        ([503], 500),
        ([503, 404], 404),
    ],
)
def test_the_best_answer_goes_up_once_all_are_there(statuses: list[int], best: int) -> None:
    one, clients = forwarding(len(statuses))
    for client, status in zip(clients[:-1], statuses[:-1], strict=True):
        client.fail()
        assert one.collect(Response(status)) is None
        assert clients[-1] in one.waiting()
    clients[-1].fail()
    chosen = one.collect(Response(statuses[-1]))
    assert chosen is not None
    assert chosen.status == best


def test_nothing_follows_an_answer() -> None:
    one, [client] = forwarding(1)
    one.server.respond(Response(200), 0.0)
    client.fail()
    assert one.collect(Response(486)) is None


@pytest.mark.parametrize(("status", "goes_on"), [(408, True), (430, True), (503, True), (486, False), (404, False)])
def test_another_flow_of_a_device_is_for_who_did_not_get_through(status: int, goes_on: bool) -> None:
    """RFC 5626 5.3."""
    one, [client] = forwarding(1)
    one.spares[client] = [(request("spare"), FLOW)]
    assert bool(one.spare(client, status)) is goes_on
    assert one.spare(client, 430) == []  # each once


def test_a_caller_who_gave_up_is_not_sent_to_another_flow() -> None:
    one, [client] = forwarding(1)
    one.spares[client] = [(request("spare"), FLOW)]
    client.is_cancelled = True
    assert one.spare(client, 430) == []


def test_every_challenge_goes_up_with_the_best_one() -> None:
    one, clients = forwarding(3)
    answers = [
        Response(401, headers=[("WWW-Authenticate", 'Digest realm="a", nonce="1"')]),
        Response(486),
        Response(407, headers=[("Proxy-Authenticate", 'Digest realm="b", nonce="2"')]),
    ]
    for client, answer in zip(clients, answers, strict=True):
        client.fail()
        best = one.collect(answer)
    assert best is answers[0]
    assert best.headers.get("WWW-Authenticate") == 'Digest realm="a", nonce="1"'
    assert best.headers.get("Proxy-Authenticate") == 'Digest realm="b", nonce="2"'  # RFC 3261 16.7 step 7
