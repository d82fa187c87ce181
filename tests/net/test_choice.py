"""Which way is taken, and what is said where there is none."""

from __future__ import annotations

import pytest

from imsphone.errors import NetworkError
from imsphone.net import choice
from imsphone.net.choice import expect_way, way_of
from imsphone.net.kernel import KernelEsp
from imsphone.net.sealing import Sealing
from imsphone.profile import Profile

WORKS = {"own": {"expect_own"}, "kernel": {"expect_kernel"}, "both": {"expect_own", "expect_kernel"}, "none": set()}


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """A machine on which such a way works."""
    for name in ("expect_own", "expect_kernel"):

        def expect(profile: Profile, name: str = name) -> None:
            if name not in WORKS[request.param]:
                raise NetworkError(f"{name} fails: remedy")

        monkeypatch.setattr(choice, name, expect)


def profile(by: str, security: str = "ipsec") -> Profile:
    return Profile(imsi="001010000000001", ipsec_by=by, security=security)


@pytest.mark.parametrize(
    ("machine", "by", "way"),
    [
        ("both", "auto", Sealing),
        ("own", "auto", Sealing),
        ("kernel", "auto", KernelEsp),
        ("both", "own", Sealing),
        ("both", "kernel", KernelEsp),
    ],
    indirect=["machine"],
)
def test_the_profile_decides_and_else_the_machine(machine: None, by: str, way: object) -> None:
    assert way_of(profile(by)) is way
    expect_way(profile(by))


@pytest.mark.parametrize(
    ("machine", "by", "fails"),
    [
        ("none", "auto", "expect_own"),
        ("kernel", "own", "expect_own"),
        ("own", "kernel", "expect_kernel"),
        ("none", "kernel", "expect_kernel"),
    ],
    indirect=["machine"],
)
def test_where_neither_works_the_remedy_is_said(machine: None, by: str, fails: str) -> None:
    with pytest.raises(NetworkError, match=f"{fails} fails: remedy"):
        expect_way(profile(by))


def test_who_registers_in_the_clear_is_asked_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "expect_own", None)
    assert way_of(profile("auto", "none")) is Sealing
