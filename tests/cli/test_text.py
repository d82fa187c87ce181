"""`imsphone text`: a user can try it alone."""

from __future__ import annotations

import json
from pathlib import Path

from .conftest import Run


def test_the_echo_says_it_back(run: Run, profiles: dict[str, Path]) -> None:
    said = run("text", profiles["alice"], "echo", "grüß dich", "--wait", "20", "--ladder")
    assert said.code == 0, said.err
    assert said.out.startswith("Delivered.\nsip:echo@")
    assert ": grüß dich\n" in said.out
    assert said.out.count("MESSAGE") == 2


def test_as_json(run: Run, profiles: dict[str, Path]) -> None:
    said = run("text", profiles["alice"], "recorder", "hello", "--json", "--wait", "0")
    assert said.code == 0, said.err
    events = [json.loads(line) for line in said.out.splitlines()]
    names = [event["event"] for event in events]
    assert names.index("TextSent") < names.index("TextDelivered")


def test_who_is_unknown(run: Run, profiles: dict[str, Path]) -> None:
    said = run("text", profiles["alice"], "mallory", "hello")
    assert said.code == 1
    assert said.is_one_sentence
    assert "404" in said.err
    assert "mallory" in said.err


def test_a_text_that_is_too_long_or_goes_nowhere_is_a_mistake_of_the_user(run: Run, profiles: dict[str, Path]) -> None:
    said = run("text", profiles["alice"], "bob", 2000 * "x")
    assert (said.code, said.is_one_sentence) == (2, True)
    assert "shorten the text" in said.err
    said = run("text", profiles["alice"], "no address", "hello")
    assert said.code == 2
    assert "cannot be written to" in said.err
