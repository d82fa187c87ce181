from __future__ import annotations

import contextlib
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsphone.machine import Address
from imsphone.net.addresses import family_of, from_socket, local_host, parse_endpoint, to_socket


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def test_the_kernel_names_the_address_that_would_be_written_into_the_packet() -> None:
    host = local_host("127.0.10.20")
    assert host is not None
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as there,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as us,
    ):
        there.bind(("127.0.10.20", 0))
        us.sendto(b"x", there.getsockname())
        assert there.recvfrom(1)[1][0] == host


@pytest.mark.skipif(not has_ipv6(), reason="this host has no IPv6 loopback")
def test_ipv6_reaches_itself() -> None:
    assert local_host("::1") == "::1"


@pytest.mark.parametrize("target", ["pcscf.example", "", "fe80::1", "fe80::1%nosuchcard", "1.2.3"])
def test_no_route_is_none(target: str) -> None:
    assert local_host(target) is None


@pytest.mark.parametrize(
    ("host", "family"),
    [
        ("192.0.2.1", socket.AF_INET),
        ("2001:db8::1", socket.AF_INET6),
        ("fe80::1%eth0", socket.AF_INET6),
        ("[::1]", None),
        ("localhost", None),
        ("127.1", None),
    ],
)
def test_only_literals_have_a_family(host: str, family: socket.AddressFamily | None) -> None:
    assert family_of(host) == family


def test_a_zone_is_the_number_of_its_interface_to_the_kernel() -> None:
    number, name = socket.if_nameindex()[0]
    assert to_socket(Address(f"fe80::1%{name}", 5060)) == ("fe80::1", 5060, 0, number)
    assert to_socket(Address(f"fe80::1%{number}", 5060)) == ("fe80::1", 5060, 0, number)
    assert from_socket(("fe80::1", 5060, 0, number)) == Address(f"fe80::1%{name}", 5060)
    assert from_socket(("2001:db8::1", 5060, 0, 0)) == Address("2001:db8::1", 5060)
    with pytest.raises(OSError, match="interface"):
        to_socket(Address("fe80::1%nosuchcard", 5060))


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.10.53:5053", Address("127.0.10.53", 5053)),
        ("127.0.10.53", Address("127.0.10.53", 53)),
        ("2001:db8::1", Address("2001:db8::1", 53)),
        (" [2001:db8::1]:5053 ", Address("2001:db8::1", 5053)),
        ("[::1]", Address("::1", 53)),
    ],
)
def test_endpoints(text: str, address: Address) -> None:
    assert parse_endpoint(text, 53) == address


@pytest.mark.parametrize("text", ["", "dns.example", "127.0.0.1:0", "127.0.0.1:70000", "127.0.0.1:x", "[::1]x", "::1]"])
def test_what_is_no_endpoint_says_what_would_be(text: str) -> None:
    with pytest.raises(ValueError, match=r"write an IP address"):
        parse_endpoint(text, 53)


@given(st.text(max_size=40))
def test_any_text_is_an_endpoint_or_a_value_error(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert 0 < parse_endpoint(text, 53).port < 65536
