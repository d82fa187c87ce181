"""What the network would have us do instead, read without trust."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsphone.ims.alternative import MIME_TYPE, is_emergency, said
from imsphone.sip.message import Response

BODY = b"<ims-3gpp><alternative-service><type>emergency</type><reason>112</reason></alternative-service></ims-3gpp>"


def response(status: int = 380, body: bytes = BODY, kind: str = MIME_TYPE) -> Response:
    made = Response(status)
    made.set_body(body, kind)
    return made


def test_it_is_read() -> None:
    assert said(response())["reason"] == "112"
    assert is_emergency(response())


@pytest.mark.parametrize(
    "other",
    [response(503), response(kind="text/xml"), response(body=BODY.replace(b"emergency", b"other")), Response(380)],
)
def test_anything_else_offers_nothing(other: Response) -> None:
    assert not is_emergency(other)


@given(st.binary(max_size=200), st.integers(0, len(BODY)))
def test_no_body_raises(junk: bytes, at: int) -> None:
    said(response(body=BODY[:at] + junk))
