"""The far ends answer a call of a handset: SIP and RTP in octets written by hand."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imsphone.events import Violated
from imsphone.lab.network import Network
from imsphone.lab.peer import FarEnd
from imsphone.lab.world import World
from imsphone.machine import Address, Ask, Effect, Flow, Ids, Send
from tests.lab.conftest import REALM, Ear, Registrant, media_of, sdp

ECHO = f"sip:echo@{REALM}"


def test_busy(registered: Registrant) -> None:
    registered.invite(f"sip:busy@{REALM}", sdp=sdp())
    assert registered.next("SIP/2.0 4").startswith("SIP/2.0 486")


@pytest.mark.parametrize(
    ("line", "status"), [("Require: precondition", 420), ("Require: 100rel", 180)], ids=["precondition", "100rel"]
)
def test_what_a_caller_may_require(registered: Registrant, line: str, status: int) -> None:
    registered.invite(ECHO, line, sdp=sdp())
    registered.next("SIP/2.0 100")
    assert registered.next("SIP/2.0").startswith(f"SIP/2.0 {status}")


def test_a_dialog_that_is_unknown() -> None:
    """The P-CSCF would not let it come so far (TS 24.229 5.2.6.3.5), so it comes from the core."""
    far_end = FarEnd(Address("127.0.10.50", 5060), REALM, Address("127.0.10.20", 5060), Ids(b"x"))
    from_core = Flow("UDP", far_end.address, Address("127.0.10.30", 5060))
    lines = (
        f"BYE {ECHO} SIP/2.0", "Via: SIP/2.0/UDP 127.0.10.30:5060;branch=z9hG4bKx;rport", "Max-Forwards: 70",
        "From: <sip:a@b>;tag=1", f"To: <{ECHO}>;tag=2", "Call-ID: x", "CSeq: 2 BYE", "Content-Length: 0", "", "",
    )  # fmt: skip
    (answer,) = far_end.receive("\r\n".join(lines).encode(), from_core, 0.0)
    assert isinstance(answer, Send)
    assert answer.data.startswith(b"SIP/2.0 481")


def test_two_calls_have_two_addresses_and_the_next_one_uses_them_again(
    registered: Registrant, ear: Ear, world: World
) -> None:
    registered.invite(ECHO, sdp=sdp(), call_id="one")
    one = registered.next("SIP/2.0 200")
    registered.in_dialog("ACK", one, "1")
    registered.invite(ECHO, sdp=sdp(), call_id="two")
    two = registered.next("SIP/2.0 200")
    assert media_of(one) != media_of(two)
    registered.in_dialog("BYE", one, "2")
    registered.next("SIP/2.0 200 OK")
    registered.invite(ECHO, sdp=sdp(), call_id="three")
    while "three" not in (ok := registered.next("SIP/2.0 200")):
        pass
    assert media_of(ok) == media_of(one)


@given(
    st.lists(
        st.binary(max_size=60)
        | st.sampled_from(["INVITE", "ACK", "BYE", "PRACK", "CANCEL", "UPDATE", "OPTIONS", "REFER"]).flatmap(
            lambda method: st.tuples(
                st.just(method),
                st.sampled_from(["1", "2"]),
                st.sampled_from(["", ";tag=2"]),
                st.sampled_from(["", "Require: 100rel\r\n", "RAck: 1 1 INVITE\r\n", "Supported: 100rel\r\n"]),
                st.sampled_from(["", sdp(), "v=0\r\n", sdp(direction="inactive")]),
                st.integers(0, 4),
            )
        ),
        max_size=8,
    )
)
@settings(max_examples=200, deadline=None)
def test_any_octets_raise_nothing_and_leave_nothing_behind(inputs: list[bytes | tuple[object, ...]]) -> None:
    here = Address("127.0.10.50", 5060)
    machine = FarEnd(here, REALM, Address("127.0.10.20", 5060), Ids(b"x"))
    flow = Flow("UDP", here, Address("127.0.10.20", 5060))
    port = 40000

    def perform(effects: list[Effect]) -> None:
        nonlocal port
        for effect in effects:
            if isinstance(effect, Ask):
                port += 2
                perform(machine.answer(effect, Address(here.host, port) if port % 4 else None, now))

    now = 1.0
    for data in inputs:
        if isinstance(data, tuple):
            method, call, tag, line, body, cseq = data
            data = (
                f"{method} sip:echo@{REALM} SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK{call}{cseq}\r\n"
                f"From: <sip:a@b>;tag=1\r\nTo: <sip:echo@{REALM}>{tag}\r\nCall-ID: {call}\r\nCSeq: {cseq} {method}\r\n"
                f"Contact: <sip:a@127.0.0.1>\r\n{line}Content-Type: application/sdp\r\n\r\n{body}"
            ).encode()
        perform(machine.receive(data, flow, now))
        perform(machine.receive(data, Flow("UDP", Address(here.host, 40002), flow.remote), now))
        now += 0.3
        while (at := machine.deadline) is not None and at <= now:
            perform(machine.tick(now))
    for key in list(machine.calls):
        perform(machine.hang_up(key, now))
    for _ in range(3000):
        if (at := machine.deadline) is None:
            break
        perform(machine.tick(at))
    assert machine.deadline is None
    assert machine.calls == {}


def test_garbage_is_told(world: World, network: Network, registered: Registrant) -> None:
    machine = network.far_end
    [effect] = machine.receive(b"garbage", Flow("UDP", machine.address, registered.address), 1.0)
    assert isinstance(effect.event, Violated)  # type: ignore[union-attr]
