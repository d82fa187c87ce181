"""The foreign phone's parent: starting, waiting, being told why not, and leaving nothing behind."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from pathlib import Path

import pytest

from imsphone.errors import ImsPhoneError, NetworkError
from imsphone.testing.foreign import ForeignPhone, Orders, what_is_missing

HOST = "127.0.93.2"
needs_pjsua2 = pytest.mark.skipif(what_is_missing() is not None, reason=str(what_is_missing()))


@pytest.fixture
def port() -> int:
    """A port that was free a moment ago."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def test_orders_survive_the_pipe_and_do_not_show_the_password() -> None:
    orders = Orders(HOST, 5060, user="peer", realm="ims.example", password="s3cret", proxy="127.0.0.1:5060")
    assert Orders.read(orders.line()) == orders
    assert "s3cret" not in repr(orders)
    assert orders.impi == "peer@ims.example"


def test_where_the_wheel_is_missing_a_sentence_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr(sys, "version_info", (3, 12, 1, "final", 0))
    assert what_is_missing() == "the foreign phone needs pjsua2-python: pip install 'imsphone[peer]'"


async def test_starting_without_the_wheel_raises_that_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImsPhoneError, match="the foreign phone needs pjsua2-python"):
        await ForeignPhone(Orders(HOST, 5060)).start()


@needs_pjsua2
async def test_it_starts_says_what_it_can_and_ends_when_asked(port: int) -> None:
    async with ForeignPhone(Orders(HOST, port)) as peer:
        assert "PCMA/8000/1" in peer.events[0]["codecs"]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other, pytest.raises(OSError, match="in use"):
            other.bind((HOST, port))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind((HOST, port))
    await peer.stop()  # once more does no harm


@needs_pjsua2
async def test_the_password_is_on_no_command_line(port: int) -> None:
    orders = Orders(HOST, port, user="peer", realm="ims.example", password="s3cret", proxy=f"{HOST}:9")
    async with ForeignPhone(orders) as peer:
        for name in ("cmdline", "environ"):
            assert b"s3cret" not in Path(f"/proc/{peer.pid}/{name}").read_bytes()


@needs_pjsua2
async def test_a_taken_port_is_named_as_the_reason(port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind((HOST, port))
        with pytest.raises(ImsPhoneError, match="Address already in use"):
            await ForeignPhone(Orders(HOST, port)).start()


@needs_pjsua2
async def test_where_nobody_registers_it_the_proxy_is_named(port: int) -> None:
    orders = Orders(HOST, port, user="peer", realm="ims.example", password="x", proxy=f"{HOST}:9;transport=tcp")
    async with ForeignPhone(orders) as peer:
        with pytest.raises(NetworkError, match="no registrar") as raised:
            await peer.registered()
    assert raised.value.tried == (orders.proxy,)


@needs_pjsua2
async def test_a_death_is_noticed_by_whoever_waits(port: int) -> None:
    async with ForeignPhone(Orders(HOST, port)) as peer:
        waiting = asyncio.create_task(peer.until("incoming", timeout_s=60))
        await asyncio.sleep(0)
        os.kill(peer.pid, 9)
        with pytest.raises(ImsPhoneError, match="the foreign phone ended"):
            await waiting


@needs_pjsua2
async def test_what_does_not_come_in_time_is_named(port: int) -> None:
    async with ForeignPhone(Orders(HOST, port)) as peer:
        with pytest.raises(ImsPhoneError, match="told no incoming"):
            await peer.until("incoming", timeout_s=0.05)
