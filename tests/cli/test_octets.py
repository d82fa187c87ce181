"""A base that is no part of an address is a usage error, before anything starts."""

from __future__ import annotations

import pytest
from click import BadParameter

from imsphone.cli.octets import Base, Octets

from .conftest import Run


@pytest.mark.parametrize("text", ["127.0.10", "10.1.1"])
def test_three_octets_are_one(text: str) -> None:
    assert Octets().convert(text, None, None) == text


@pytest.mark.parametrize("text", ["", "foo", "127.0", "127.0.0.1", "127.0.300", "127.0.10.", "::1"])
def test_anything_else_is_none(text: str) -> None:
    with pytest.raises(BadParameter, match=r"127\.0\.10"):
        Octets().convert(text, None, None)


@pytest.mark.parametrize("text", ["fd93::", "2001:db8:1::", "127.0.10"])
def test_a_base_may_be_of_ipv6(text: str) -> None:
    assert Base().convert(text, None, None) == text


@pytest.mark.parametrize("text", ["fd93:", "fd93::1::", "x::", "1:2:3:4:5:6:7:8::"])
def test_or_it_is_none(text: str) -> None:
    with pytest.raises(BadParameter):
        Base().convert(text, None, None)


def test_it_is_one_sentence_on_the_command_line(run: Run) -> None:
    said = run("lab", "--base", "127.0.300")
    assert said.code == 2
    assert said.is_one_sentence
    assert "127.0.300" in said.err
