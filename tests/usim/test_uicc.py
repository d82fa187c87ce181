"""The dialogue with a card, as octets on the wire between them; and whatever a card answers, an end to it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imsphone.errors import CardError
from imsphone.profile import Secret
from imsphone.testing.uicc import SoftUicc
from imsphone.usim.aka import AkaSuccess, MacFailure, SyncFailure, Vector
from imsphone.usim.apdu import MOST_COMMANDS, Protocol, converse
from imsphone.usim.isim import Isim, SqnMemory
from imsphone.usim.milenage import Milenage
from imsphone.usim.pin import Pin
from imsphone.usim.tuak import Tuak
from imsphone.usim.uicc import Uicc

K = bytes.fromhex("465b5ce8b199b49faa5f0a2ee238a6bc")  # TS 35.208 4.3, test set 1
OPC = bytes.fromhex("cd63cb71954a9f4e48a5994e37a02baf")
RAND = bytes.fromhex("23553cbe9637a89d218ae64dae47bf35")
FRESH = Vector.make(Milenage(K, OPC), 32, b"\x80\x00", RAND)
IMSI, DOMAIN = "001010000000001", "home.test"
WHO = {"imsi": IMSI, "impi": "a@home.test", "impus": ["sip:a@home.test"], "home_domain": DOMAIN}


def card(*, pin: str = "", protocol: Protocol = "T=0", memory: SqnMemory | None = None, **who: object) -> SoftUicc:
    return SoftUicc(Isim(Milenage(K, OPC), memory), pin=pin, protocol=protocol, **(who or WHO))  # type: ignore[arg-type]


class Wire:
    """Between reader and card: keeps what crosses, and changes an answer where a test wants that."""

    def __init__(self, card: SoftUicc, change: Callable[[str, str], str] = lambda _, answer: answer) -> None:
        self.card = card
        self.lines: list[str] = []
        self._change = change

    def __call__(self, command: bytes) -> bytes:
        answer = self._change(command.hex().upper(), self.card.answer(command).hex().upper())
        self.lines += [f"> {command.hex().upper()}", f"< {answer}"]
        return bytes.fromhex(answer)


def ladder(text: str) -> list[str]:
    return [
        "".join(line.split("#")[0].split()).replace(">", "> ").replace("<", "< ") for line in text.split("\n") if line
    ]


# The dialogue ---------------------------------------------------------------------------------------------------------


def test_reading_a_usim_over_t0_with_its_pin() -> None:
    wire = Wire(card(pin="1234", imsi=IMSI))
    found = converse(Uicc(Pin(Secret(b"1234"))).read(), wire, "T=0")
    assert (found.application, found.imsi, found.mnc_digits, found.pin) == ("USIM", IMSI, 2, "given")
    assert wire.lines == ladder("""\
> 00 A4 00 04 02 3F00                             # SELECT the MF
< 61 1B
> 00 C0 00 00 1B
< 6219 82027821 83023F00 8A0105 C60C 900180 830101 950108 83010A 9000
> 00 A4 00 04 02 2FE2                             # EF_ICCID
< 61 11
> 00 C0 00 00 11
< 620F 82024121 83022FE2 8A0105 8002000A 9000
> 00 B0 00 00 0A
< 988812010000000010F5 9000
> 00 A4 00 04 02 2F00                             # EF_DIR
< 61 14
> 00 C0 00 00 14
< 6212 82054221002801 83022F00 8A0105 80020028 9000
> 00 B2 01 04 28
< 6118 4F0CA0000000871002FF49FF0589 5008696D7370686F6E65 FFFFFFFFFFFFFFFFFFFFFFFFFFFF 9000
> 00 A4 04 04 07 A0000000871004                   # an ISIM that EF_DIR does not list?
< 6A82
> 00 A4 04 04 0C A0000000871002FF49FF0589         # then the USIM
< 61 25
> 00 C0 00 00 25
< 6223 82027821 840CA0000000871002FF49FF0589 8A0105 C60C 900180 830101 950108 83010A 9000
> 00 A4 00 04 02 6F07                             # EF_IMSI
< 61 11
> 00 C0 00 00 11
< 620F 82024121 83026F07 8A0105 80020009 9000
> 00 B0 00 00 09
< 6982                                            # the PIN first
> 00 20 00 01 00                                  # how many tries?
< 63C3
> 00 20 00 01 08 31323334FFFFFFFF
< 9000
> 00 B0 00 00 09
< 080910100000000010 9000
> 00 A4 00 04 02 6FAD                             # EF_AD
< 61 11
> 00 C0 00 00 11
< 620F 82024121 83026FAD 8A0105 80020004 9000
> 00 B0 00 00 04
< 00000002 9000
""")


def test_a_challenge_over_t1() -> None:
    wire = Wire(card(protocol="T=1"))
    outcome = converse(Uicc(Pin(None)).authenticate(FRESH.rand, FRESH.autn), wire, "T=1")
    assert outcome == AkaSuccess(FRESH.xres, FRESH.ck, FRESH.ik)
    res, ck, ik = FRESH.xres.hex(), FRESH.ck.hex(), FRESH.ik.hex()
    assert wire.lines == ladder(f"""\
