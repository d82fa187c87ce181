"""Events: frozen facts, JSON as they stand."""

from __future__ import annotations

import json
from dataclasses import MISSING, FrozenInstanceError, fields
from typing import Any

import pytest

from imsphone import events
from imsphone.events import CallEnded, Event, MediaChanged, MediaStarted, Registered, RegistrationFailed, Violated

KINDS = [kind for kind in vars(events).values() if isinstance(kind, type) and issubclass(kind, Event)]
EXAMPLES: dict[str, Any] = {
    "str": "text", "int": 1, "float": 1.5, "bool": True, "int | None": None, "tuple[str, ...]": ("a", "b"),
    "tuple[str, int]": ("127.0.0.1", 5004), "dict[str, float]": {"mos": 4.4},
}  # fmt: skip


def example(kind: type[Event]) -> Event:
    needed = [field for field in fields(kind) if field.default is MISSING]
    return kind(**{field.name: EXAMPLES.get(str(field.type), "text") for field in needed})


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_event_is_json_as_it_stands(kind: type[Event]) -> None:
    event = example(kind)
    record = json.loads(json.dumps(event.as_json()))
    assert record["event"] == kind.__name__
    assert set(record) == {"event", *(field.name for field in fields(kind))}
    assert record["at"] == 1.5


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_event_is_a_value(kind: type[Event]) -> None:
    assert kind.__doc__
    assert example(kind) == example(kind)
    with pytest.raises(FrozenInstanceError):
        example(kind).at = 2.0  # type: ignore[misc]
    with pytest.raises(TypeError):
        kind(1.5)  # type: ignore[misc]


def test_what_an_application_reads() -> None:
    registered = Registered(at=1.0, impu="sip:a@b", impus=("sip:a@b", "tel:+1"), service_route=(), expires_s=600000)
    assert not registered.is_refresh
    assert registered.as_json()["impus"] == ("sip:a@b", "tel:+1")
    failed = RegistrationFailed(at=1.0, cause="timeout", sentence="Nothing answers.")
    assert (failed.status, failed.tried, failed.is_final) == (None, (), True)
    assert CallEnded(at=1.0, call="c", by="remote").status is None
    assert issubclass(MediaChanged, MediaStarted)
    assert Violated(at=1.0, what="two To headers", clause="RFC 3261 7.3.1", did="dropped").source == ""
