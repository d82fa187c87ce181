"""Readers and their troubles, each a sentence; the cards themselves are in tests/interop/test_pcsc.py."""

from __future__ import annotations

import importlib.util
import sys

import pytest

from imsphone.errors import CardError
from imsphone.net.card import Card, Reader, choose, readers

FULL, EMPTY = Reader("Alcor AU9560 00 00", True), Reader("Virtual PCD 00 01", False)


def test_the_only_card_is_meant_where_nobody_says_which() -> None:
    assert choose("", [EMPTY, FULL]) == FULL.name
    assert choose("alcor", [EMPTY, FULL]) == FULL.name
    assert choose(FULL.name, [EMPTY, FULL, Reader(f"{FULL.name} 2", True)]) == FULL.name


@pytest.mark.parametrize(
    ("wish", "found", "words"),
    [
        ("", [], "no card reader is connected"),
        ("gemalto", [EMPTY, FULL], 'no card reader has "gemalto"'),
        ("virtual", [EMPTY, FULL], 'no card is in "Virtual PCD 00 01"'),
        ("", [FULL, Reader("B", True)], 'sim = "card:Alcor AU9560 00 00" or "card:B"'),
    ],
)
def test_no_card_or_too_many_are_said_with_the_readers_that_there_are(
    wish: str, found: list[Reader], words: str
) -> None:
    with pytest.raises(CardError, match=words):
        choose(wish, found)


def test_without_pyscard_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "smartcard", None)
    for act in (readers, Card):
        with pytest.raises(CardError, match=r'pip install "imsphone\[card\]"'):
            act()


@pytest.mark.skipif(importlib.util.find_spec("smartcard") is None, reason="needs pyscard (extra card)")
def test_every_code_of_pc_sc_has_a_sentence() -> None:
    from smartcard import scard

    from imsphone.net.card import _Context

    context = object.__new__(_Context)  # no service is asked
    context.scard = scard
    codes = [name for name in dir(scard) if name.startswith(("SCARD_E_", "SCARD_W_", "SCARD_F_"))]
    sentences = {name: context.sentence(getattr(scard, name), "READER") for name in codes}
    assert "put it in again" in sentences["SCARD_W_REMOVED_CARD"]
    assert "right way round" in sentences["SCARD_W_UNRESPONSIVE_CARD"]
    assert "8010001F" in sentences["SCARD_E_UNEXPECTED"]
    assert all(len(sentence) > 20 for sentence in sentences.values())
