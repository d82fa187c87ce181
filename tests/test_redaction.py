from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from imsphone.lab import cx, diameter
from imsphone.lab.diameter import Avp, Avps, Message
from imsphone.redaction import is_diameter, redact

CK, IK = "00112233445566778899aabbccddeeff", "ffeeddccbbaa99887766554433221100"
CHALLENGE = (
    "SIP/2.0 401 Unauthorized\r\n"
    'WWW-Authenticate: Digest realm="ims.example", nonce="QUJDREVGRw==", algorithm=AKAv1-MD5, {keys}\r\n'
    "Allow: INVITE, ACK, PRACK, UPDATE\r\nContent-Length: 0\r\n\r\n"
)
XRES, RAND_AUTN = bytes(range(1, 9)), bytes(range(100, 132))


@pytest.mark.parametrize(
    "keys",
    [
        f'ck="{CK}", ik="{IK}"',
        f'CK = "{CK}",\r\n\tIk\t=\r\n "{IK}"',
        f"ck={CK},ik={IK}",
        f'ik="{IK}",ck="{CK}',
        f'qop="auth",ck="{CK[:16]}\r\n {CK[16:]}", ik="{IK}"',
    ],
)
def test_ck_and_ik_leave_a_challenge_and_nothing_else_does(keys: str) -> None:
    message = CHALLENGE.format(keys=keys).encode()
    clean = redact(message)
    assert len(clean) == len(message)
    for key in (CK, IK, CK[:16], CK[16:]):
        assert key.encode() not in clean
    assert clean.startswith(message[: message.index(b"AKAv1-MD5") + 9])
    assert clean.count(b"\r\n") == message.count(b"\r\n")


@pytest.mark.parametrize(
    "line",
    [
        b"Allow: INVITE, ACK, PRACK",
        b'Authorization: Digest username="a", response="6629fae49393a05397450978507c4ef1", auts="5bGmOFK3WaAsYSSBzlU="',
        b'Contact: <sip:a@192.0.2.1;tick=7;seek-ik=8>;+sip.instance="<urn:gsma:imei:1>"',
    ],
)
def test_what_is_no_secret_stays_as_it_is(line: bytes) -> None:
    message = b"REGISTER sip:ims.example SIP/2.0\r\n" + line + b"\r\n\r\n"
    assert redact(message) is message


def vendor(code: int, value: bytes | list[Avp]) -> Avp:
    return Avp.of(code, value, cx.VENDOR_3GPP)


def multimedia_auth(*, is_request: bool) -> bytes:
    item = vendor(
        cx.SIP_AUTH_DATA_ITEM,
        [
            vendor(cx.SIP_AUTHENTICATE, RAND_AUTN),
            vendor(cx.SIP_AUTHORIZATION, XRES),
            vendor(cx.CONFIDENTIALITY_KEY, bytes.fromhex(CK)),
            vendor(cx.INTEGRITY_KEY, bytes.fromhex(IK)),
            vendor(cx.SIP_DIGEST_AUTHENTICATE, [Avp.of(cx.DIGEST_HA1, CK)]),
        ],
    )
    avps = Avps([Avp.of(diameter.SESSION_ID, "hss;1;2"), item, Avp.of(diameter.USER_NAME, "alice@ims.example")])
    return bytes(Message(cx.MULTIMEDIA_AUTH, cx.APPLICATION_CX, 1, 2, avps, is_request=is_request))


def test_keys_and_xres_leave_a_diameter_answer_and_rand_and_autn_stay() -> None:
    answer = multimedia_auth(is_request=False)
    clean = redact(answer)
    assert len(clean) == len(answer)
    for secret in (XRES, bytes.fromhex(CK), bytes.fromhex(IK), CK.encode()):
        assert secret in answer
        assert secret not in clean
    parsed = diameter.parse(clean)
    item = parsed.avps.group(cx.SIP_AUTH_DATA_ITEM, cx.VENDOR_3GPP)
    assert item.get(cx.SIP_AUTHENTICATE, cx.VENDOR_3GPP) == RAND_AUTN
    assert item.get(cx.SIP_AUTHORIZATION, cx.VENDOR_3GPP) == bytes(8)
    assert parsed.avps.text(diameter.USER_NAME) == "alice@ims.example"


def test_a_request_keeps_what_asks_for_resynchronisation() -> None:
    assert XRES in redact(multimedia_auth(is_request=True))
    assert bytes.fromhex(CK) not in redact(multimedia_auth(is_request=True))


def test_what_stands_behind_a_break_is_blanked() -> None:
    broken = bytearray(multimedia_auth(is_request=False))
    at = broken.index(RAND_AUTN) - 12  # the AVP in front of the secrets gets a length that leads nowhere
    broken[at + 5 : at + 8] = b"\xff\xff\xff"
    clean = redact(bytes(broken))
    assert XRES not in clean
    assert bytes.fromhex(CK) not in clean
    assert b"alice@ims.example" in clean


def test_nesting_without_end_costs_no_recursion() -> None:
    data = vendor(cx.CONFIDENTIALITY_KEY, b"secret!!")
    for _ in range(4000):
        data = vendor(cx.SIP_AUTH_DATA_ITEM, [data])
    message = bytes(Message(cx.MULTIMEDIA_AUTH, 0, 0, 0, Avps([data])))
    assert b"secret!!" not in redact(message)


@given(st.binary(max_size=300))
@example(b"")
@example(b"\x01")
def test_any_octets_keep_their_length(data: bytes) -> None:
    assert len(redact(data)) == len(data)
    framed = b"\x01" + (len(data) + 4).to_bytes(3, "big") + data
    assert len(redact(framed)) == len(framed)
    assert redact(redact(framed)) == redact(framed)
    assert is_diameter(framed) == (len(framed) >= 20)


@given(st.text('ckik= ";,\r\nx0', max_size=60))
def test_any_text_keeps_its_length_and_line_ends(text: str) -> None:
    data = text.encode()
    clean = redact(data)
    assert len(clean) == len(data)
    assert clean.count(b"\n") == data.count(b"\n")
    assert redact(clean) == clean
