"""A 504 bids us to register anew only where it proves to come from our registrar (TS 24.229 5.1.2A.1.6)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsphone.ims.agent import Binding
from imsphone.ims.restoration import asks_for_registration
from imsphone.machine import Address, Flow
from imsphone.sip.message import Response

FLOW = Flow("UDP", Address("127.0.20.1", 5060), Address("127.0.10.10", 5060))
BINDING = Binding(FLOW, "sip:a@x", ("sip:a@x",), ("<sip:first;lr>", "<sip:orig@scscf;lr>"), ("<sip:t@pcscf;lr>",))
# TS 24.229 7.6.2, the elements of an S-CSCF restoration
BODY = (
    b'<?xml version="1.0"?><ims-3gpp version="1"><alternative-service><type>restoration</type>'
    b"<reason/><action>initial-registration</action></alternative-service></ims-3gpp>"
)


def response(status: int = 504, asserted: str = "<sip:orig@scscf;lr>", body: bytes = BODY) -> Response:
    made = Response(status, headers=[("P-Asserted-Identity", asserted)])
    made.set_body(body, "application/3gpp-ims+xml")
    return made


@pytest.mark.parametrize("asserted", ["<sip:orig@scscf;lr>", "<sip:t@pcscf;lr>"])
def test_it_counts_with_the_word_of_the_registrar(asserted: str) -> None:
    assert asks_for_registration(response(asserted=asserted), BINDING)


@pytest.mark.parametrize(
    "other",
    [
        response(503),
        response(asserted="<sip:somebody@else>"),
        response(asserted="<sip:first;lr>"),
        response(body=BODY.replace(b"restoration", b"emergency")),
        response(body=BODY.replace(b"initial-registration", b"none")),
        response(body=b"<"),
        Response(504, headers=[("P-Asserted-Identity", "<sip:orig@scscf;lr>")]),
    ],
)
def test_anything_else_does_not(other: Response) -> None:
    assert not asks_for_registration(other, BINDING)


def test_who_is_not_registered_has_nothing_to_lose() -> None:
    assert not asks_for_registration(response(), None)


@given(st.binary(max_size=200), st.integers(0, len(BODY)))
def test_no_body_raises(junk: bytes, at: int) -> None:
    asks_for_registration(response(body=BODY[:at] + junk), BINDING)
