"""A base that is no part of an address is a usage error, before anything starts."""

from __future__ import annotations

import pytest
from click import BadParameter

from imsphone.cli.octets import Octets

from .conftest import Run


@pytest.mark.parametrize("text", ["127.0.10", "10.1.1"])
def test_three_octets_are_one(text: str) -> None:
    assert Octets().convert(text, None, None) == text


@pytest.mark.parametrize("text", ["", "foo", "127.0", "127.0.0.1", "127.0.300", "127.0.10.", "::1"])
def test_anything_else_is_none(text: str) -> None:
    with pytest.raises(BadParameter, match=r"127\.0\.10"):
        Octets().convert(text, None, None)


def test_it_is_one_sentence_on_the_command_line(run: Run) -> None:
    said = run("lab", "--base", "127.0.300")
    assert said.code == 2
    assert said.is_one_sentence
    assert "127.0.300" in said.err
