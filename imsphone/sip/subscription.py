"""A subscription, seen from who subscribed (RFC 6665 4.1): a dialog whose other end sends NOTIFY when there is news.

    SUBSCRIBE ──▶                           the dialog begins with whatever comes first, the 200 or a NOTIFY (4.4.1)
              ◀── 200, Expires      ┐
              ◀── NOTIFY active     ┘
    200       ──▶
    SUBSCRIBE ──▶ (a refresh, which also fetches the whole state)
              ◀── NOTIFY terminated;reason=…    the end: deactivated, timeout: subscribe anew; rejected: do not

Here is what both ends agreed on; when to send what is the business of the owner.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from imsphone.errors import ParseError
from imsphone.sip.dialog import Dialog
from imsphone.sip.grammar import parse_params
from imsphone.sip.message import Request, Response


class SubscriptionState(NamedTuple):
    """The Subscription-State of a NOTIFY (RFC 6665 8.2.3). Unknown states count as active (4.1.2.4)."""

    state: Literal["active", "pending", "terminated"]
    expires_s: int | None = None
    reason: str = ""
    retry_after_s: int | None = None

    @classmethod
    def parse(cls, text: str) -> SubscriptionState:
        """Raises ParseError."""
        word, semicolon, rest = text.partition(";")
        params = parse_params(semicolon + rest) if semicolon else {}
        name = word.strip().lower()
        if not name:
            raise ParseError("a Subscription-State such as active;expires=3600")
        state: Literal["active", "pending", "terminated"] = "active"
        if name == "terminated":
            state = "terminated"
        elif name == "pending":
            state = "pending"
        reason = (params.get("reason") or "").lower()
        return cls(state, _seconds(params.get("expires")), reason, _seconds(params.get("retry-after")))

    @property
    def allows_another(self) -> bool:
        """Whether a subscription that ended so may be followed by a new one (RFC 6665 4.1.3)."""
        return self.reason not in ("rejected", "noresource", "invariant")


class Subscription:
    """One subscription, from its first SUBSCRIBE (`initial`, which has a From tag, Event and Contact) to its end."""

    def __init__(self, initial: Request) -> None:
        self.dialog: Dialog | None = None
        self._initial = initial
        self._tag = initial.from_.tag

    def is_own(self, notify: Request) -> bool:
        """Whether this NOTIFY belongs here (RFC 6665 4.4.1). Raises ParseError."""
        dialog = self.dialog
        return (
            notify.call_id == self._initial.call_id
            and notify.to.tag == self._tag
            and _package(notify) == _package(self._initial)
            and (dialog is None or dialog.remote.tag == notify.from_.tag)
        )

    def accepted(self, response: Response) -> None:
        """A 2xx came: the dialog stands. Raises ParseError where the response makes none."""
        if self.dialog is None:
            self.dialog = Dialog.from_response(self._initial, response)
        else:
            self.dialog.refresh_target(response)

    def notified(self, notify: Request) -> SubscriptionState | None:
        """What a NOTIFY of ours says, None where it comes out of order. Raises ParseError where it cannot be read."""
        state = SubscriptionState.parse(notify.headers.get("Subscription-State") or "")
        if self.dialog is None:
            self.dialog = Dialog.from_request(notify, self._tag)
            self.dialog.local_cseq = self._initial.cseq.number
            return state
        if not self.dialog.accepts(notify):
            return None
        self.dialog.refresh_target(notify)
        return state

    def refresh(self, expires_s: int) -> Request:
        """The SUBSCRIBE that keeps it (RFC 6665 4.1.2.2) or, with 0, ends it. Only once there is a dialog."""
        assert self.dialog is not None
        request = self.dialog.request("SUBSCRIBE")
        for name in ("Event", "Accept", "Contact"):
            for value in self._initial.headers.lines(name):
                request.headers.add(name, value)
        request.headers.add("Expires", str(expires_s))
        return request


def _package(request: Request) -> str:
    """The event package, without its parameters (RFC 6665 8.2.1)."""
    return (request.headers.get("Event") or "").partition(";")[0].strip().lower()


def _seconds(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) <= 10 else None
