"""Where the built-in network lives: the first three octets of its nodes' addresses."""

from __future__ import annotations

from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Any

import click


class Octets(click.ParamType[str]):
    """Three octets, "127.0.10": on Linux every 127.x.y.z is there without further ado."""

    name = "OCTETS"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            return str(IPv4Address(f"{value}.1")).removesuffix(".1")
        except AddressValueError:
            self.fail(f"{value} should be the first three octets of an IPv4 address, such as 127.0.10", param, ctx)


class Base(Octets):
    """The same, or what IPv6 addresses begin with, "fd93::"; those must be this host's already."""

    name = "BASE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not str(value).endswith("::"):
            return super().convert(value, param, ctx)
        try:
            return str(IPv6Address(f"{value}1")).removesuffix("1")
        except AddressValueError:
            self.fail(f"{value} should be what IPv6 addresses begin with, such as fd93::", param, ctx)
