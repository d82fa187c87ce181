"""What a 200 to REGISTER gives, line by line."""

from __future__ import annotations

import pytest

from imsphone.ims.grant import binding_of, granted_s, own_contact
from imsphone.machine import Address, Flow
from imsphone.sip.message import Response
from imsphone.sip.uri import Uri

FLOW = Flow("UDP", Address("127.0.20.1", 5060), Address("127.0.10.10", 5060))
VIA = ("Via", "SIP/2.0/UDP 127.0.20.1;branch=z9hG4bK1")


def is_own(uri: Uri) -> bool:
    return uri.user == "me"


def test_a_whole_binding() -> None:
    response = Response(200, headers=[VIA])
    for name, value in (
        ("P-Associated-URI", "<sip:a@x>, <tel:+1>"),
        ("Service-Route", "<sip:orig@s;lr>"),
        ("Path", "<sip:t@p;lr>"),
    ):
        response.headers.add(name, value)
    binding = binding_of(response, FLOW, "sip:imsi@x")
    assert (binding.impu, binding.impus) == ("sip:a@x", ("sip:a@x", "tel:+1"))
    assert (binding.service_route, binding.paths) == (("<sip:orig@s;lr>",), ("<sip:t@p;lr>",))
    assert (binding.flow, binding.keep_s) == (FLOW, None)


@pytest.mark.parametrize(("param", "keep_s"), [(";keep=30", 30), (";keep=0", 0), (";keep", None), (";keep=soon", None)])
def test_keep_is_granted_with_a_value_only(param: str, keep_s: int | None) -> None:
    """RFC 6223 4.3."""
    response = Response(200, headers=[(VIA[0], VIA[1] + param)])
    assert binding_of(response, FLOW, "sip:a@x").keep_s == keep_s


@pytest.mark.parametrize(("reg_id", "expires"), [(0, "5"), (1, "5"), (2, "9"), (3, "5")])
def test_of_several_flows_ours_is_the_one_with_our_reg_id(reg_id: int, expires: str) -> None:
    """RFC 5626 4.2.1; a network that takes no flows apart may have left it out."""
    contacts = "<sip:x@h>;reg-id=2, <sip:me@h>;reg-id=1;expires=5, <sip:me@h>;reg-id=2;expires=9"
    own = own_contact(Response(200, headers=[VIA, ("Contact", contacts)]), is_own, reg_id)
    assert own is not None
    assert own.params["expires"] == expires


@pytest.mark.parametrize(
    ("lines", "seconds"),
    [
        ([], 600),
        ([("Expires", "77")], 77),
        ([("Contact", "<sip:me@h>;expires=5"), ("Expires", "77")], 5),
        ([("Contact", "<sip:me@h>"), ("Expires", "77")], 77),
        ([("Contact", "<sip:other@h>;expires=9, <sip:me@h>;expires=5")], 5),
        ([("Contact", "<sip:other@h>;expires=9")], 0),
    ],
)
def test_the_seconds_of_our_own_contact(lines: list[tuple[str, str]], seconds: int) -> None:
    response = Response(200, headers=[VIA, *lines])
    assert granted_s(response, own_contact(response, is_own), 600) == seconds
