"""Databases at the other end of a Unix socket."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from imsphone.errors import NetworkError
from imsphone.ipsec.sa import SUITES, Associations, Ends, Keys
from imsphone.net.delegation import DelegatedDatabases
from imsphone.net.grant import GREETING, Grant
from tests.net.ledger import Ledger
from tests.net.test_grant import OWN, PEER, needs_route

KEYS = Keys.of(SUITES[1], bytes(16), bytes(range(16)))
HELD = Associations(SUITES[1], OWN, PEER, Ends(1256, 1257, 20001, 20002), Ends(1300, 1301, 5100, 6100), KEYS)


class Far:
    """`imsphone-sa` with a ledger in the kernel's place."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.ledger = Ledger()
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(path)
        self._listener.listen()
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        self._listener.close()
        with connection, connection.makefile("rb") as lines:
            assert lines.readline() == GREETING
            connection.sendall(b"ok\n")
            grant = Grant(self.ledger)
            while (line := lines.readline()) and b"gone" not in line:
                connection.sendall(grant.answer(line))
        self.ledger.close()


@pytest.fixture
def far(tmp_path: Path) -> Iterator[Far]:
    far = Far(str(tmp_path / "sa"))
    yield far
    far.thread.join(5.0)


@needs_route
def test_what_is_asked_is_done_there_and_undone_with_the_end(far: Far) -> None:
    here = DelegatedDatabases(far.path)
    here.expect_esp(is_v6=False)
    here.add(HELD, 240.0)
    assert far.ledger.held == {HELD: 240}
    here.prolong(HELD, 630.25)
    counted = here.counted(HELD)
    assert [one.association for one in counted] == list(HELD.inbound)
    assert {(one.is_inbound, one.packets, one.forged, one.replayed) for one in counted} == {(True, 3, 2, 1)}
    here.remove(HELD)
    here.remove(HELD)
    assert here.counted(HELD) == []
    here.add(HELD, 240.0)
    here.close()
    far.thread.join(5.0)
    assert far.ledger.acts == ["expect v4", "add", "prolong", "remove", "add", "close"]


@needs_route
def test_a_refusal_is_told_as_it_was_said(far: Far) -> None:
    here = DelegatedDatabases(far.path)
    with pytest.raises(NetworkError, match="no address of one host"):
        here.add(Associations(HELD.suite, "127.0.0.1", "127.0.0.2", HELD.own, HELD.peer, KEYS), 240.0)
    here.close()


@needs_route
def test_where_it_goes_the_remedy_is_said(far: Far) -> None:
    here = DelegatedDatabases(far.path)
    with pytest.raises(NetworkError, match="has gone: start it again"):
        here._ask(do="gone")
    here.close()


def test_where_it_is_not_there_the_remedy_is(tmp_path: Path) -> None:
    with pytest.raises(NetworkError, match=r"no CAP_NET_ADMIN.*sudo imsphone-sa --user \S+"):
        DelegatedDatabases(str(tmp_path / "none"))
