"""Where the built-in network lives: the first three octets of its nodes' addresses."""

from __future__ import annotations

from ipaddress import AddressValueError, IPv4Address
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
