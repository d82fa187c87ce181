"""Via, From and Contact, CSeq, RAck, challenges: the examples of RFC 3261 20, and what must be refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsphone.errors import ParseError
from imsphone.sip.fields import Challenge, CSeq, NameAddr, RAck, Via
from imsphone.sip.uri import Uri

# Via: RFC 3261 20.42 -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "via"),
    [
        (
            "SIP/2.0/UDP erlang.bell-telephone.com:5060;branch=z9hG4bK87asdks7",
            Via("UDP", "erlang.bell-telephone.com", 5060, {"branch": "z9hG4bK87asdks7"}),
        ),
        (
            "SIP/2.0/UDP 192.0.2.1:5060 ;received=192.0.2.207;branch=z9hG4bK77asjd",
            Via("UDP", "192.0.2.1", 5060, {"received": "192.0.2.207", "branch": "z9hG4bK77asjd"}),
        ),
        (
            "SIP / 2.0 / UDP first.example.com: 4000;ttl=16;maddr=224.2.0.1 ;branch=z9hG4bKa7c6a8dlze.1",
            Via(
                "UDP",
                "first.example.com",
                4000,
                {"ttl": "16", "maddr": "224.2.0.1", "branch": "z9hG4bKa7c6a8dlze.1"},
            ),
        ),
        (
            "SIP/2.0/tcp [2001:db8::9:1];branch=z9hG4bKas3-111;rport",
            Via("TCP", "2001:db8::9:1", None, {"branch": "z9hG4bKas3-111", "rport": None}),
        ),
        ("SIP/7.0/UDP c.example.com", Via("UDP", "c.example.com", version="7.0")),
    ],
)
def test_via(text: str, via: Via) -> None:
    assert Via.parse(text) == via
    assert Via.parse(str(via)) == via


def test_via_reads() -> None:
    via = Via.parse("SIP/2.0/UDP Host.Example.com;branch=z9hG4bK1;rport")
    assert via.branch == "z9hG4bK1"
    assert via.sent_by == ("host.example.com", 5060)
    assert Via.parse("SIP/2.0/UDP h:5070").branch == ""
    stamped = via.with_params(received="192.0.2.1", rport="5061")
    assert str(stamped) == "SIP/2.0/UDP Host.Example.com;branch=z9hG4bK1;rport=5061;received=192.0.2.1"


@pytest.mark.parametrize(
    "text",
    ["", "SIP/2.0/UDP", "SIP/2.0 host", "HTTP/2.0/UDP host", "SIP/2.0/UDP host:0", "SIP/2.0/UDP host:65536",
     "SIP/2.0/UDP [::1", "SIP/2.0/UDP [1::2::3]", "SIP/2.0/UDP host x", 'SIP/2.0/UDP host;a="', "SIP/2.0/UDPhost"],
)  # fmt: skip
def test_no_via(text: str) -> None:
    with pytest.raises(ParseError):
        Via.parse(text)


# Names and addresses: RFC 3261 20.10, 20.20, 20.39 --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "name", "uri", "params"),
    [
        (
            '"Mr. Watson" <sip:watson@worcester.bell-telephone.com>;q=0.7; expires=3600',
            "Mr. Watson", "sip:watson@worcester.bell-telephone.com", {"q": "0.7", "expires": "3600"},
        ),
        ("<sips:bob@192.0.2.4>;expires=60", "", "sips:bob@192.0.2.4", {"expires": "60"}),
        ('"A. G. Bell" <sip:agb@bell-telephone.com> ;tag=a48s', "A. G. Bell", "sip:agb@bell-telephone.com",
         {"tag": "a48s"}),
        ("sip:+12125551212@server.phone2net.com;tag=887s", "", "sip:+12125551212@server.phone2net.com",
         {"tag": "887s"}),
        ("Anonymous <sip:c8oqz84zk7z@privacy.org>;tag=hyh8", "Anonymous", "sip:c8oqz84zk7z@privacy.org",
         {"tag": "hyh8"}),
        ("The Operator <sip:operator@cs.columbia.edu>;tag=287447", "The Operator", "sip:operator@cs.columbia.edu",
         {"tag": "287447"}),
        ("sip:alice@atlanta.com;transport=tcp", "", "sip:alice@atlanta.com", {"transport": "tcp"}),
        ("<sip:alice@atlanta.com;transport=tcp>", "", "sip:alice@atlanta.com;transport=tcp", {}),
        ('"Quo\\"te" <sip:a@b?x=y>', 'Quo"te', "sip:a@b?x=y", {}),
        ("tel:+12015550123;phone-context=x", "", "tel:+12015550123", {"phone-context": "x"}),
        ("<tel:7042;phone-context=x>", "", "tel:7042;phone-context=x", {}),
        ('""<sip:a@b>', "", "sip:a@b", {}),
    ],
)  # fmt: skip
def test_name_addr(text: str, name: str, uri: str, params: dict[str, str | None]) -> None:
    address = NameAddr.parse(text)
    assert address == NameAddr(Uri.parse(uri), name, params)
    assert NameAddr.parse(str(address)) == address


@pytest.mark.parametrize(
    "text",
    ["", "*", "<>", "sip:a@b>", "<sip:a@b", '"Joe <sip:a@b>', "Bell, A <sip:a@b>", "< sip:a@b >", "Jörg <sip:a@b>",
     "sip:a@b?Route=c", "sip:a,b@c", '"a" "b" <sip:a@b>', "<sip:a@b> x", '<sip:a@b>;x="', "joe@host"],
)  # fmt: skip
def test_no_name_addr(text: str) -> None:
    with pytest.raises(ParseError):
        NameAddr.parse(text)


def test_tags_come_and_go() -> None:
    address = NameAddr.parse("<sip:a@b>;x=1;tag=old")
    assert address.tag == "old"
    assert str(address.with_tag("new")) == "<sip:a@b>;x=1;tag=new"
    assert str(address.with_tag("")) == "<sip:a@b>;x=1"
    assert address.with_tag("").tag == ""
    assert str(NameAddr.parse("sip:a@b").with_params(expires="0")) == "<sip:a@b>;expires=0"


# CSeq and RAck --------------------------------------------------------------------------------------------------------


def test_cseq() -> None:
    assert CSeq.parse("4711 INVITE") == CSeq(4711, "INVITE")
    assert CSeq.parse("0009\t  INVITE") == CSeq(9, "INVITE")
    assert str(CSeq.parse("2147483647 BYE")) == "2147483647 BYE"


@pytest.mark.parametrize(
    "text", ["", "1", "INVITE", "x INVITE", "-1 INVITE", "1 A B", "2147483648 A", "٣ A", "9" * 5000]
)
def test_no_cseq(text: str) -> None:
    with pytest.raises(ParseError):
        CSeq.parse(text)


def test_rack() -> None:
    assert RAck.parse("776656 1 INVITE") == RAck(776656, 1, "INVITE")  # RFC 3262 7.2
    assert str(RAck(1, 2, "INVITE")) == "1 2 INVITE"
    for text in ("", "1 INVITE", "1 2 3 4", "a 1 INVITE", "99999999999 1 INVITE"):
        with pytest.raises(ParseError):
            RAck.parse(text)


# Challenges: RFC 3261 20.7, 20.44 -------------------------------------------------------------------------------------

CHALLENGE = (
    'Digest realm="atlanta.com", domain="sip:boxesbybob.com", qop="auth,auth-int", '
    'nonce="f84f1cec41e6cbe5aea9c8e88d359", opaque="", stale=FALSE, algorithm=MD5'
)
AUTHORIZATION = (
    'Digest username="Alice", realm="atlanta.com", nonce="84a4cc6f3082121f32b42a2187831a9e", '
    'response="7587245234b3434cc3412213e5f113a5432"'
)


def test_challenge() -> None:
    challenge = Challenge.parse(CHALLENGE)
    assert challenge.scheme == "Digest"
    assert challenge.get("qop") == "auth,auth-int"
    assert challenge.get("stale") == "FALSE"
    assert challenge.get("opaque") == challenge.get("auts") == ""
    assert str(challenge) == CHALLENGE
    assert str(Challenge.parse(AUTHORIZATION)) == AUTHORIZATION


def test_what_stands_in_quotes() -> None:
    # RFC 3261 25.1: in Authorization qop, nc and algorithm stand bare, the others in quotes
    params = {"username": 'A"b\\', "qop": "auth", "nc": "00000001", "algorithm": "MD5", "cnonce": "1", "response": "0"}
    printed = Challenge("Digest", params).print(bare=frozenset(("qop",)))
    assert printed == r'Digest username="A\"b\\", qop=auth, nc=00000001, algorithm=MD5, cnonce="1", response="0"'
    assert Challenge.parse(printed).params == params


def test_sloppy_blanks_and_names() -> None:
    assert Challenge.parse('  DIGEST  Realm = "a b" ,nonce=x=,\tQOP="auth"').params == {
        "realm": "a b", "nonce": "x=", "qop": "auth",
    }  # fmt: skip
    assert Challenge.parse("NoOneKnowsThisScheme opaque-data=here").get("opaque-data") == "here"
    assert Challenge.parse("Negotiate").params == {}


@pytest.mark.parametrize(
    "text", ["", "   ", 'Digest realm="a', "Digest realm", "Digest a=b c=d", '"x" a=b', "Digest =a"]
)
def test_no_challenge(text: str) -> None:
    with pytest.raises(ParseError):
        Challenge.parse(text)


def test_keys_in_a_challenge_do_not_show() -> None:
    # TS 24.229 5.4.1.2.1: the S-CSCF sends IK and CK to the P-CSCF in the challenge
    assert "00112233" not in repr(Challenge.parse('Digest realm="a", ik="00112233", ck="00112233"'))


# Any text -------------------------------------------------------------------------------------------------------------

words = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters='",=;<>\\'), min_size=1)


@given(st.dictionaries(words.map(str.lower), st.text(max_size=20), min_size=1, max_size=5))
def test_any_challenge_comes_back(params: dict[str, str]) -> None:
    challenge = Challenge("Digest", params)
    assert Challenge.parse(str(challenge)) == challenge


@given(st.text(max_size=20), words)
def test_any_display_name_comes_back(name: str, tag: str) -> None:
    address = NameAddr(Uri.parse("sip:a@b"), name, {"tag": tag})
    assert NameAddr.parse(str(address)) == address


MADE_OF = 'SIP/2.0/UDP "\\<>;:=,?@[] sip:a tel:1 <sip:a@b>'


@given(st.text(max_size=60) | st.lists(st.sampled_from(list(MADE_OF) + MADE_OF.split(" ")), max_size=20).map("".join))
def test_what_parses_prints_and_parses_again(text: str) -> None:
    for kind in (Via, NameAddr, CSeq, RAck, Challenge):
        try:
            value = kind.parse(text)
        except ParseError:
            continue
        assert kind.parse(str(value)) == value
