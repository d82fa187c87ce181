"""The one program with a privilege gives what it should, to whom it should, and nothing else."""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsphone.errors import NetworkError
from imsphone.net.privilege import _opened, ask_for_socket, ask_for_tun, listen, serve_one
from imsphone.net.tun import close_tun, count_tuns, name_of
from tests.net.test_esp import needs_raw
from tests.net.test_tun import needs_tun, refuse


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[str]:
    """`imsphone-sa` for this very user, in a thread, for as many connections as come."""
    path = str(tmp_path / "sa")
    listener = listen(path, os.getuid())
    listener.settimeout(0.1)
    is_over = threading.Event()

    def serve() -> None:
        while not is_over.is_set():
            serve_one(listener, os.getuid())

    thread = threading.Thread(target=serve)
    thread.start()
    yield path
    is_over.set()
    thread.join()
    listener.close()


@needs_raw
def test_it_gives_a_socket_bound_to_the_address_that_was_asked_for(broker: str) -> None:
    with ask_for_socket("127.0.0.7", broker) as raw:
        assert raw.type == socket.SOCK_RAW
        assert raw.getsockname()[0] == "127.0.0.7"


@needs_tun
def test_it_gives_a_device_at_the_address_that_was_asked_for(broker: str) -> None:
    device = ask_for_tun("127.0.0.7", broker)
    assert name_of(device).startswith("ims")
    close_tun(device)
    with pytest.raises(NetworkError, match="no address of this host"):
        ask_for_tun("192.0.2.1", broker)


@needs_tun
def test_nobody_fills_the_machine_with_devices(broker: str) -> None:
    devices = [ask_for_tun("127.0.0.7", broker) for _ in range(32 - count_tuns())]
    try:
        with pytest.raises(NetworkError, match="there are 32 TUN devices"):
            ask_for_tun("127.0.0.7", broker)
    finally:
        for device in devices:
            close_tun(device)


def test_without_the_privilege_itself_it_says_so(broker: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imsphone.net.privilege.open_tun", refuse)
    with pytest.raises(NetworkError, match="it has no CAP_NET_ADMIN itself"):
        ask_for_tun("127.0.0.1", broker)


@pytest.mark.parametrize(
    ("host", "why"),
    [
        ("0.0.0.0", "no address of one host"),
        ("224.0.0.1", "no address of one host"),
        ("1.2.3", "no IP address"),
        ("192.0.2.1", "192.0.2.1: "),
    ],
)
def test_it_gives_no_other(broker: str, host: str, why: str) -> None:
    with pytest.raises(NetworkError, match=why):
        ask_for_socket(host, broker)


@given(st.binary(max_size=64))
def test_no_request_raises(junk: bytes) -> None:
    assert isinstance(_opened(junk), str)


def test_only_the_named_user_reaches_it(tmp_path: Path) -> None:
    path = tmp_path / "sa"
    listener = listen(str(path), os.getuid())
    assert path.stat().st_mode & 0o777 == 0o600
    listener.settimeout(2.0)
    if os.getuid() != 0:  # root is always served
        thread = threading.Thread(target=serve_one, args=(listener, os.getuid() + 1))
        thread.start()
        with pytest.raises(NetworkError, match="it says nothing"):
            ask_for_socket("127.0.0.1", str(path))
        thread.join()
    listener.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a file away: run this as root")
def test_no_link_makes_it_give_away_another_file(tmp_path: Path) -> None:
    """The user puts it where the socket was, in a folder of his, just before the socket is given to him."""
    victim, path = tmp_path / "shadow", tmp_path / "sa"
    victim.touch()
    is_attacked = threading.Event()

    def swap(event: str, arguments: tuple[object, ...]) -> None:
        if event == "os.chown" and arguments[0] == str(path) and not is_attacked.is_set():
            is_attacked.set()
            path.unlink()
            path.symlink_to(victim)

    sys.addaudithook(swap)
    listen(str(path), 65534).close()
    assert is_attacked.is_set()
    assert victim.stat().st_uid == 0


def test_where_it_is_not_there_the_remedy_is(tmp_path: Path) -> None:
    with pytest.raises(NetworkError, match=r"sudo imsphone-sa --user \S+"):
        ask_for_socket("127.0.0.1", str(tmp_path / "none"))
