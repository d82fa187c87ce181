"""Each target of the fuzzer for a moment: it works, and finds nothing."""

from __future__ import annotations

from itertools import islice
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .fuzz import inputs
from .mangler import Mangler
from .targets import TARGETS, Besieged, Finding

COUNTS = {"phone": 150, "journey": 25, "diameter": 200, "dns": 200}
OTHERS = 600


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", sorted(TARGETS))
def test_nothing_is_found(name: str) -> None:
    target = TARGETS[name]
    for data in islice(inputs(target, 1), COUNTS.get(name, OTHERS)):
        target.feed(data)


def test_the_mangler_leaves_little_as_it_was() -> None:
    corpus = TARGETS["sip"].corpus()
    mangler = Mangler(corpus, Random(1))
    made = [mangler.next() for _ in range(500)]
    assert len(set(made)) > 400
    assert len(set(made) & set(corpus)) < 100


@settings(max_examples=40)
@given(st.binary(), st.sampled_from(sorted(set(TARGETS) - {"journey"})))
def test_any_octets_are_nothing_to_any_target(data: bytes, name: str) -> None:
    TARGETS[name].feed(data)


def test_a_target_notices_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    phone = Besieged()
    phone.feed(b"garbage")
    phone.alice.deregister()
    with pytest.raises(Finding, match="registration is gone"):
        phone.feed(b"garbage")
    monkeypatch.setattr("imsphone.ipsec.esp.hmac.compare_digest", lambda *_: True)
    esp = TARGETS["esp"]
    (touched, *_) = esp.corpus()
    with pytest.raises(Finding, match="opens what was touched"):
        esp.feed(touched[:-1] + bytes([touched[-1] ^ 1]))
