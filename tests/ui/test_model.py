"""What a person reads, event by event."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from imsphone.events import CallAnswered, CallEnded, CallIncoming, CallRinging, Registered, RegistrationFailed
from imsphone_ui.model import Model


def told(*events: Any) -> Model:
    model = Model()
    for event in events:
        model.apply(event.as_json())
    return model


REGISTERED = Registered(at=0.0, impu="sip:a@x", impus=("sip:a@x",), service_route=(), expires_s=600)


def test_it_connects_and_is_ready() -> None:
    assert Model().status == "Connecting…"
    assert not Model().can_call
    assert told(REGISTERED).status == "Ready"
    assert told(REGISTERED).can_call


def test_a_refusal_is_said_in_words() -> None:
    refused = RegistrationFailed(at=0.0, cause="rejected", sentence="…", status=403, reason="Forbidden")
    assert told(refused).status == "Your network refused this phone."
    assert not told(refused).can_call


def test_a_failed_refresh_leaves_the_phone_ready() -> None:
    hiccup = RegistrationFailed(at=9.0, cause="timeout", sentence="…", is_final=False)
    assert told(REGISTERED, hiccup).is_registered


def test_a_call_out_rings_stands_and_ends() -> None:
    model = told(REGISTERED)
    model.dialled("k", "bob")
    assert model.call_text == "Calling bob…"
    assert not model.can_call
    model.apply(CallRinging(at=1.0, call="k").as_json())
    assert model.call_text == "Ringing…"
    model.apply(CallAnswered(at=2.0, call="k", remote="sip:bob@x").as_json())
    assert model.call_text == "In call with bob"
    model.apply(CallEnded(at=3.0, call="k", by="remote").as_json())
    assert model.call_text == "Call ended."
    assert model.can_call


def test_busy_is_a_word_and_not_a_number() -> None:
    model = told(REGISTERED)
    model.dialled("k", "bob")
    model.apply(CallEnded(at=3.0, call="k", by="remote", status=486, reason="Busy Here").as_json())
    assert model.call_text == "Busy."


def test_a_call_that_ended_before_the_engine_named_it_is_not_shown_as_running() -> None:
    model = told(REGISTERED)
    model.apply(CallEnded(at=3.0, call="k", by="network", status=408, reason="").as_json())
    model.dialled("k", "bob")
    assert model.call is None
    assert model.call_text == "No answer."


def test_somebody_calls() -> None:
    model = told(REGISTERED, CallIncoming(at=1.0, call="k", remote="sip:bob@x", display_name="Bob"))
    assert model.is_incoming
    assert model.call_text == "Bob is calling"


def test_a_second_caller_does_not_take_the_window_over() -> None:
    model = told(REGISTERED)
    model.dialled("k", "bob")
    model.apply(CallIncoming(at=1.0, call="other", remote="sip:eve@x").as_json())
    assert model.call == "k"
    assert model.call_text == "Calling bob…"


@given(
    st.dictionaries(
        st.sampled_from(["event", "call", "status", "cause", "is_final"]), st.none() | st.text() | st.integers()
    )
)
def test_no_event_raises(event: dict[str, Any]) -> None:
    Model().apply(event)
