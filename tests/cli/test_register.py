"""`imsphone register` against the lab, and everything that a profile can have wrong."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from imsphone.cli.register import _tell
from imsphone.events import FlowLost, FlowOpened, NetworkChanged
from imsphone.phone import Phone
from imsphone.profile import Profile
from imsphone.testing.served import ServedLab
from tests.net.test_esp import needs_raw

from .conftest import Run


def test_it_says_who_we_are_and_for_how_long(run: Run, profiles: dict[str, Path], lab: ServedLab) -> None:
    said = run("register", profiles["alice"], "--ladder")
    assert said.code == 0, said.err
    assert f"Registered as sip:alice@{lab.network.realm} for 600000 s." in said.out
    assert "Service-Route" in said.out
    assert said.out.count("401 Unauthorized") == 2  # to register, and to deregister
    assert "200 OK" in said.out


@needs_raw
def test_the_security_associations_are_shown(run: Run, profiles: dict[str, Path]) -> None:
    with profiles["alice"].open("a") as file:
        file.write('security = "ipsec"\n')
    said = run("register", profiles["alice"], "--ladder", "--trace", "a.jsonl")
    assert said.code == 0, said.err
    assert "Protected      by IPsec, hmac-sha-1-96/aes-cbc" in said.out
    at_registration, at_the_end = re.split(r"REGISTER.*\(ESP\)", said.out, maxsplit=1)
    assert at_registration.count("  hmac-sha-1-96/aes-cbc  ") == 4
    assert len(re.findall(r"^[0-9a-f]{8}  .* → ", at_the_end, re.MULTILINE)) == 8  # and those of the way out
    table = [json.loads(line) for line in run("trace", "a.jsonl", "--json").out.splitlines()]
    assert [one["packets"] > 0 for one in table].count(True) >= 2
    assert all(one["until"] is not None for one in table)
    assert f"{table[0]['spi']:08x}" in run("trace", "a.jsonl").out


def test_a_digest_account_registers_too(run: Run, profiles: dict[str, Path]) -> None:
    said = run("register", profiles["softphone1"])
    assert said.code == 0, said.err


def test_events_are_json_objects_one_a_line(run: Run, profiles: dict[str, Path]) -> None:
    said = run("register", profiles["alice"], "--json")
    names = [json.loads(line)["event"] for line in said.out.splitlines()]
    assert names == [
        "Registering",
        "Challenged",
        "Registering",
        "Registered",
        "Registering",
        "Challenged",
        "Registering",
        "Deregistered",
    ]


def test_a_trace_is_written_as_its_name_says(run: Run, profiles: dict[str, Path], tmp_path: Path) -> None:
    assert run("register", profiles["alice"], "--trace", "a.jsonl").code == 0
    assert run("register", profiles["alice"], "--trace", "a.pcapng").code == 0
    assert b"REGISTER" in (tmp_path / "a.pcapng").read_bytes()
    assert json.loads((tmp_path / "a.jsonl").read_text().splitlines()[0])["protocol"] == "SIP"
    said = run("register", profiles["alice"], "--trace", "a.docx")
    assert (said.code, "a.docx" in said.err) == (2, True)


def edited(path: Path, **keys: str) -> Path:
    lines = [line for line in path.read_text().splitlines() if line.partition(" ")[0] not in keys]
    copy = path.with_name("edited.toml")
    copy.write_text("\n".join(lines + [f"{key} = {json.dumps(value)}" for key, value in keys.items()]) + "\n")
    return copy


def test_a_key_that_is_misspelled_is_named_with_the_right_one(run: Run, profiles: dict[str, Path]) -> None:
    said = run("register", edited(profiles["alice"], pscf="127.0.0.1"))
    assert said.code == 2
    assert said.is_one_sentence
    assert "pscf" in said.err
    assert "pcscf" in said.err


def test_a_short_k_is_counted_and_not_shown(run: Run, profiles: dict[str, Path]) -> None:
    (profiles["alice"].parent / "alice.k").write_text("465b5ce8b199b49faa5f0a2ee238a6\n")
    said = run("register", profiles["alice"])
    assert said.code == 2
    assert said.is_one_sentence
    assert "30" in said.err
    assert "32" in said.err
    assert "465b5ce8" not in said.err


def test_a_wrong_key_is_an_authentication_failure(run: Run, profiles: dict[str, Path]) -> None:
    (profiles["alice"].parent / "alice.k").write_text("0" * 32 + "\n")
    said = run("register", profiles["alice"])
    assert said.code == 4
    assert said.is_one_sentence


def test_a_wrong_password_is_an_authentication_failure(run: Run, profiles: dict[str, Path]) -> None:
    (profiles["softphone1"].parent / "softphone1.password").write_text("wrong\n")
    said = run("register", profiles["softphone1"])
    assert said.code == 4
    assert "wrong" not in said.err.replace("wrong password", "")


def test_an_unknown_impu_is_a_refusal(run: Run, profiles: dict[str, Path], lab: ServedLab) -> None:
    said = run("register", edited(profiles["alice"], impu=f"sip:carol@{lab.network.realm}"))
    assert said.code == 1
    assert said.is_one_sentence
    assert "403" in said.err


@pytest.mark.parametrize("pcscf", ["127.0.19.1:5060", "no-such-host.invalid"])
def test_no_p_cscf_there_is_said_with_its_address(run: Run, profiles: dict[str, Path], pcscf: str) -> None:
    said = run("register", edited(profiles["alice"], pcscf=pcscf))
    assert said.code == 3
    assert said.is_one_sentence
    assert pcscf.partition(":")[0] in said.err


def test_a_key_file_that_others_can_read_is_refused(run: Run, profiles: dict[str, Path]) -> None:
    (profiles["alice"].parent / "alice.k").chmod(0o644)
    said = run("register", profiles["alice"])
    assert said.code == 2
    assert "alice.k" in said.err


async def test_changes_of_the_way_are_told_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    phone = Phone(Profile(imsi="001010000000001"))
    _tell(phone, NetworkChanged(at=0.0, was="127.0.0.1"))
    _tell(phone, FlowOpened(at=0.0, flow=2, pcscf="127.0.10.11:5060"))
    _tell(phone, FlowLost(at=0.0, flow=1, sentence="nothing answered"))
    said = capsys.readouterr()
    assert "address has changed" in said.out
    assert "127.0.10.11:5060" in said.out
    assert "nothing answered" in said.err
