"""Flows as one phone sees them, answer by answer (whole journeys: tests/journeys/test_outbound.py)."""

from __future__ import annotations

from typing import Any

import pytest

from imsphone.events import Deregistered, FlowLost, FlowOpened, Registered, RegistrationFailed
from imsphone.machine import Address, Flow
from imsphone.sip.message import Request

LOCAL = Address("127.0.20.1", 5060)
FIRST = Flow("UDP", LOCAL, Address("127.0.10.10", 5060))
SECOND = Flow("UDP", LOCAL, Address("127.0.10.11", 5060))


@pytest.fixture
def phone(make_bench: Any) -> Any:
    """A phone that wants two flows, the first of which the network has granted, with outbound."""
    bench = make_bench(flows=2, pcscf=None)
    bench.do(bench.ue.register)
    bench.answer((FIRST, SECOND))
    bench.challenge()
    bench.answer(bench.success)
    grant(bench)
    return bench


def grant(bench: Any, request: Request | None = None) -> None:
    request = request or bench.request
    contact = (request.headers.get("Contact") or "") + ";expires=3600"
    bench.reply("200 OK", f"Contact: {contact}\nRequire: outbound\nService-Route: <sip:orig@s;lr>", to=request)


def open_second(bench: Any) -> None:
    bench.answer((FIRST, SECOND))
    bench.challenge()
    bench.answer(bench.success)
    grant(bench)


def test_the_second_goes_to_a_pcscf_that_the_first_does_not_use(phone: Any) -> None:
    assert [type(event) for event in phone.events(Registered, FlowOpened)] == [Registered]
    open_second(phone)
    assert phone.flows[-1] == SECOND
    assert [type(event) for event in phone.events(Registered, FlowOpened)] == [Registered, FlowOpened]


def test_who_refuses_the_second_flow_takes_nothing_away(phone: Any) -> None:
    phone.answer((FIRST, SECOND))
    phone.reply("403 Forbidden")
    assert phone.events(RegistrationFailed) == []
    (lost,) = phone.events(FlowLost)
    assert lost.flow == 2
    assert phone.ue.is_registered


def test_while_the_second_is_not_there_the_first_is_the_way(phone: Any) -> None:
    open_second(phone)
    phone.forget()
    phone.call()
    assert phone.flows[-1] == FIRST


def test_leaving_in_the_middle_opens_no_further_flow(make_bench: Any) -> None:
    bench = make_bench(flows=2, pcscf=None)
    bench.do(bench.ue.register)
    bench.answer((FIRST, SECOND))
    bench.challenge()
    bench.do(bench.ue.deregister)
    bench.wait(200)
    bench.answer(bench.success)
    registered = bench.request
    grant(bench, registered)
    assert bench.request.expires == 0
    assert bench.asked == []
    bench.reply("200 OK")
    assert bench.events(Deregistered)
    assert not bench.ue.is_registered
