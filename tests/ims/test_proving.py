"""From a challenge to its answer: who is asked, what leaves, and when it is given up."""

from __future__ import annotations

from typing import Any

from imsphone.events import Challenged, RegistrationFailed
from imsphone.machine import Authenticate


def start(bench: Any) -> None:
    bench.do(bench.ue.register)
    bench.answer((bench.flow,))


def test_a_challenge_is_for_the_sim_and_its_answer_leaves(bench: Any) -> None:
    start(bench)
    bench.challenge()
    assert bench.question(Authenticate) == Authenticate(bytes(range(16)), bytes(range(16, 32)))
    bench.answer(bench.success)
    assert len(bench.requests) == 2
    assert bench.names == ["Registering", "Challenged", "Registering"]
    assert bench.events(Challenged)[0].algorithm == "AKAv1-MD5"


def test_a_password_needs_no_sim(softphone: Any) -> None:
    start(softphone)
    softphone.reply("401 Unauthorized", f'WWW-Authenticate: Digest realm="{softphone.home}", nonce="n", qop="auth"')
    assert not softphone.asked
    assert len(softphone.requests) == 2


def test_without_a_sim_there_is_no_answer(bench: Any) -> None:
    start(bench)
    bench.challenge()
    bench.answer(None)
    (event,) = bench.events(RegistrationFailed)
    assert (event.cause, event.is_final) == ("authentication", True)
    assert len(bench.requests) == 1
