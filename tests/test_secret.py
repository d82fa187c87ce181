"""Secrets show themselves to nobody, and keys have their length."""

from __future__ import annotations

import copy
import pickle

import pytest

from imsphone.errors import ProfileError
from imsphone.secret import Secret

K = "465b5ce8b199b49faa5f0a2ee238a6bc"


def test_a_secret_shows_itself_to_nobody() -> None:
    secret = Secret(K.encode())
    assert {repr(secret), str(secret), f"{secret}", f"{secret:>40}", "%s" % secret} == {"•••"}  # noqa: UP031
    assert repr({"k": [secret]}) == "{'k': [•••]}"
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError):
            pickle.dumps(secret, protocol)
    with pytest.raises(TypeError):
        copy.deepcopy(secret)
    with pytest.raises(TypeError):
        hash(secret)


def test_a_secret_is_revealed_and_compared() -> None:
    assert Secret(b"a\0b").reveal() == b"a\0b"
    assert Secret(b"a") == Secret(b"a")
    assert Secret(b"a") != Secret(b"b")
    assert Secret(b"a") != b"a"


def test_a_key_is_32_hex_digits() -> None:
    assert Secret(K.encode()).key("k") == bytes.fromhex(K)
    assert Secret(b"465B 5CE8 B199 B49F AA5F 0A2E E238 A6BC\n").key("k") == bytes.fromhex(K)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (K[:31], "k has 31 hex digits; it should have 32"),
        (K + "00", "k has 34 hex digits; it should have 32"),
        ("", "k has 0 hex digits; it should have 32"),
        ("x" + K[1:], "k holds a character that is no hex digit; it should be 32 hex digits"),
        ("é" * 16, "k holds a character that is no hex digit; it should be 32 hex digits"),
    ],
)
def test_a_key_of_another_length_is_counted_and_not_shown(text: str, said: str) -> None:
    with pytest.raises(ProfileError) as refused:
        Secret(text.encode()).key("k")
    assert str(refused.value) == said
