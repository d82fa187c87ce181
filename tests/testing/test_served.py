"""The lab in its thread: several at a time, each on its own addresses, all gone at the end."""

from __future__ import annotations

import socket

import pytest

from imsphone.errors import NetworkError
from imsphone.testing.served import ServedLab


def answers(address: tuple[str, int]) -> bool:
    with socket.socket() as client:
        return client.connect_ex(address) == 0


def test_two_labs_run_side_by_side_and_leave_nothing() -> None:
    with ServedLab() as one, ServedLab() as other:
        first, second = one.network.addresses["p-cscf"], other.network.addresses["p-cscf"]
        assert first != second
        assert answers(first)
        assert answers(second)
    assert not answers(first)


def test_an_address_that_is_taken_is_named() -> None:
    with ServedLab() as one:
        base = one.network.addresses["p-cscf"].host.rpartition(".")[0]
        with pytest.raises(NetworkError, match=base), ServedLab(base=base):
            pass
