"""What the window shows, as plain data: events go in, a sentence and two booleans come out.

    engine ── event ──▶ Model.apply ──▶ window redraws from the model

The window never writes the model; it asks the engine, and the engine's events change it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

# What a person reads where the far end's status says it; others fall back to a general sentence.
_REFUSALS = {
    404: "There is no such number.",
    408: "No answer.",
    480: "Not reachable at the moment.",
    486: "Busy.",
    487: "Call ended.",
    488: "The two phones have no way to talk in common.",
    600: "Busy.",
    603: "Declined.",
}


@dataclass(slots=True)
class Model:
    """`status` is the line at the top; `call` the key of the call, None without one; `call_text` its state in words.

    `impu` is who we are, once the network has said so; `has_failed` that it does not let us in.
    """

    status: str = "Connecting…"
    impu: str = ""
    is_registered: bool = False
    has_failed: bool = False
    call: str | None = None
    call_text: str = ""
    remote: str = ""
    is_incoming: bool = False
    _early_end: dict[str, Any] | None = None  # of a call that ended before the engine's answer named it

    @property
    def can_call(self) -> bool:
        """Whether the green button dials."""
        return self.is_registered and self.call is None

    def apply(self, event: dict[str, Any]) -> None:
        """Takes one event as JSON; one that is not known changes nothing."""
        match event.get("event"):
            case "Registering":
                if not self.is_registered:
                    self.status, self.has_failed = "Connecting…", False
            case "Registered":
                self.is_registered, self.has_failed = True, False
                self.status, self.impu = "Ready", _short(event.get("impu"))
            case "RegistrationFailed":
                self.is_registered = self.is_registered and not event.get("is_final", True)
                self.has_failed = not self.is_registered
                self.status = _failure(event)
            case "Deregistered":
                self.is_registered, self.status = False, "Not registered"
            case "CallIncoming":
                if self.call is None:
                    self.call, self.is_incoming = str(event.get("call")), True
                    self.remote = str(event.get("display_name") or _short(event.get("remote")))
                    self.call_text = f"{self.remote} is calling"
            case name if self.call is not None and event.get("call") == self.call:
                self._apply_to_call(str(name), event)
            case "CallEnded":
                self._early_end = event

    def dialled(self, call: str, target: str) -> None:
        """The engine took our call to `target`."""
        self.call, self.is_incoming, self.remote = call, False, _short(target)
        self.call_text = f"Calling {self.remote}…"
        if self._early_end is not None and self._early_end.get("call") == call:
            self._apply_to_call("CallEnded", self._early_end)
        self._early_end = None

    def failed(self, sentence: str) -> None:
        """The engine could not do what was asked."""
        self.call_text = sentence

    def engine_ended(self, sentence: str) -> None:
        """The engine's process is gone; `sentence` is its last word, if it had one."""
        self.is_registered, self.call, self.is_incoming, self.has_failed = False, None, False, False
        self.status, self.call_text = sentence or "The phone engine has stopped. Start the program again.", ""

    def _apply_to_call(self, name: str, event: dict[str, Any]) -> None:
        match name:
            case "CallRinging":
                if not self.is_incoming:
                    self.call_text = "Ringing…"
            case "CallAnswered" | "CallResumed":
                self.call_text, self.is_incoming = f"In call with {self.remote}", False
            case "CallHeld":
                self.call_text = f"{self.remote} put you on hold."
            case "CallEnded":
                self.call, self.is_incoming = None, False
                status = event.get("status")
                refusal = _REFUSALS.get(status) if isinstance(status, int) else None
                self.call_text = refusal or (f"The call failed ({status})." if status else "Call ended.")


def _short(uri: Any) -> str:
    """An address as people read it: without the scheme."""
    return str(uri or "").removeprefix("sip:").removeprefix("tel:")


def _failure(event: dict[str, Any]) -> str:
    match event.get("cause"):
        case "authentication":
            return "The network and this SIM do not accept each other."
        case "rejected":
            return "Your network refused this phone."
        case _:
            return "No network."
