"""Subscribers of other cores, as their own documentation and examples write them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsphone.errors import ProfileError
from imsphone.imported import read

K, OPC = "465B5CE8B199B49FAA5F0A2EE238A6BC", "E8ED289DEBA952E4283B54E88E6183CA"
OPEN5GS = {
    "imsi": "001010000000001",
    "msisdn": ["491700000001"],
    "security": {"k": "465B5CE8 B199B49F AA5F0A2E E238A6BC", "amf": "8000", "op": None, "opc": OPC},
    "ambr": {"downlink": {"value": 1, "unit": 3}},
}
PYHSS = {"auc_id": 1, "ki": K, "opc": OPC, "amf": "8000", "sqn": 0, "imsi": "001010000000001"}
PYHSS_WHOLE = {"auc": PYHSS, "ims_subscriber": {"imsi": "001010000000001", "msisdn": "491700000001"}}
UERANSIM = f"""# IMSI number of the UE. IMSI = [MCC|MNC|MSISDN] (In total 15 digits)
supi: 'imsi-001010000000001'
# Mobile Country Code value of HPLMN
mcc: '001'
mnc: '01'
key: '{K}'    # permanent
op: '{OPC}'
opType: 'OPC'
amf: '8000'
imei: '356938035643803'
sessions:
  - type: 'IPv4'
"""
PYSIM = f"""imsi,iccid,acc,pin1,puk1,pin2,puk2,ki,opc,adm1
001010000000001,8988211000000000001,0001,1234,12345678,1234,12345678,{K},{OPC},11111111
001010000000002,8988211000000000002,0001,1234,12345678,1234,12345678,{K},{OPC},11111111
"""


@pytest.mark.parametrize(
    ("text", "number"),
    [
        (json.dumps(OPEN5GS), "+491700000001"),
        (json.dumps([OPEN5GS]), "+491700000001"),
        (json.dumps(PYHSS), ""),
        (json.dumps(PYHSS_WHOLE), "+491700000001"),
        (UERANSIM, ""),
        (PYSIM.replace("ki,opc", "Ki,OPC"), ""),
    ],
    ids=["open5gs", "open5gs list", "PyHSS AuC", "PyHSS", "UERANSIM", "pySim"],
)
def test_each_is_read(text: str, number: str) -> None:
    one = read(text)[0]
    assert one.imsi == "001010000000001"
    assert one.k.key("k") == bytes.fromhex(K)
    assert (one.constant_name, one.constant.key("opc")) == ("opc", bytes.fromhex(OPC))
    assert one.number == number


def test_what_only_one_of_them_says() -> None:
    one = read(UERANSIM)[0]
    assert (one.mnc_digits, one.imei) == (2, "356938035643803")
    assert [card.imsi for card in read(PYSIM)] == ["001010000000001", "001010000000002"]


def test_op_stays_op() -> None:
    assert read(UERANSIM.replace("'OPC'", "'OP'"))[0].constant_name == "op"
    security = OPEN5GS["security"] | {"op": OPC, "opc": None}  # type: ignore[operator]
    assert read(json.dumps(OPEN5GS | {"security": security}))[0].constant_name == "op"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no subscriber"),
        ("{", "no JSON"),
        ("a,b\n1,2", "no subscriber"),
        (json.dumps({"imsi": "001010000000001"}), "k of 001010000000001 is missing"),
        (json.dumps(PYHSS | {"opc": ""}), "opc"),
        (json.dumps(PYHSS | {"imsi": "x"}), "imsi"),
        (json.dumps(PYHSS | {"ki": K[:-2]}), "k of 001010000000001 has 30 hex digits"),
        (UERANSIM.replace("'OPC'", "'SUCI'"), "opType"),
    ],
)
def test_what_is_missing_is_named(text: str, words: str) -> None:
    with pytest.raises(ProfileError, match=words) as raised:
        read(text)
    assert K[:20] not in str(raised.value)


@given(st.text(max_size=200), st.sampled_from([json.dumps(OPEN5GS), UERANSIM, PYSIM]), st.integers(0, 300))
def test_any_text_is_read_or_refused(junk: str, good: str, at: int) -> None:
    for text in (junk, good[:at] + junk + good[at:]):
        sentence = ""
        try:
            read(text)
        except ProfileError as error:
            sentence = str(error)
        assert K not in sentence
