"""`imsphone doctor --sa` names what IPsec lacks before anything is sent."""

from __future__ import annotations

import socket
from dataclasses import replace

import pytest

from imsphone.cli.protection import protection_findings
from imsphone.errors import NetworkError
from imsphone.net.privilege import ENVIRONMENT
from imsphone.profile import Profile
from tests.net.test_tun import needs_tun

PROFILE = Profile(imsi="001010000000001", pcscf="127.0.10.10:5060", security="ipsec")


def refuse(*_: object) -> None:
    raise PermissionError(1, "Operation not permitted")


async def verdicts(profile: Profile | None) -> dict[str, tuple[str, str]]:
    return {finding.name: (finding.verdict, finding.sentence) for finding in await protection_findings(profile)}


async def test_a_user_without_the_capability_is_told_what_to_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imsphone.net.esp.open_raw", refuse)
    monkeypatch.setattr("imsphone.net.privilege.open_raw", refuse)
    monkeypatch.setenv(ENVIRONMENT, "/nonexistent")
    monkeypatch.setattr("imsphone.net.choice.expect_kernel", has_no_esp)
    verdict, sentence = (await verdicts(None))["ESP"]
    assert verdict == "bad"
    assert "imsphone-sa --user" in sentence


@pytest.mark.parametrize(("transport", "expected"), [(None, "limited"), ("tcp", "bad")])
async def test_what_tcp_inside_would_need_is_named(
    monkeypatch: pytest.MonkeyPatch, transport: str | None, expected: str
) -> None:
    monkeypatch.setattr("imsphone.net.tun.open_tun", refuse)
    monkeypatch.setenv(ENVIRONMENT, "/nonexistent")
    verdict, sentence = (await verdicts(replace(PROFILE, transport=transport)))["TCP"]  # type: ignore[arg-type]
    assert verdict == expected
    assert "CAP_NET_ADMIN" in sentence
    assert "imsphone-sa --user" in sentence


async def test_a_machine_without_tun_devices_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imsphone.net.tun.PATH", "/nonexistent")
    verdict, sentence = (await verdicts(None))["TCP"]
    assert verdict == "limited"
    assert "modprobe tun" in sentence


@needs_tun
async def test_where_tcp_inside_can_be_had_that_is_said() -> None:
    assert (await verdicts(None))["TCP"][0] == "good"


async def test_the_address_that_reaches_the_p_cscf_is_named() -> None:
    found = await verdicts(PROFILE)
    assert found["route"][0] == "good"
    assert "127.0.0.1" in found["route"][1]
    assert found["suites"] == ("good", ", ".join(PROFILE.security_suites))


async def test_a_p_cscf_that_no_route_leads_to_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imsphone.net.addresses.local_host", lambda target: None)
    verdict, sentence = (await verdicts(PROFILE))["route"]
    assert verdict == "bad"
    assert "127.0.10.10" in sentence


async def test_a_port_that_is_taken_is_named() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
        found = await verdicts(replace(PROFILE, local_host="127.0.0.1", local_port=port))
    assert found["port"][0] == "bad"
    assert "local_port" in found["port"][1]
    found = await verdicts(replace(PROFILE, local_host="127.0.0.1", local_port=port))
    assert found["port"][0] == "good"


async def test_a_profile_in_the_clear_is_asked_whether_it_means_it() -> None:
    verdict, sentence = (await verdicts(replace(PROFILE, security="none")))["suites"]
    assert verdict == "limited"
    assert 'security = "ipsec"' in sentence


def has_no_esp(_: Profile) -> None:
    raise NetworkError("the kernel of this machine knows no ESP: load its modules")


def has_esp(_: Profile) -> None:
    """A machine whose kernel does it."""


async def test_a_kernel_without_esp_is_no_harm_while_imsphone_does_it_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imsphone.net.choice.expect_kernel", has_no_esp)
    monkeypatch.setattr("imsphone.net.choice.expect_own", has_esp)
    found = await verdicts(PROFILE)
    assert found["kernel"][0] == "limited"
    assert "load its modules" in found["kernel"][1]
    assert 'imsphone makes ESP itself (ipsec_by = "auto")' in found["taken"][1]


async def test_a_profile_that_wants_the_kernel_is_told_what_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imsphone.net.choice.expect_kernel", has_no_esp)
    found = await verdicts(replace(PROFILE, ipsec_by="kernel"))
    assert found["kernel"][0] == found["taken"][0] == "bad"


async def test_where_only_the_kernel_can_it_is_taken_and_carries_tcp(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imsphone.net.choice.expect_kernel", has_esp)
    monkeypatch.setattr("imsphone.net.choice.expect_own", has_no_esp)
    monkeypatch.setattr("imsphone.net.esp.open_raw", refuse)
    monkeypatch.setattr("imsphone.net.privilege.open_raw", refuse)
    monkeypatch.setenv(ENVIRONMENT, "/nonexistent")
    found = await verdicts(PROFILE)
    assert found["ESP"][0] == "limited"
    assert found["taken"] == ("good", 'the kernel makes ESP (ipsec_by = "auto")')
    assert found["TCP"][0] == "good"
