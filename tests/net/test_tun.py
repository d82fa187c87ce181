"""A TUN device, and what stays of it."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
from ipaddress import ip_address

import pytest

from imsphone.errors import NetworkError
from imsphone.ipsec.checksum import checksum
from imsphone.net import tun
from imsphone.net.tun import close_tun, count_tuns, name_of, open_tun, refusal


def lack() -> str | None:
    """Why there is no TUN device for these tests, in a sentence."""
    try:
        close_tun(open_tun("127.0.0.1"))
    except PermissionError:
        return "a TUN device needs CAP_NET_ADMIN: run these as root"
    except NetworkError as error:
        return str(error)
    return None


needs_tun = pytest.mark.skipif(lack() is not None, reason=str(lack()))


def said(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def state() -> list[str]:
    return [said("ip", *what.split()) for what in ("-6 rule", "-6 route show table all", "address")]


@needs_tun
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_device_goes_and_nothing_of_it_stays(host: str) -> None:
    before = state()
    device = open_tun(host)
    name = name_of(device)
    assert count_tuns() >= 1
    assert name in said("ip", "link", "show", "up")
    assert (f"oif {name} " in said("ip", "-6", "rule")) == (":" in host)
    close_tun(device)
    assert state() == before


@needs_tun
def test_after_a_crash_the_rule_that_stayed_makes_room_for_the_next_one() -> None:
    device = open_tun("::1")
    name = name_of(device)
    os.close(device)
    assert f"oif {name} [detached]" in said("ip", "-6", "rule")
    again = open_tun("::1")
    rules = said("ip", "-6", "rule")
    close_tun(again)
    assert rules.count(f"oif {name} ") == 1
    assert f"oif {name} " not in said("ip", "-6", "rule")


@needs_tun
def test_a_device_that_somebody_took_away_is_closed_all_the_same() -> None:
    device = open_tun("127.0.0.1")
    subprocess.run(["ip", "link", "delete", name_of(device)], check=True)
    close_tun(device)


def advertisement() -> bytes:
    """Router fe80::1 says: everything goes by me, for half an hour (RFC 4861 4.2)."""
    source, target = (ip_address(host).packed for host in ("fe80::1", "ff02::1"))
    said = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0)
    summed = source + target + struct.pack("!II", len(said), socket.IPPROTO_ICMPV6) + said
    said = said[:2] + checksum(summed).to_bytes(2, "big") + said[4:]
    return struct.pack("!IHBB", 6 << 28, len(said), socket.IPPROTO_ICMPV6, 255) + source + target + said


@needs_tun
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_who_has_the_device_does_not_get_the_hosts_ipv6_into_it(host: str) -> None:
    device = open_tun(host)
    name = name_of(device)
    os.write(device, advertisement())
    routes = said("ip", "-6", "route")
    close_tun(device)
    assert f"default via fe80::1 dev {name}" not in routes


def test_a_machine_without_tun_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tun, "PATH", "/nonexistent")
    with pytest.raises(NetworkError, match="modprobe tun"):
        open_tun("127.0.0.1")


def test_an_address_of_another_host_is_none_of_ours() -> None:
    with pytest.raises(OSError) as caught:
        open_tun("192.0.2.1")
    assert "no address of this host" in refusal(caught.value)


def refuse(*_: object) -> None:
    raise PermissionError(1, "Operation not permitted")


@needs_tun
def test_a_strict_machine_that_cannot_be_told_otherwise_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pathlib.Path.write_text", refuse)
    monkeypatch.setattr("pathlib.Path.read_text", lambda path: "1\n")
    with pytest.raises(NetworkError, match="rp_filter has to be 2"):
        open_tun("127.0.0.1")
