"""What a REGISTER carries, and what the next one does."""

from __future__ import annotations

from typing import Any

import pytest

from imsphone.ims.agent import Agent
from imsphone.ims.identity import Identity
from imsphone.ims.register import Register
from imsphone.machine import Address, Flow, Ids
from imsphone.profile import Profile
from imsphone.sip.message import Request, Response

FLOW = Flow("UDP", Address("127.0.20.1", 5060), Address("127.0.10.10", 5060))
ACCESS = "IEEE-802.11; i-wlan-node-id=ffffffffffff"


def registers(**keys: Any) -> Register:
    profile = Profile(**{"imsi": "001010000000001", "access_network_info": ACCESS} | keys)
    made = Register(Agent(profile, Identity.of(profile), Ids(b"r"), None))
    made.start()
    return made


def following(made: Register, *, is_known: bool = False) -> Request:
    return made.next(FLOW, "Digest x=y", is_known=is_known)


def test_one_call_id_and_a_cseq_that_counts_until_it_begins_anew() -> None:
    made = registers()
    first, second = following(made), following(made)
    assert (second.call_id, second.from_.tag) == (first.call_id, first.from_.tag)
    assert [first.cseq.number, second.cseq.number] == [1, 2]
    made.name_anew()
    third = following(made)
    assert third.call_id != first.call_id
    assert third.cseq.number == 1


def test_where_we_are_is_said_to_who_knows_us() -> None:
    """TS 24.229 5.1.1.2.1 h."""
    made = registers()
    assert "P-Access-Network-Info" not in following(made).headers
    assert following(made, is_known=True).headers.get("P-Access-Network-Info") == ACCESS


@pytest.mark.parametrize(("wanted", "supported"), [(True, ["path", "gruu"]), (False, ["path"])])
def test_a_network_that_dislikes_gruu_is_not_asked_for_it(wanted: bool, supported: list[str]) -> None:
    assert following(registers(gruu=wanted)).supported == supported


def test_one_of_several_flows_says_which() -> None:
    """RFC 5626 4.2.1."""
    profile = Profile(imsi="001010000000001", flows=2)
    agent = Agent(profile, Identity.of(profile), Ids(b"r"), None)
    second = Register(agent.beside(2))
    second.start()
    request = following(second)
    assert request.supported == ["path", "gruu", "outbound"]
    assert request.contacts[0].params["reg-id"] == "2"
    second.asks_outbound = False
    request = following(second)
    assert request.supported == ["path", "gruu"]
    assert "reg-id" not in request.contacts[0].params


def test_all_contacts_are_a_star_with_expires_0() -> None:
    """RFC 3261 10.2.2."""
    made = registers()
    made.remove(is_for_all=True)
    request = following(made)
    assert (request.headers.get("Contact"), request.expires) == ("*", 0)
    made.remove(is_for_all=False)
    assert not following(made).is_contact_star


def test_a_423_raises_what_is_asked_for_twice_and_no_more() -> None:
    made = registers(expires_s=60)
    for least_s, is_longer in ((90, True), (90, False), (120, True), (180, False)):
        response = Response(423, headers=[("Min-Expires", str(least_s))])
        assert made.is_longer(response) is is_longer
    assert following(made).expires == 120
