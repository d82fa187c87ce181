"""The far ends take texts, and one of them says them back."""

from __future__ import annotations

import pytest

from imsphone.lab.network import Network
from imsphone.lab.texting import reply, text_to
from imsphone.lab.world import World
from imsphone.machine import Ids
from imsphone.sip.message import Request
from imsphone.sip.validation import examine
from tests.lab.conftest import REALM, Registrant, header

IMPU = f"sip:alice@{REALM}"


def write(handset: Registrant, target: str, body: str = "hello") -> None:
    handset.send(
        f"MESSAGE {target} SIP/2.0\nVia: {{via}}\nMax-Forwards: 70\nFrom: <{IMPU}>;tag=mine\nTo: <{target}>\n"
        f"Call-ID: {target}\nCSeq: 1 MESSAGE\nContent-Type: text/plain\n\n{body}"
    )


@pytest.mark.parametrize(
    ("name", "status"), [("echo", 200), ("recorder", 200), ("silent", 200), ("busy", 486), ("nobody", 404)]
)
def test_who_takes_it(registered: Registrant, name: str, status: int) -> None:
    write(registered, f"sip:{name}@{REALM}")
    assert registered.next("SIP/2.0").startswith(f"SIP/2.0 {status}")


def test_the_echo_writes_back_to_whom_the_network_vouches_for(registered: Registrant) -> None:
    write(registered, f"sip:echo@{REALM}", "say it again")
    assert registered.next("SIP/2.0").startswith("SIP/2.0 200")
    back = registered.next("MESSAGE ")
    assert back.endswith("\r\n\r\nsay it again")
    assert header(back, "P-Asserted-Identity") == f"<sip:echo@{REALM}>"
    assert header(back, "Record-Route") == ""  # RFC 3428 4: there is no dialog whose path it could be
    assert header(back, "Content-Type") == "text/plain"


def test_it_writes_by_itself(world: World, network: Network, registered: Registrant) -> None:
    world.perform("far-end", network.far_end.text(IMPU, "are you there?", world.now))
    assert registered.next("MESSAGE ").endswith("are you there?")


def test_whom_nobody_vouches_for_gets_no_reply() -> None:
    ids = Ids(b"texting")
    request = text_to("sip:echo@home", "sip:alice@home", b"x", "text/plain", ids)
    request.headers.add("Via", "SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKx")
    assert examine(request) is None
    back = reply(request, ids)
    assert isinstance(back, Request)
    assert (back.uri, back.body) == ("sip:alice@home", b"x")
    request.headers.remove("P-Asserted-Identity")
    assert reply(request, ids) is None
