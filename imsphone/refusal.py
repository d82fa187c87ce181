"""An event that says no, as the error that whoever waits for a yes gets raised."""

from __future__ import annotations

from imsphone.errors import AuthenticationError, NetworkError, RegistrationRejected, TextRejected
from imsphone.events import RegistrationFailed, TextFailed


def registration_error(event: RegistrationFailed) -> RegistrationRejected | AuthenticationError | NetworkError:
    """The error that stands for a registration that failed for good."""
    if event.cause == "authentication":
        return AuthenticationError(event.sentence)
    if event.cause == "rejected" and event.status is not None:
        return RegistrationRejected(
            event.status, event.reason, explanation=event.sentence, retry_after_s=event.retry_after_s
        )
    return NetworkError(event.sentence, event.tried)


def text_error(event: TextFailed) -> TextRejected | NetworkError:
    """The error that stands for a text that was not taken."""
    if event.status is None:
        return NetworkError(event.sentence)
    return TextRejected(event.status, event.reason, explanation=event.sentence, retry_after_s=event.retry_after_s)
