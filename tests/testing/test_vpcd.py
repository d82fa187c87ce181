"""A card in the virtual reader, seen from the reader: the protocol of vsmartcard, as its manual has it."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from imsphone.lab.network import Network
from imsphone.testing.uicc import ATRS, SoftUicc
from imsphone.testing.vpcd import Inserted

NETWORK = Network(seed=b"vpcd")


@pytest.fixture
def reader() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(10)
        yield listening


def received(connection: socket.socket) -> bytes:
    connection.settimeout(10)
    length = int.from_bytes(connection.recv(2, socket.MSG_WAITALL), "big")
    return connection.recv(length, socket.MSG_WAITALL)


def test_it_answers_the_reader_and_goes_when_taken_out(reader: socket.socket) -> None:
    card = SoftUicc.of(NETWORK.accounts["alice"], pin="1234")
    with Inserted(card, port=reader.getsockname()[1]) as inserted:
        connection, _ = reader.accept()
        with connection:
            connection.sendall(b"\x00\x01\x01" + b"\x00\x01\x04")  # current, and the ATR
            assert received(connection) == ATRS["T=0"]
            for command, answer in (
                ("0020000100", "63C3"),
                ("002000010831323334FFFFFFFF", "9000"),
                ("0020000100", "9000"),
            ):
                octets = bytes.fromhex(command)
                connection.sendall(len(octets).to_bytes(2, "big"))
                connection.sendall(octets)
                assert received(connection).hex().upper() == answer
            connection.sendall(b"\x00\x01\x02" + b"\x00\x05\x00\x20\x00\x01\x00")  # a reset forgets the PIN
            assert received(connection).hex().upper() == "63C3"
            inserted.take_out()
            assert connection.recv(1) == b""


def test_a_reader_that_goes_away_is_no_trouble(reader: socket.socket) -> None:
    with Inserted(SoftUicc.of(NETWORK.accounts["alice"]), port=reader.getsockname()[1]):
        reader.accept()[0].close()


def test_no_reader_is_the_caller_s_to_handle(reader: socket.socket) -> None:
    port = reader.getsockname()[1]
    reader.close()
    with pytest.raises(ConnectionRefusedError), Inserted(SoftUicc.of(NETWORK.accounts["alice"]), port=port):
        pass
