"""Which error stands for which no."""

from __future__ import annotations

import pytest

from imsphone.errors import AuthenticationError, NetworkError, RegistrationRejected, TextRejected
from imsphone.events import RegistrationFailed, TextFailed
from imsphone.refusal import registration_error, text_error


@pytest.mark.parametrize(
    ("cause", "status", "kind"),
    [
        ("rejected", 403, RegistrationRejected),
        ("rejected", None, NetworkError),
        ("authentication", 403, AuthenticationError),
        ("timeout", None, NetworkError),
        ("unreachable", 503, NetworkError),
    ],
)
def test_a_registration(cause: str, status: int | None, kind: type[Exception]) -> None:
    event = RegistrationFailed(at=1.0, cause=cause, sentence="why", status=status, reason="No", retry_after_s=9)  # type: ignore[arg-type]
    error = registration_error(event)
    assert type(error) is kind
    assert "why" in str(error)
    assert getattr(error, "retry_after_s", 9) == 9


@pytest.mark.parametrize(("status", "kind"), [(404, TextRejected), (None, NetworkError)])
def test_a_text(status: int | None, kind: type[Exception]) -> None:
    error = text_error(TextFailed(at=1.0, text="t", sentence="why", status=status, reason="Not Found"))
    assert type(error) is kind
    assert "why" in str(error)