> 00 A4 04 04 07 A0000000871004 00
< 6223 82027821 840CA0000000871004FF49FF0589 8A0105 C60C 900100 830101 950108 83010A 9000
> 00 88 00 81 22 10 {RAND.hex().upper()} 10 {FRESH.autn.hex().upper()} 00
< DB 08 {res.upper()} 10 {ck.upper()} 10 {ik.upper()} 9000
""")


# What it reads --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", ["T=0", "T=1"])
def test_an_isim_counts_before_a_usim(protocol: Protocol) -> None:
    hosts = ["pcscf.home.test", "192.0.2.7", "2001:db8::7"]
    soft = card(protocol=protocol, pcscfs=hosts, **WHO | {"impus": ["sip:a@home.test", "tel:+15550100"]})
    found = converse(Uicc(Pin(None)).read(), soft.answer, protocol)
    assert (found.application, found.impi, found.home_domain) == ("ISIM", "a@home.test", DOMAIN)
    assert found.impus == ("sip:a@home.test", "tel:+15550100")
    assert found.pcscfs == tuple(hosts)
    assert (found.iccid, found.pin) == ("8988211000000000015", "not asked for")
    assert soft.answered < 50


def test_an_isim_that_nobody_filled_gives_way_to_the_usim() -> None:
    uicc = Uicc(Pin(None))
    soft = card(imsi=IMSI, impi="")
    found = converse(uicc.read(), soft.answer, "T=0")
    assert (found.application, found.imsi) == ("USIM", IMSI)
    wire = Wire(soft)
    assert isinstance(converse(uicc.authenticate(FRESH.rand, FRESH.autn), wire, "T=0"), AkaSuccess)
    assert "A0000000871002" in wire.lines[0]


@pytest.mark.parametrize("who", [{"imsi": ""}, {"home_domain": DOMAIN}])
def test_a_card_without_a_subscription_is_said_to_be_none(who: dict[str, str]) -> None:
    with pytest.raises(CardError, match="neither an ISIM nor a USIM"):
        converse(Uicc(Pin(None)).read(), card(**who).answer, "T=0")


def test_without_the_pin_it_reads_nothing_and_says_so() -> None:
    soft = card(pin="1234")
    with pytest.raises(CardError, match="wants its PIN"):
        converse(Uicc(Pin(None)).read(), soft.answer, "T=0")
    assert soft.tries_left == 3


def test_a_wrong_pin_costs_one_try_however_often_the_phone_asks() -> None:
    soft = card(pin="1234")
    uicc = Uicc(Pin(Secret(b"9999")))
    for _ in range(3):
        with pytest.raises(CardError, match="wrong, 2 tries are left"):
            converse(uicc.read(), soft.answer, "T=0")
    assert soft.tries_left == 2


def test_after_a_reset_the_pin_is_given_again() -> None:
    soft = card(pin="1234")
    uicc = Uicc(Pin(Secret(b"1234")))
    converse(uicc.read(), soft.answer, "T=0")
    soft.power()
    assert isinstance(converse(uicc.authenticate(FRESH.rand, FRESH.autn), soft.answer, "T=0"), AkaSuccess)


# What it says to a challenge ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", ["T=0", "T=1"])
def test_the_outcomes_are_those_of_a_sim_in_software(protocol: Protocol) -> None:
    soft, twin = card(protocol=protocol), Isim(Milenage(K, OPC))
    uicc = Uicc(Pin(None))
    wrong = FRESH.autn[:-1] + bytes([FRESH.autn[-1] ^ 1])
    for autn, kind in ((FRESH.autn, AkaSuccess), (FRESH.autn, SyncFailure), (wrong, MacFailure)):
        outcome = converse(uicc.authenticate(RAND, autn), soft.answer, protocol)
        assert isinstance(outcome, kind)
        assert outcome == twin.authenticate(RAND, autn)


def test_a_card_with_tuak_and_a_long_res() -> None:
    tuak = Tuak(K, OPC + OPC, res_bytes=32)
    vector = Vector.make(tuak, 32, b"\x80\x00", RAND)
    soft = SoftUicc(Isim(tuak), **WHO)  # type: ignore[arg-type]
    outcome = converse(Uicc(Pin(None)).authenticate(RAND, vector.autn), soft.answer, "T=0")
    assert outcome == AkaSuccess(vector.xres, vector.ck, vector.ik)
    assert len(vector.xres) == 32


def test_what_is_no_challenge_does_not_reach_the_card() -> None:
    soft = card()
    assert isinstance(converse(Uicc(Pin(None)).authenticate(b"short", RAND), soft.answer, "T=0"), MacFailure)
    assert soft.answered == 0


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("6985", "conditions"),
        ("9864", "2G"),
        ("6D00", "does not know the instruction"),
        ("6982", "PIN"),
        ("9000", "cannot be read"),
        ("DB049000", "cannot be read"),
        ("DB0411223344" + "0411223344" * 2 + "9000", "CK of 16 octets"),
        ("DC0211229000", "cannot be read"),
    ],
)
def test_whatever_else_it_says_is_a_sentence(answer: str, words: str) -> None:
    wire = Wire(card(protocol="T=1"), lambda sent, said: answer if sent.startswith("0088") else said)
    with pytest.raises(CardError, match=words):
        converse(Uicc(Pin(None)).authenticate(FRESH.rand, FRESH.autn), wire, "T=1")


def test_kc_behind_ik_is_for_gsm_and_not_for_us() -> None:
    def add_kc(sent: str, said: str) -> str:
        return said[:-4] + "08" + "AA" * 8 + "9000" if sent.startswith("0088") else said

    outcome = converse(Uicc(Pin(None)).authenticate(FRESH.rand, FRESH.autn), Wire(card(protocol="T=1"), add_kc), "T=1")
    assert outcome == AkaSuccess(FRESH.xres, FRESH.ck, FRESH.ik)


# Any card -------------------------------------------------------------------------------------------------------------

STATUSES = st.sampled_from(["9000", "6110", "6C10", "6A82", "6982", "63C3", "63C0", "6282", "9120", "6D00", "61", ""])
ANSWERS = st.one_of(
    st.binary(max_size=60),
    st.builds(lambda data, sw: data + bytes.fromhex(sw), st.binary(max_size=260), STATUSES),
)


@settings(max_examples=300)
@given(st.lists(ANSWERS, min_size=1, max_size=30), st.sampled_from(["T=0", "T=1"]))
def test_any_answers_end_in_an_outcome_or_a_sentence(answers: list[bytes], protocol: Protocol) -> None:
    count = 0

    def transmit(_command: bytes) -> bytes:
        nonlocal count
        count += 1
        return answers[count % len(answers)]

    uicc = Uicc(Pin(Secret(b"1234")))
    for dialogue in (uicc.read(), uicc.authenticate(FRESH.rand, FRESH.autn)):
        with suppress(CardError):
            converse(dialogue, transmit, protocol)
    assert count <= 2 * MOST_COMMANDS


@settings(max_examples=200)
@given(st.integers(0, 30), ANSWERS, st.booleans())
def test_a_card_that_errs_once_does_no_harm(at: int, answer: bytes, has_isim: bool) -> None:
    soft = card(pin="1234") if has_isim else card(pin="1234", imsi=IMSI)

    def transmit(command: bytes) -> bytes:
        said = soft.answer(command)
        return answer if soft.answered == at else said

    with suppress(CardError):
        converse(Uicc(Pin(Secret(b"9999"))).read(), transmit, "T=0")
    assert soft.tries_left >= 2
