"""One call, as the application holds it.

    async with await phone.call("sip:bob@ims.example") as call:     # hangs up at the end
        await call.answered(timeout=30)
        await call.play("hello.wav")

Participles wait (`ringing`, `answered`, `ended`), imperatives act. The call's sound has a source that the far end hears
and a sink for what it says; `play` and `record` put files there, else they are the phone's `audio`.
"""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

from imsphone.errors import CallRejected, ImsPhoneError, StateError
from imsphone.events import (
    CallAnswered,
    CallEnded,
    CallHeld,
    CallProgressed,
    CallResumed,
    CallRinging,
    Event,
    MediaChanged,
    MediaMeasured,
    MediaStarted,
)

if TYPE_CHECKING:
    from imsphone.phone import Phone

_MEANING = {
    403: "the network does not let this subscription call {remote}",
    404: "there is no {remote} in that network; check the address",
    408: "{remote} did not answer",
    480: "{remote} is known and not registered, or does not answer",
    486: "{remote} is busy or does not want to talk",
    488: "{remote} shares no codec with this phone",
    603: "{remote} declined",
}
"""What the final answer to a call most likely means."""

State = Literal["calling", "progressed", "ringing", "incoming", "active", "held", "ended"]


class Call:
    """A call of a `Phone`; made by `Phone.call` and `Phone.incoming`, never by hand.

    `state` is calling, progressed, ringing, incoming, active, held (by the far end) or ended; `figures` are the media's
    latest (see `imsphone.media.quality.Measured`); `codec` is the encoding name once media flows.
    """

    def __init__(self, phone: Phone, key: str, direction: Literal["outgoing", "incoming"], remote: str) -> None:
        self.key = key
        self.direction = direction
        self.remote = remote
        self.state: State = "calling" if direction == "outgoing" else "incoming"
        self.codec: str | None = None
        self.figures: dict[str, float] = {}
        self.end: CallEnded | None = None
        self._phone = phone
        self._rang = asyncio.Event()
        self._stood = asyncio.Event()
        self._over = asyncio.Event()
        self._media_up = asyncio.Event()
        self._trouble: ImsPhoneError | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.state != "ended":
            await self.hangup()

    # Waits ------------------------------------------------------------------------------------------------------------

    async def ringing(self, timeout: float | None = None) -> None:
        """Until it rings at the far end (or is answered). Raises CallRejected, TimeoutError."""
        await self._first_of(self._rang, timeout, "rang")

    async def answered(self, timeout: float | None = None) -> None:
        """Until the far end takes the call. Raises CallRejected where it does not, TimeoutError."""
        await self._first_of(self._stood, timeout, "was answered")

    async def ended(self, timeout: float | None = None) -> CallEnded:
        """Until the call is over; gives how. Raises TimeoutError."""
        await asyncio.wait_for(self._over.wait(), timeout)
        assert self.end is not None
        return self.end

    async def _first_of(self, wanted: asyncio.Event, timeout: float | None, what: str) -> None:
        waits = [asyncio.ensure_future(event.wait()) for event in (wanted, self._over)]
        try:
            await asyncio.wait(waits, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        if wanted.is_set():
            return
        if self.end is not None:
            if self._trouble is not None:
                raise self._trouble
            status = self.end.status or 487
            explanation = _MEANING.get(status, "").format(remote=self.remote)
            raise CallRejected(status, self.end.reason or "Request Terminated", explanation=explanation)
        raise TimeoutError(f"The call to {self.remote} neither {what} nor ended within {timeout:g} s.")

    # Acts -------------------------------------------------------------------------------------------------------------

    async def answer(self) -> None:
        """Takes an incoming call. Raises StateError for any other, CallRejected where the caller gave up."""
        if self.state != "incoming":
            raise StateError(f"This call is {self.state}; only an incoming one can be answered.")
        self._phone.do(self._phone.ue.answer_call, self.key)
        await self.answered()

    async def reject(self, status: int = 486) -> None:
        """Refuses an incoming call with this status (486 Busy Here, 603 Decline, ...)."""
        if self.state != "incoming":
            raise StateError(f"This call is {self.state}; only an incoming one can be rejected.")
        self._phone.do(partial(self._phone.ue.reject, status=status), self.key)
        await self.ended()

    async def hangup(self) -> None:
        """Ends the call in whatever state it is: CANCEL, BYE or a refusal. Returns once it has ended."""
        if self.state == "ended":
            return
        self._phone.do(self._phone.ue.hangup, self.key)
        await self.ended()

    async def play(self, path: str | Path) -> None:
        """Plays a WAV file to the far end and returns once it is through. Raises AudioError, StateError."""
        await self._expect_media()
        finished = asyncio.Event()
        loop = asyncio.get_running_loop()

        def end() -> None:  # in the media thread
            loop.call_soon_threadsafe(finished.set)

        self._phone.media.play(self.key, Path(path), on_end=end)
        waits = [asyncio.ensure_future(event.wait()) for event in (finished, self._over)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        if not finished.is_set():
            raise StateError(f"The call to {self.remote} ended before {Path(path).name} was through.")

    async def record(self, path: str | Path) -> None:
        """Writes what the far end says to a WAV file until the call ends. Raises AudioError, StateError."""
        await self._expect_media()
        self._phone.media.record(self.key, Path(path))

    async def _expect_media(self) -> None:
        if self._trouble is not None:
            raise self._trouble
        if self.state == "ended":
            raise StateError(f"The call to {self.remote} has ended; it carries no sound.")
        await self._first_of(self._media_up, 30.0, "carried sound")

    # Hears ------------------------------------------------------------------------------------------------------------

    def apply(self, event: Event) -> None:
        """Takes an event of this call. For `Phone`."""
        match event:
            case MediaMeasured():
                self.figures = event.figures
            case MediaChanged():
                self._phone.media.change(self.key, event)
                self.codec = event.codec
            case MediaStarted():
                self._start(event)
            case CallProgressed():
                self.state = "progressed"
            case CallRinging():
                if self.direction == "outgoing":
                    self.state = "ringing"
                self._rang.set()
            case CallAnswered():
                self.state = "active"
                self._rang.set()
                self._stood.set()
            case CallHeld():
                self.state = "held"
            case CallResumed():
                self.state = "active"
            case CallEnded():
                self.state = "ended"
                self.end = event
                self.close()
                self._over.set()

    def _start(self, media: MediaStarted) -> None:
        """Sound begins to flow; a call that can have none (a card that went away) is of no use and ends."""
        try:
            self._phone.media.start(self.key, media, self._phone.audio)
        except ImsPhoneError as error:
            self._trouble = error
            self._phone.do(self._phone.ue.hangup, self.key)
            return
        self.codec = media.codec
        self._media_up.set()

    def close(self) -> None:
        """Stops the media and keeps its last figures. For `Phone`."""
        measured = self._phone.media.stop(self.key)
        if measured is not None:
            self.figures = measured.as_json()
