"""The way to the P-CSCF is watched, and given up for another when it no longer stands (RFC 6223, RFC 5626 4.4)."""

from __future__ import annotations

from typing import Any

import pytest

from imsphone.events import Deregistered
from imsphone.machine import Address, Resolve
from imsphone.sip import stun
from imsphone.sip.message import Request

TCP = "TCP"
SERVICE_ROUTE = "<sip:orig@scscf.ims.example:5060;lr>"


def granted(make_bench: Any, keep: str, *, transport: str = "UDP", **keys: Any) -> Any:
    """A phone whose P-CSCF wrote `;keep=…` (or nothing) into the Via of the 200."""
    bench = make_bench(**keys)
    flow = bench.flow.over(transport)
    bench.do(bench.ue.register)
    bench.answer((flow,))
    assert "keep" in bench.request.via.params  # TS 24.229 5.1.1.2.1
    contact = (bench.request.headers.get("Contact") or "").partition(";+sip")[0]
    fields = f"Contact: {contact};expires=3600\nService-Route: {SERVICE_ROUTE}"
    answer = bench.response("200 OK", fields, "", bench.request)
    bench.hear(answer.replace(b";keep", keep.encode()), flow=flow)
    assert bench.ue.is_registered
    bench.forget()
    return bench


def test_without_the_networks_word_nothing_is_sent(make_bench: Any) -> None:
    bench = granted(make_bench, ";keep")
    bench.wait(1000)
    assert bench.sent == []


def test_reg_18_the_network_says_how_often(make_bench: Any) -> None:
    """REG-18: at 80 per cent of the time at least, at all of it at most."""
    bench = granted(make_bench, ";keep=100")
    for _ in range(5):
        before = bench.now
        while not bench.sent:
            bench.wait(1)
        assert 79 <= bench.now - before <= 101
        (data,) = set(bench.sent)
        assert stun.is_request(data)
        bench.hear(stun.success(data, Address("127.0.20.1", 5060)))
        bench.forget()
    assert bench.ue.is_registered


def test_a_connection_of_tls_that_breaks_is_opened_again_though_nobody_asked_for_keep_alives(make_bench: Any) -> None:
    """Nobody could reach us: a phone takes no connections of TLS."""
    bench = make_bench(transport="TLS")
    bench.do(bench.ue.register)
    bench.answer((bench.flow.over("TLS"),))
    bench.challenge()
    bench.answer(bench.success)
    bench.grant()
    bench.do(bench.ue.lost, bench.flow.over("TLS"))
    assert not bench.ue.is_registered
    assert bench.asked


def test_over_tcp_it_is_two_line_ends(make_bench: Any) -> None:
    bench = granted(make_bench, ";keep=0", transport=TCP)
    bench.wait(121)
    assert bench.sent == [b"\r\n\r\n"]
    bench.do(bench.ue.lost, bench.flow.over(TCP))
    assert bench.question(Resolve)


def test_no_answer_to_stun_means_another_way(make_bench: Any) -> None:
    bench = granted(make_bench, ";keep=100")
    bench.wait(100)
    bench.hear(stun.success(stun.request(bytes(12)), Address("127.0.20.1", 5060)))  # not the answer to ours
    bench.wait(6)
    assert len(bench.sent) == 4  # one and its repeats
    assert len(set(bench.sent)) == 1
    assert [event.by for event in bench.events(Deregistered)] == ["network"]
    assert bench.question(Resolve)


@pytest.fixture
def asking(make_bench: Any) -> Any:
    """A phone that asks every five seconds."""
    return granted(make_bench, ";keep", keep_alive_s=5)


def options(bench: Any) -> list[Request]:
    return [request for request in bench.requests if request.method == "OPTIONS"]


def test_any_answer_to_options_is_a_sign_of_life(asking: Any) -> None:
    for count in range(1, 5):
        asking.wait(5)
        assert len(options(asking)) == count
        asking.reply("403 Forbidden", to=options(asking)[-1])  # so it always says
    assert asking.ue.is_registered
    assert asking.asked == []


def test_options_take_the_way_that_is_for_registered_phones_alone(asking: Any) -> None:
    asking.wait(1)  # the first comes soon: what the answer usually is wants to be known
    (request,) = options(asking)
    assert request.uri == "sip:ims.mnc001.mcc001.3gppnetwork.org"
    assert request.headers.get_all("Route") == [
        f"<sip:{asking.flow.remote};lr>",
        SERVICE_ROUTE,
    ]


def test_another_answer_than_before_means_that_we_are_forgotten(asking: Any) -> None:
    asking.wait(5)
    asking.reply("200 OK", to=options(asking)[-1])
    asking.wait(5)
    asking.reply("403 Register First", to=options(asking)[-1])
    assert not asking.ue.is_registered
    assert asking.question(Resolve)


def test_two_that_stay_without_an_answer_are_enough(asking: Any) -> None:
    asking.wait(8)  # asked after 1 s and 6 s, and given up 2.5 s later
    assert asking.ue.is_registered
    asking.wait(1)
    assert not asking.ue.is_registered
    asking.answer((asking.flow,))
    assert asking.request.method == "REGISTER"


def test_nothing_is_asked_after_leaving(asking: Any) -> None:
    asking.do(asking.ue.deregister)
    asking.reply("200 OK")
    asking.forget()
    asking.wait(60)
    assert asking.sent == []
