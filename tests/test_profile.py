"""A profile: whole, or one sentence that names the key; and never a secret in sight."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsphone.errors import ProfileError
from imsphone.machine import Address
from imsphone.profile import Endpoint, Profile, endpoint

K = "465b5ce8b199b49faa5f0a2ee238a6bc"
FREE_TEXT = ("name", "display_name", "user_agent", "access_network_info", "home_domain", "pcscf", "other_pcscfs", "dns")
ALICE = {"imsi": "001010000000001", "k": "env:ALICE_K", "opc": "keyring:alice-opc"}


def refusal(table: dict[str, Any]) -> str:
    with pytest.raises(ProfileError) as refused:
        Profile.parse(table, where="alice.toml")
    sentence = str(refused.value)
    assert sentence.startswith("alice.toml: ")
    assert "\n" not in sentence
    return sentence


# What it holds ------------------------------------------------------------------------------------------------------


def test_three_keys_are_enough() -> None:
    profile = Profile.parse(ALICE)
    assert profile.imsi == "001010000000001"
    assert (profile.auth, profile.timers, profile.expires_s) == ("aka", "3gpp", 600_000)
    assert profile.codecs == ("PCMA", "PCMU")
    assert profile.pcscf is profile.pcscf_endpoint is profile.transport is profile.dns_address is None


def test_a_digest_user_needs_a_password_and_no_key() -> None:
    bob = Profile.parse({"impu": "sip:bob@ims.example", "auth": "digest", "password": "env:BOB"})
    assert bob.password == "env:BOB"


def test_a_card_in_a_reader_is_enough() -> None:
    profile = Profile.parse({"sim": "card:", "pin": "keyring:pin"})
    assert (profile.sim, profile.imsi, profile.k) == ("card:", None, None)
    assert "k are both there" in refusal({"sim": "card:Alcor", "k": "env:K"})
    assert '"card:READER"' in refusal({"sim": "alcor"})
    assert "reference" in refusal({"sim": "card:", "pin": "1234"})
    assert "password is missing" in refusal({"sim": "card:", "auth": "digest", "impu": "sip:bob@ims.example"})


def test_several_p_cscfs_are_read_in_their_order() -> None:
    profile = Profile.parse(ALICE | {"pcscf": "10.0.0.1", "other_pcscfs": ["10.0.0.2:5062", "pcscf.ims.example"]})
    assert profile.other_pcscfs == ("10.0.0.2:5062", "pcscf.ims.example")
    assert "a list of P-CSCFs" in refusal(ALICE | {"other_pcscfs": "10.0.0.2"})


def test_a_file_is_loaded_over_its_base(tmp_path: Path) -> None:
    (tmp_path / "home.toml").write_text('base = "ir92"\npcscf = "10.0.0.1"\nexpires_s = 3600\nopc = "file:home.opc"\n')
    (tmp_path / "phones").mkdir()
    alice = tmp_path / "phones" / "alice.toml"
    alice.write_text('base = "../home.toml"\nimsi = "001010000000001"\nk = "file:alice.k"\nexpires_s = 60\n')
    profile = Profile.load(alice)
    assert profile.name == "alice"
    assert (profile.pcscf, profile.expires_s) == ("10.0.0.1", 60)
    # a relative path counts from the file that says it
    assert profile.k == f"file:{tmp_path}/phones/alice.k"
    assert profile.opc == f"file:{tmp_path}/home.opc"


def test_the_network_profile_comes_with_the_package() -> None:
    assert Profile.parse(ALICE | {"base": "ir92"}).codecs == ("PCMA", "PCMU")


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("pcscf.ims.example", Endpoint("pcscf.ims.example", None)),
        ("127.0.10.10:5060", Endpoint("127.0.10.10", 5060)),
        ("[2001:db8::1]:5070", Endpoint("2001:db8::1", 5070)),
        ("[2001:db8::1]", Endpoint("2001:db8::1", None)),
        ("2001:db8::1", Endpoint("2001:db8::1", None)),
    ],
)
def test_a_pcscf_is_a_host_and_perhaps_a_port(text: str, read: Endpoint) -> None:
    assert Profile.parse(ALICE | {"pcscf": text}).pcscf_endpoint == read


@given(st.text(alphabet="abc.:[]0159-%", max_size=20))
def test_any_endpoint_is_read_or_refused(text: str) -> None:
    try:
        host, port = endpoint(text)
    except ValueError:
        return
    assert host
    assert port is None or 0 < port < 65536


def test_a_resolver_answers_on_port_53_unless_told() -> None:
    assert Profile(dns="127.0.10.53:5053").dns_address == Address("127.0.10.53", 5053)
    assert Profile(dns="::1").dns_address == Address("::1", 53)


def test_a_transport_is_written_either_way() -> None:
    assert Profile.parse(ALICE | {"transport": "tcp"}).transport == "TCP"


# What is wrong ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"imsi": "0010100000000012345"}, 'imsi = "0010100000000012345" should be 6 to 15 digits'),
        ({"expires_s": True}, "expires_s = true should be a whole number"),
        ({"expires_s": 0}, "expires_s = 0 should be a whole number from 1"),
        ({"auth": "md5"}, '"aka" or "digest"'),
        ({"transport": "sctp"}, '"udp", "tcp" or "tls"'),
        ({"tls_ca": "ca"}, 'such as "ca.pem"'),
        ({"mnc_digits": 4}, "should be 2 or 3"),
        ({"pcscf": "a:b:c"}, '"host", "host:port" or "[v6]:port"'),
        ({"pcscf": "host:99999"}, '"host", "host:port"'),
        ({"local_host": "localhost"}, "an IP address"),
        ({"codecs": []}, '["PCMA", "PCMU"]'),
        ({"codecs": "PCMA"}, '["PCMA", "PCMU"]'),
        ({"impu": "alice"}, '"sip:user@domain" or "tel:+number"'),
        ({"impi": "alice"}, '"user@realm"'),
        ({"user_agent": "x\r\nEvil: 1"}, "text on one line"),
        ({"imei": "123"}, "14 digits, or 15"),
        ({"pcsf": "10.0.0.1"}, 'there is no key "pcsf"; did you mean pcscf?'),
        ({"Display-Name": "A"}, "did you mean display_name?"),
        ({"bass": "ir92"}, "did you mean base?"),
        ({"zzz": 1}, "the keys are base, name, imsi"),
        ({"base": "ir93"}, 'base = "ir93" is no network known here: ir92'),
        ({"base": 7}, "base = 7 should be the name of a network"),
        ({"op": "env:OP"}, "op and opc are both there"),
    ],
)
def test_a_wrong_key_gets_a_sentence(change: dict[str, Any], said: str) -> None:
    assert said in refusal(ALICE | change)


@pytest.mark.parametrize("missing", ["imsi", "k", "opc"])
def test_a_missing_key_is_named(missing: str) -> None:
    table = {key: value for key, value in ALICE.items() if key != missing}
    assert f"{missing} is missing" in refusal(table)


def test_a_missing_password_is_named() -> None:
    assert "password is missing" in refusal({"impu": "sip:bob@ims.example", "auth": "digest"})


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"imsi = ", "not a TOML file"), (b"\xff\xfe", "no UTF-8 text"), (b'base = "gone.toml"', "there is no such file")],
)
def test_a_bad_file_gets_a_sentence(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "alice.toml"
    path.write_bytes(content)
    with pytest.raises(ProfileError, match=said):
        Profile.load(path)


def test_no_file_and_no_file_at_all(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match="there is no such file"):
        Profile.load(tmp_path / "nobody.toml")
    with pytest.raises(ProfileError, match="directory"):
        Profile.load(tmp_path)


def test_bases_that_bite_their_tail_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('base = "b.toml"')
    (tmp_path / "b.toml").write_text('base = "../' + tmp_path.name + '/a.toml"')
    with pytest.raises(ProfileError, match="leads back to itself"):
        Profile.load(tmp_path / "a.toml")


toml_values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.dates()
    | st.sampled_from(["aka", "env:K"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
keys = st.sampled_from(["base", *(key.name for key in fields(Profile))]) | st.text()


@given(st.dictionaries(keys, toml_values, max_size=6), st.booleans())
def test_any_table_is_a_profile_or_a_profile_error(table: dict[str, Any], is_complete: bool) -> None:
    try:
        profile = Profile.parse((ALICE if is_complete else {}) | table)
    except ProfileError:
        return
    assert Profile.parse(tomllib.loads(profile.as_toml())) == profile


# Secrets ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [key.name for key in fields(Profile)] + ["base", K, "kk"])
def test_a_key_that_strayed_into_the_file_is_in_no_error(key: str) -> None:
    for value in (K, K.upper(), [K], {"k": K}, f"{K}  # my key"):
        try:
            shown = repr(Profile.parse({**ALICE, key: value})) if key not in FREE_TEXT else ""
        except ProfileError as error:
            shown = str(error)
        assert K[:12] not in shown.lower()


def test_the_secret_itself_in_place_of_a_reference_is_refused() -> None:
    assert "never the secret itself" in refusal(ALICE | {"k": K})


def test_pydantic_is_not_paid_for() -> None:
    script = "import sys, imsphone.profile; sys.exit('pydantic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
