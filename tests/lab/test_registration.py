"""REGISTER as the S-CSCF of a whole network handles it, told in octets written by hand (TS 24.229 5.4.1)."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable

import pytest

from imsphone.lab.network import Network
from imsphone.lab.registration import Terms
from imsphone.lab.world import World
from imsphone.usim.isim import SqnMemory
from tests.lab.conftest import REALM, Registrant, header, headers, md5


def crossings(world: World, *names: str) -> list[str]:
    """Who sent what to whom, requests and answers by their first words."""
    known = {node.host: name for name, node in Network().addresses.items()}
    lines = []
    for crossing in world.trace.crossings():  # type: ignore[union-attr]
        record = crossing.record
        to = known.get(record.flow.remote.host, record.flow.remote.host)
        if record.protocol == "SIP" and (not names or record.who in names):
            first = record.data.split(b"\r\n", 1)[0].decode()
            lines.append(f"{record.who} → {to}: {first.split()[1] if first.startswith('SIP') else first.split()[0]}")
    return lines


def commands(world: World) -> list[str]:
    """The Diameter commands that crossed, by their abbreviations."""
    names = {257: "CE", 300: "UA", 301: "SA", 302: "LI", 303: "MA", 280: "DW"}
    return [
        names[int.from_bytes(record.data[5:8], "big")] + ("R" if record.data[4] & 0x80 else "A")
        for record in world.trace.records()  # type: ignore[union-attr]
        if record.protocol == "DIAMETER" and record.direction == "sent"
    ]


def test_the_whole_way_of_a_registration(alice: Registrant, world: World) -> None:
    alice.come_in()
    once = [
        "alice → p-cscf: REGISTER",
        "p-cscf → i-cscf: REGISTER",
        "i-cscf → s-cscf: REGISTER",
        "s-cscf → i-cscf: {}",
        "i-cscf → p-cscf: {}",
        "p-cscf → 127.0.0.11: {}",
    ]
    assert crossings(world) == [line.format(401) for line in once] + [line.format(200) for line in once]
    assert commands(world) == "CER CEA UAR UAA CER CEA MAR MAA UAR UAA SAR SAA".split()


def test_the_challenge_is_aka_and_its_keys_stay_in_the_core(alice: Registrant, world: World) -> None:
    seen: list[str] = []
    world.machine("p-cscf").receive = _tap(world.machine("p-cscf").receive, seen)  # type: ignore[method-assign]
    challenge = header(alice.register(alice.first_authorization()), "WWW-Authenticate")
    assert "algorithm=AKAv1-MD5" in challenge
    assert 'qop="auth"' in challenge
    assert re.search(r'nonce="[A-Za-z0-9+/]{43}="', challenge)  # base64 of 32 octets
    assert "ck=" not in challenge
    assert "ik=" not in challenge
    [inner] = [text for text in seen if text.startswith("SIP/2.0 401")]
    assert re.search(r'ck="[0-9a-f]{32}"', inner)
    assert re.search(r'ik="[0-9a-f]{32}"', inner)
    keys = re.findall(r'[ci]k="([0-9a-f]{32})"', inner)
    for record in world.trace.records():  # type: ignore[union-attr]
        for key in keys:
            assert key.encode() not in record.data
            assert bytes.fromhex(key) not in record.data


def _tap(receive: Callable[..., object], seen: list[str]) -> Callable[..., object]:
    def tapped(data: bytes, flow: object, now: float) -> object:
        seen.append(data.decode())
        return receive(data, flow, now)

    return tapped


def test_what_the_200_grants(alice: Registrant) -> None:
    answer = alice.come_in()
    assert headers(answer, "P-Associated-URI") == [f"<sip:alice@{REALM}>", "<tel:+001010000001>"]
    assert header(answer, "Service-Route") == "<sip:orig@127.0.10.30:5060;lr>"
    assert header(answer, "Contact") == "<sip:001010000000001@127.0.0.11:5060>;expires=600000"
    assert "127.0.10.10" in header(answer, "Path")


def test_a_wrong_res_is_forbidden_and_the_hss_hears_of_it(alice: Registrant, world: World) -> None:
    challenge = alice.register(alice.first_authorization())
    answer = alice.register(alice.proof(challenge, password=b"12345678"))
    assert answer.startswith("SIP/2.0 403")
    world.run_for(0.1)
    assert commands(world)[-2:] == ["SAR", "SAA"]
    assert alice.register(alice.first_authorization()).startswith("SIP/2.0 401")


def test_an_answer_with_another_call_id_answers_no_challenge(alice: Registrant) -> None:
    challenge = alice.register(alice.first_authorization())
    proof = alice.proof(challenge)
    alice.call_id = "another"
    assert alice.register(proof).startswith("SIP/2.0 401")


def test_the_same_answer_twice_is_challenged_anew(alice: Registrant) -> None:
    proof = alice.proof(alice.register(alice.first_authorization()))
    assert alice.register(proof).startswith("SIP/2.0 200")
    assert alice.register(proof).startswith("SIP/2.0 401")


@pytest.mark.parametrize(
    "changes",
    [
        {"username": f"001010000000099@{REALM}"},  # unknown
        {"username": f"001010000000002@{REALM}"},  # bob's
        {"realm": "elsewhere.example"},
    ],
)
def test_a_private_identity_that_is_unknown_or_of_somebody_else_is_forbidden(
    alice: Registrant, changes: dict[str, str]
) -> None:
    assert alice.register(alice.first_authorization(**changes)).startswith("SIP/2.0 403")


def test_an_unknown_public_identity_is_forbidden(alice: Registrant) -> None:
    answer = alice.register(alice.first_authorization(), impu=f"sip:nobody@{REALM}")
    assert answer.startswith("SIP/2.0 403")


def test_what_the_registrar_does_not_understand_is_said(alice: Registrant) -> None:
    answer = alice.register(alice.first_authorization() + "\nRequire: gruu")
    assert answer.startswith("SIP/2.0 420")
    assert header(answer, "Unsupported") == "gruu"


def test_without_authorization_the_private_identity_is_the_public_one(alice: Registrant) -> None:
    answer = alice.register()
    assert answer.startswith("SIP/2.0 401")
    assert alice.register(alice.proof(answer)).startswith("SIP/2.0 200")


def test_a_sim_that_is_ahead_is_caught_up_with(alice: Registrant, world: World) -> None:
    alice.isim.memory = SqnMemory(tuple([900] * 32))
    first = alice.register(alice.first_authorization())
    second = alice.register(alice.proof(first))
    assert second.startswith("SIP/2.0 401")
    assert alice.register(alice.proof(second)).startswith("SIP/2.0 200")
    assert commands(world).count("MAR") == 2


def test_resynchronisation_does_not_go_on_for_ever(alice: Registrant) -> None:
    challenge = alice.register(alice.first_authorization())
    for number in range(1, 3):
        alice.isim.memory = SqnMemory(tuple([10_000 * number] * 32))
        challenge = alice.register(alice.proof(challenge))
        assert challenge.startswith("SIP/2.0 401")
    alice.isim.memory = SqnMemory(tuple([90_000] * 32))
    assert alice.register(alice.proof(challenge)).startswith("SIP/2.0 403")


def test_a_forged_auts_is_forbidden(alice: Registrant) -> None:
    challenge = alice.register(alice.first_authorization())
    answer = alice.register(alice.proof(challenge, password=b"", auts=bytes(14)))
    assert answer.startswith("SIP/2.0 403")


def test_a_phone_that_does_not_believe_us_gets_two_more_challenges(alice: Registrant) -> None:
    answer = alice.register(alice.first_authorization())
    for _ in range(2):
        refusal = re.sub(r'response="[^"]*"', 'response=""', alice.proof(answer, password=b""))
        answer = alice.register(refusal)
        assert answer.startswith("SIP/2.0 401")
    refusal = re.sub(r'response="[^"]*"', 'response=""', alice.proof(answer, password=b""))
    assert alice.register(refusal).startswith("SIP/2.0 403")


@pytest.mark.parametrize("terms", [Terms(min_expires_s=600)])
def test_too_short_a_time_is_answered_with_the_shortest_possible(alice: Registrant) -> None:
    challenge = alice.register(alice.first_authorization(), expires=60)
    answer = alice.register(alice.proof(challenge), expires=60)
    assert answer.startswith("SIP/2.0 423")
    assert header(answer, "Min-Expires") == "600"
    challenge = alice.register(alice.first_authorization(), expires=600)
    assert alice.register(alice.proof(challenge), expires=600).startswith("SIP/2.0 200")


@pytest.mark.parametrize("terms", [Terms(max_expires_s=3600)])
def test_no_more_is_granted_than_the_network_gives(alice: Registrant) -> None:
    assert header(alice.come_in(), "Contact").endswith(";expires=3600")
    contact = f"<sip:alice@{alice.address}>;expires=120"
    assert header(alice.come_in(contact=contact, expires=None), "Contact").endswith(";expires=120")


def test_a_registration_ends_with_its_time(alice: Registrant, world: World) -> None:
    alice.come_in(expires=600)
    world.run_for(599)
    assert len(world.machine("s-cscf").registering.registrar) == 1  # type: ignore[attr-defined]
    world.run_for(2)
    assert len(world.machine("s-cscf").registering.registrar) == 0  # type: ignore[attr-defined]
    assert commands(world)[-2:] == ["SAR", "SAA"]
    alice.invite(f"sip:bob@{REALM}")
    assert alice.next("SIP/2.0 4").startswith("SIP/2.0 403")


def test_a_refresh_keeps_the_contact_and_asks_for_no_profile(alice: Registrant, world: World) -> None:
    first = alice.come_in(expires=600)
    world.run_for(300)
    second = alice.come_in(expires=600)
    assert headers(second, "Contact") == [f"<sip:001010000000001@{alice.address}>;expires=600"]
    assert header(first, "Path") == header(second, "Path")
    world.run_for(500)
    assert len(world.machine("s-cscf").registering.registrar) == 1  # type: ignore[attr-defined]


@pytest.mark.parametrize("terms", [Terms(is_every_refresh_challenged=False)])
def test_a_refresh_may_go_with_the_old_nonce_where_the_network_says_so(
    alice: Registrant, network: Network, world: World
) -> None:
    challenge = alice.register(alice.first_authorization())
    first = alice.proof(challenge)
    assert alice.register(first).startswith("SIP/2.0 200")
    token = base64.b64decode(challenge.partition('nonce="')[2].partition('"')[0])
    res = network.accounts["alice"].isim().authenticate(token[:16], token[16:32]).res  # type: ignore[union-attr]
    world.run_for(3600)
    assert alice.register(alice.proof(challenge, password=res, nc=2)).startswith("SIP/2.0 200")
    assert alice.register(alice.proof(challenge, password=res, nc=2)).startswith("SIP/2.0 403")  # a replay


@pytest.mark.parametrize("terms", [Terms(is_every_refresh_challenged=False)])
def test_a_proof_that_nothing_counts_is_good_once(alice: Registrant, network: Network) -> None:
    """RFC 3261 22.4 step 8 lets a client leave qop out; then nothing tells a replay from a refresh."""
    challenge = alice.register(alice.first_authorization())
    nonce = challenge.partition('nonce="')[2].partition('"')[0]
    token = base64.b64decode(nonce)
    res = network.accounts["alice"].isim().authenticate(token[:16], token[16:32]).res  # type: ignore[union-attr]
    ha1 = md5(f"{alice.account.impi}:{REALM}:".encode() + res)
    response = md5(f"{ha1}:{nonce}:{md5(f'REGISTER:sip:{REALM}')}")  # RFC 2617 3.2.2.1, without qop
    proof = alice.first_authorization(nonce=nonce, response=response) + ", algorithm=AKAv1-MD5"
    assert alice.register(proof).startswith("SIP/2.0 200")
    assert alice.register(proof).startswith("SIP/2.0 401")


@pytest.mark.parametrize("terms", [Terms(is_every_refresh_challenged=False)])
def test_a_new_contact_wants_a_new_challenge(alice: Registrant, network: Network) -> None:
    challenge = alice.register(alice.first_authorization())
    assert alice.register(alice.proof(challenge)).startswith("SIP/2.0 200")
    token = base64.b64decode(challenge.partition('nonce="')[2].partition('"')[0])
    res = network.accounts["alice"].isim().authenticate(token[:16], token[16:32]).res  # type: ignore[union-attr]
    again = alice.proof(challenge, password=res, nc=2)
    assert alice.register(again, contact="<sip:me@127.0.0.99>").startswith("SIP/2.0 403")


def test_a_register_that_was_overtaken_changes_nothing(alice: Registrant, network: Network) -> None:
    alice.cseq = 7
    alice.come_in()
    alice.cseq = 3  # RFC 3261 10.3 step 7: its CSeq is lower than that of the binding
    challenge = alice.register(alice.first_authorization(), expires=0)
    assert alice.register(alice.proof(challenge), expires=0).startswith("SIP/2.0 500")
    [bound] = network.scscf.registering.registrar.find(f"sip:{alice.account.impi}").bound  # type: ignore[union-attr]
    assert bound.cseq == 9


def test_deregistration_by_expires_0(alice: Registrant, world: World) -> None:
    alice.come_in()
    answer = alice.come_in(expires=0)
    assert headers(answer, "Contact") == []
    world.run_for(0.1)
    assert commands(world)[-2:] == ["SAR", "SAA"]
    alice.invite(f"sip:bob@{REALM}")
    assert alice.next("SIP/2.0 4").startswith("SIP/2.0 403")
    assert alice.register(alice.first_authorization(), expires=0).startswith("SIP/2.0 403")


def test_deregistration_of_every_contact(handset: Callable[..., Registrant], alice: Registrant) -> None:
    tablet = handset("alice", "127.0.0.13", name="tablet")
    tablet.isim = alice.isim
    alice.come_in()
    contact = f'<sip:tablet@{tablet.address}>;+sip.instance="<urn:uuid:1>"'
    assert len(headers(tablet.come_in(contact=contact), "Contact")) == 2
    assert headers(alice.come_in(contact="*", expires=0), "Contact") == []


def test_a_star_without_expires_0_is_refused(alice: Registrant) -> None:
    alice.come_in()
    challenge = alice.register(alice.first_authorization(), contact="*", expires=3600)
    assert alice.register(alice.proof(challenge), contact="*", expires=3600).startswith("SIP/2.0 400")


@pytest.mark.parametrize("instance", ["", ';+sip.instance="<urn:gsma:imei:90420156-025763-0>"'])
def test_a_device_that_comes_back_elsewhere_takes_its_own_place(alice: Registrant, instance: str) -> None:
    alice.come_in(contact=f"<sip:a@{alice.address}>{instance}")
    answer = alice.come_in(contact=f"<sip:b@{alice.address}>{instance}")
    assert [value.partition(">")[0] for value in headers(answer, "Contact")] == [f"<sip:b@{alice.address}"]


def test_the_contacts_of_one_user_are_counted(alice: Registrant) -> None:
    for number in range(10):
        alice.come_in(contact=f'<sip:a{number}@{alice.address}>;+sip.instance="<urn:uuid:{number}>"')
    contact = f'<sip:a10@{alice.address}>;+sip.instance="<urn:uuid:10>"'
    challenge = alice.register(alice.first_authorization(), contact=contact)
    assert alice.register(alice.proof(challenge), contact=contact).startswith("SIP/2.0 403")


def test_a_register_without_contact_asks_what_is_there(alice: Registrant) -> None:
    alice.come_in()
    assert len(headers(alice.come_in(contact="", expires=None), "Contact")) == 1


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
def test_a_password_proves_as_well(handset: Callable[..., Registrant], network: Network, algorithm: str) -> None:
    network.subscribe(network.softphone("soft", algorithm))  # type: ignore[arg-type]
    soft = handset("soft", "127.0.0.14")
    challenge = soft.register()
    assert f"algorithm={algorithm}" in challenge
    assert soft.account.password is not None
    password = soft.account.password.reveal()
    answer = soft.register(soft.proof(challenge, password=password))
    assert answer.startswith("SIP/2.0 200")
    assert header(answer, "P-Associated-URI") == f"<sip:soft@{REALM}>"
    stale = soft.register(soft.proof(challenge, password=password))
    assert stale.startswith("SIP/2.0 401")
    assert "stale=true" in header(stale, "WWW-Authenticate").replace('"', "")
    assert soft.register(soft.proof(stale, password=b"wrong")).startswith("SIP/2.0 403")


def test_a_challenge_that_nobody_answers_is_forgotten(alice: Registrant, world: World) -> None:
    challenge = alice.register(alice.first_authorization())
    world.run_for(241)
    assert commands(world)[-2:] == ["SAR", "SAA"]  # authentication timeout
    assert alice.register(alice.proof(challenge)).startswith("SIP/2.0 401")


def test_an_hss_that_is_gone_is_no_silence(alice: Registrant, world: World) -> None:
    world.detach("hss")
    assert alice.register(alice.first_authorization()).startswith("SIP/2.0 504")
