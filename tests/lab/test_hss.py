"""The HSS answers Cx as TS 29.228 says, told in Diameter messages made here AVP by AVP."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsphone.events import Violated
from imsphone.lab import cx, diameter
from imsphone.lab.diameter import Avp, Avps, Message
from imsphone.lab.hss import Hss
from imsphone.lab.subscriber import Profile, Subscriber
from imsphone.machine import Address, Flow, Ids, Send, Tell
from imsphone.usim.aka import AkaSuccess, SyncFailure, make_auts
from imsphone.usim.isim import Isim, SqnMemory
from imsphone.usim.milenage import Milenage

REALM = "ims.mnc001.mcc001.3gppnetwork.org"
K = bytes.fromhex("465b5ce8b199b49faa5f0a2ee238a6bc")  # TS 35.208 test set 1
OPC = bytes.fromhex("cd63cb71954a9f4e48a5994e37a02baf")
IMPI = f"001010000000001@{REALM}"
IMPU = f"sip:{IMPI}"
TEL = "tel:+491720000001"
BARRED = f"sip:hidden@{REALM}"
SOFT = f"softphone1@{REALM}"
SERVER = "sip:127.0.10.30:5060"
FLOW = Flow("TCP", Address("127.0.10.40", 3868), Address("127.0.10.30", 49152))


def tgpp(code: int, value: bytes | str | int | list[Avp]) -> Avp:
    return Avp.of(code, value, 10415)


@pytest.fixture
def hss() -> Hss:
    hss = Hss(
        Address("127.0.10.40", 3868),
        f"hss.{REALM}",
        REALM,
        [
            Subscriber("001010000000001@" + REALM, (IMPU, TEL, BARRED), frozenset([BARRED]), Milenage(K, OPC)),
            Subscriber.with_password(SOFT, (f"sip:{SOFT}",), "secret1", REALM),
            Subscriber("ghost", ("sip:ghost@x",), frozenset(["sip:ghost@x"]), Milenage(K, OPC)),
        ],
        Ids(b"hss"),
        {f"sip:echo@{REALM}": "sip:127.0.10.50:5060"},
    )
    ask(hss, 257, [Avp.of(258, cx.APPLICATION_CX)], application=0)
    return hss


def ask(hss: Hss, command: int, avps: list[Avp], *, application: int = cx.APPLICATION_CX, flow: Flow = FLOW) -> Message:
    request = Message(command, application, 7, 8, Avps(avps), is_request=True, is_proxiable=True)
    [effect] = hss.receive(bytes(request), flow, 0.0)
    assert isinstance(effect, Send)
    assert effect.flow == flow
    answer = diameter.parse(effect.data)
    assert (answer.command, answer.hop_by_hop, answer.end_to_end, answer.is_request) == (command, 7, 8, False)
    return answer


def who(impi: str = IMPI, impu: str = IMPU) -> list[Avp]:
    return [Avp.of(1, impi), tgpp(601, impu)]


def uar(hss: Hss, avps: list[Avp], kind: int = 0) -> Message:
    return ask(hss, 300, [*avps, tgpp(600, REALM), tgpp(623, kind)])


def mar(hss: Hss, avps: list[Avp], scheme: str = "Digest-AKAv1-MD5", refused: bytes = b"") -> Message:
    item = [tgpp(608, scheme), *([tgpp(610, refused)] if refused else [])]
    return ask(hss, 303, [*avps, tgpp(602, SERVER), tgpp(607, 1), tgpp(612, item)])


def sar(hss: Hss, avps: list[Avp], kind: int, has_profile: int = 0) -> Message:
    return ask(hss, 301, [*avps, tgpp(602, SERVER), tgpp(614, kind), tgpp(624, has_profile)])


def lir(hss: Hss, impu: str) -> Message:
    return ask(hss, 302, [tgpp(601, impu)])


def vector(answer: Message) -> tuple[bytes, bytes, bytes]:
    item = answer.avps.group(612, 10415)
    challenge, xres = item.get(609, 10415), item.get(610, 10415)
    assert challenge is not None
    assert xres is not None
    return challenge[:16], challenge[16:], xres


def test_a_first_registration_from_question_to_question(hss: Hss) -> None:
    answer = uar(hss, who())
    assert answer.result == (2001, True)
    assert answer.avps.get(603, 10415) is not None  # capabilities, no name yet
    rand, autn, xres = vector(mar(hss, who()))
    outcome = Isim(Milenage(K, OPC)).authenticate(rand, autn)
    assert isinstance(outcome, AkaSuccess)
    assert outcome.res == xres
    answer = sar(hss, who(), 1)
    assert answer.result == (2001, False)
    profile = Profile.parse(answer.avps.get(606, 10415) or b"")
    assert profile == Profile(IMPI, (IMPU, TEL, BARRED), frozenset([BARRED]))

    answer = uar(hss, who(impu=TEL))
    assert answer.result == (2002, True)
    assert answer.avps.text(602, 10415) == SERVER
    assert lir(hss, TEL).avps.text(602, 10415) == SERVER
    assert sar(hss, who(), 2, has_profile=1).avps.get(606, 10415) is None


@pytest.mark.parametrize(
    ("impi", "impu", "code"), [("nobody", IMPU, 5001), (IMPI, "sip:nobody@x", 5001), (SOFT, IMPU, 5002)]
)
def test_identities_that_are_unknown_or_do_not_belong_together(hss: Hss, impi: str, impu: str, code: int) -> None:
    assert uar(hss, who(impi, impu)).result == (code, True)
    assert mar(hss, who(impi, impu)).result == (code, True)
    assert sar(hss, who(impi, impu), 1).result == (code, True)


def test_who_has_only_barred_identities_may_not_register(hss: Hss) -> None:
    assert uar(hss, who("ghost", "sip:ghost@x")).result == (5003, False)


def test_a_barred_identity_may_register_beside_one_that_is_not(hss: Hss) -> None:
    assert uar(hss, who(impu=BARRED)).result == (2001, True)


def test_roaming_can_be_forbidden(hss: Hss) -> None:
    hss.subscriber(IMPI).may_roam = False
    assert uar(hss, who()).result == (2001, True)
    foreign = ask(hss, 300, [*who(), tgpp(600, "visited.example"), tgpp(623, 0)])
    assert foreign.result == (5004, True)


def test_deregistration_of_one_who_is_not_registered(hss: Hss) -> None:
    assert uar(hss, who(), kind=1).result == (5003, True)


def test_deregistration_forgets_the_s_cscf(hss: Hss) -> None:
    sar(hss, who(), 1)
    assert uar(hss, who(), kind=1).avps.text(602, 10415) == SERVER
    assert sar(hss, who(), 5).result == (2001, False)
    assert uar(hss, who()).result == (2001, True)
    assert lir(hss, IMPU).result == (5003, True)


def test_a_failed_authentication_leaves_a_standing_registration_alone(hss: Hss) -> None:
    mar(hss, who())
    sar(hss, who(), 9)
    assert uar(hss, who()).result == (2001, True)
    sar(hss, who(), 1)
    sar(hss, who(), 9)
    assert lir(hss, IMPU).avps.text(602, 10415) == SERVER


def test_a_sim_that_is_ahead_brings_the_hss_behind_it_with_auts(hss: Hss) -> None:
    sim = Isim(Milenage(K, OPC), SqnMemory(tuple([500] * 32)))
    rand, autn, _ = vector(mar(hss, who()))
    refused = sim.authenticate(rand, autn)
    assert isinstance(refused, SyncFailure)
    rand, autn, xres = vector(mar(hss, who(), refused=rand + refused.auts))
    outcome = sim.authenticate(rand, autn)
    assert isinstance(outcome, AkaSuccess)
    assert outcome.res == xres


def test_a_forged_auts_changes_nothing(hss: Hss) -> None:
    before = hss.subscriber(IMPI).sqn
    forged = bytes(16) + make_auts(Milenage(bytes(16), OPC), bytes(16), 1 << 40)
    assert mar(hss, who(), refused=forged).result == (5012, False)
    assert mar(hss, who(), refused=b"short").result == (5012, False)
    assert hss.subscriber(IMPI).sqn == before


def test_a_digest_user_gets_his_hash_and_no_vector(hss: Hss) -> None:
    digest_user = who(SOFT, f"sip:{SOFT}")
    assert mar(hss, digest_user).result == (5006, True)
    answer = mar(hss, digest_user, scheme="Unknown")
    item = answer.avps.group(612, 10415)
    assert item.text(608, 10415) == "SIP Digest"
    digest = item.group(635, 10415)
    assert digest.text(104) == REALM
    assert digest.text(111) == "MD5"
    assert len(digest.text(121) or "") == 32


def test_where_a_called_user_is(hss: Hss) -> None:
    assert lir(hss, "sip:nobody@x").result == (5001, True)
    assert lir(hss, IMPU).result == (5003, True)
    assert lir(hss, f"sip:echo@{REALM}").avps.text(602, 10415) == "sip:127.0.10.50:5060"
    hss.subscriber(IMPI).has_unregistered_services = True
    assert lir(hss, IMPU).result == (2003, True)
    assert sar(hss, [tgpp(601, IMPU)], 3).avps.get(606, 10415) is not None
    assert lir(hss, IMPU).avps.text(602, 10415) == SERVER


def test_who_did_not_introduce_himself_is_not_served(hss: Hss) -> None:
    stranger = Flow("TCP", FLOW.local, Address("127.0.0.1", 50000))
    assert ask(hss, 302, [tgpp(601, IMPU)], flow=stranger).result == (3010, False)
    hss.lost(FLOW, 0.0)
    assert lir(hss, IMPU).result == (3010, False)


def test_the_base_protocol(hss: Hss) -> None:
    assert ask(hss, 280, [], application=0).result == (2001, False)
    assert ask(hss, 257, [Avp.of(258, 4)], application=0).result == (5010, False)
    assert ask(hss, 304, []).result == (3001, False)
    assert ask(hss, 304, []).is_error
    assert ask(hss, 300, [], application=4).result == (3007, False)
    assert ask(hss, 282, [], application=0).result == (2001, False)
    assert lir(hss, IMPU).result == (3010, False)


def test_a_missing_avp_is_said_to_be_missing(hss: Hss) -> None:
    for command in (300, 301, 302, 303):
        assert ask(hss, command, []).result == (5005, False)


def test_an_identity_belongs_to_one_subscription(hss: Hss) -> None:
    with pytest.raises(ValueError, match="tel:"):
        hss.add(Subscriber("other", (TEL,)))


@given(st.binary(max_size=120), st.sampled_from([257, 280, 300, 301, 302, 303]))
def test_any_octets_are_answered_or_dropped(tail: bytes, command: int) -> None:
    hss = Hss(Address("127.0.10.40", 3868), "hss", REALM, [], Ids(b"hss"))
    head = b"\1" + (20 + len(tail)).to_bytes(3, "big") + b"\x80" + command.to_bytes(3, "big") + bytes(12)
    for data in (tail, head + tail):
        for effect in hss.receive(data, FLOW, 1.0):
            assert isinstance(effect, Send) or (isinstance(effect, Tell) and isinstance(effect.event, Violated))
