"""Who is in a dialog, and by which route."""

from __future__ import annotations

import pytest

from imsphone.lab.dialogs import Dialogs
from imsphone.sip.message import Request, Response

OWN, CORE, FAR = "<sip:token@127.0.10.10:5060;lr>", "<sip:127.0.10.30:5060;lr>", "<sip:far@127.0.10.50;lr>"


def request(method: str = "INVITE", from_tag: str = "p", to_tag: str = "", call_id: str = "c", *routes: str) -> Request:
    made = Request(method, "sip:b@b.example")
    made.headers.add("From", f"<sip:a@a.example>;tag={from_tag}")
    made.headers.add("To", "<sip:b@b.example>" + (f";tag={to_tag}" if to_tag else ""))
    made.headers.add("Call-ID", call_id)
    for route in routes:
        made.headers.add("Record-Route", route)
    return made


def response(status: int, to_tag: str = "f", *routes: str) -> Response:
    made = Response(status)
    made.headers.add("To", f"<sip:b@b.example>;tag={to_tag}")
    for route in routes:
        made.headers.add("Record-Route", route)
    return made


def test_a_phone_is_in_the_dialogs_that_it_began() -> None:
    dialogs = Dialogs()
    dialogs.begun_by_phone(request(), response(183, "f", FAR, CORE, OWN))
    dialogs.begun_by_phone(request(), response(200, "g", CORE, OWN))  # another leg
    assert dialogs.route_of(request("PRACK", "p", "f")) == ("sip:127.0.10.30:5060;lr", "sip:far@127.0.10.50;lr")
    assert dialogs.route_of(request("BYE", "p", "g")) == ("sip:127.0.10.30:5060;lr",)
    assert dialogs.route_of(request("BYE", "p", "g")) is None
    assert dialogs.route_of(request("PRACK", "p", "invented")) is None
    assert dialogs.route_of(request("PRACK", "p", "f", "another")) is None
    assert len(dialogs) == 1


def test_both_entries_of_a_p_cscf_that_is_reached_by_tls_are_its_own() -> None:
    dialogs = Dialogs()
    secure = "<sip:token@127.0.10.10:5061;transport=tls;lr>"
    dialogs.begun_by_phone(request(), response(200, "f", CORE, OWN, secure))
    dialogs.begun_by_core(request("INVITE", "f", "", "d", secure, OWN, CORE), response(200, "p"))
    for call in ("c", "d"):
        assert dialogs.route_of(request("UPDATE", "p", "f", call)) == ("sip:127.0.10.30:5060;lr",)


def test_and_in_those_that_it_was_called_into() -> None:
    dialogs = Dialogs()
    dialogs.begun_by_core(request("INVITE", "f", "", "c", OWN, CORE), response(180, "p"))
    assert dialogs.route_of(request("UPDATE", "p", "f")) == ("sip:127.0.10.30:5060;lr",)
    assert dialogs.route_of(request("UPDATE", "f", "p")) is None
    dialogs.ended_by_core(request("UPDATE", "f", "p"))
    assert len(dialogs) == 1
    dialogs.ended_by_core(request("BYE", "f", "p"))
    assert len(dialogs) == 0


@pytest.mark.parametrize(("method", "status"), [("MESSAGE", 200), ("INVITE", 486), ("OPTIONS", 200)])
def test_not_every_answer_makes_a_dialog(method: str, status: int) -> None:
    dialogs = Dialogs()
    dialogs.begun_by_phone(request(method), response(status))
    assert len(dialogs) == 0


def test_the_quietest_is_forgotten_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imsphone.lab.dialogs._MOST", 2)
    dialogs = Dialogs()
    for call in ("one", "two"):
        dialogs.begun_by_phone(request(call_id=call), response(200, "f", OWN))
    dialogs.route_of(request("UPDATE", "p", "f", "one"))
    dialogs.begun_by_phone(request(call_id="three"), response(200, "f", OWN))
    assert [dialogs.route_of(request("UPDATE", "p", "f", call)) for call in ("one", "two", "three")] == [(), None, ()]
