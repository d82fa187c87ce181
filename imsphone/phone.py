"""A phone: the machines of `ims/`, driven on real sockets, with a media thread beside them.

    application ── await phone.call(…) ──▶ Phone ──▶ net.driver ──▶ ims.ue ──▶ wire
                ◀─────── events ──────────  │  ◀──── Tell ───────────┘
                                            └──▶ audio.loop (a thread): RTP sockets, playout, sound

Imperatives act and participles wait: `await phone.register()` returns once the network has said yes or raises what
`imsphone.errors` lists; `await call.answered()` waits for the far end.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, Self

from imsphone.audio.endpoint import Audio
from imsphone.audio.loop import MediaLoop
from imsphone.audio.null import silence
from imsphone.call import Call
from imsphone.errors import ImsPhoneError, NetworkError, StateError
from imsphone.events import (
    CallEnded,
    CallIncoming,
    Challenged,
    Deregistered,
    Event,
    FlowLost,
    FlowOpened,
    MediaMeasured,
    Registered,
    RegistrationFailed,
    TextDelivered,
    TextFailed,
    TextReceived,
)
from imsphone.ims.identity import Identity
from imsphone.ims.ue import Ue
from imsphone.ipsec.sa import Associations
from imsphone.ladder import draw
from imsphone.lifespan import Lifespan
from imsphone.machine import Address, Authenticate, Ids, OpenMedia
from imsphone.net.card import Card, open_card
from imsphone.net.choice import expect_way, way_of
from imsphone.net.driver import Driver
from imsphone.net.tls import profile_tls
from imsphone.net.whereabouts import Whereabouts
from imsphone.profile import Profile, Secret
from imsphone.refusal import registration_error, text_error
from imsphone.store import StoredIsim, open_isim, open_secret
from imsphone.trace import Direction, Trace
from imsphone.usim.aka import NoAnswer, Outcome
from imsphone.usim.isim import Isim
from imsphone.waiting import Audience, within

SETTLE_S = 1.0
_MOST_TEXTS = 1000  # that nobody asks for: the oldest is dropped then
_MOST_CALLS = 16  # likewise, and only the newest can still be there
_SETTLED = (Registered, RegistrationFailed, Deregistered, FlowOpened, FlowLost)
_log = logging.getLogger("imsphone.phone")


class Phone(Audience):
    """One user device. Use it as an async context manager: leaving it releases calls and the registration.

    `isim` or `password` replace what the profile's references name; where the SIM is a card, `profile` is completed by
    what it says. `audio` makes the two ends of a call's sound
    (silence by default; see `imsphone.audio`); `link` is a bad network put before the RTP sockets, for trials.
    `on_protected` is shown each set of security associations, keys and all, for who has to look inside ESP.
    """

    def __init__(
        self,
        profile: Profile,
        *,
        isim: Isim | Card | None = None,
        password: Secret | None = None,
        audio: Audio = silence,
        trace: Trace | None = None,
        name: str | None = None,
        link: Any = None,
        on_protected: Callable[[Associations], None] | None = None,
    ) -> None:
        super().__init__()
        self.profile = profile
        self.name = name or profile.name or "phone"
        self.trace = trace if trace is not None else Trace()
        self.calls: dict[str, Call] = {}
        self.registration: Registered | None = None
        self.audio = audio
        self._on_protected = on_protected
        self._isim = isim
        self._opened: StoredIsim | Card | None = None  # by us, who close it
        self._password = password
        self._incoming: asyncio.Queue[Call] = asyncio.Queue(_MOST_CALLS)
        self._texts: asyncio.Queue[TextReceived] = asyncio.Queue(_MOST_TEXTS)
        self._media = MediaLoop(on_measured=self._measured, on_packet=self._packet, link=link)
        self._ports: dict[str, Address] = {}  # opened, by call
        self._trouble: ImsPhoneError | None = None
        self._crash: Exception | None = None
        self._is_open = False
        self._is_proving = False  # our answer to a challenge is under way

    async def __aenter__(self) -> Self:
        profile = self.profile
        if profile.auth == "aka" and self._isim is None:
            if profile.sim:
                self._isim = self._opened = card = await asyncio.to_thread(open_card, profile)
                self.profile = profile = card.complete(profile)
            else:
                self._isim = self._opened = open_isim(profile)
        if profile.auth == "digest" and self._password is None:
            self._password = open_secret(profile.password or "")
        self._ue = Ue(profile, Identity.of(profile), Ids(os.urandom(32)), self._password)
        self._driver = Driver(
            self._ue,
            name=self.name,
            answers={Authenticate: self._authenticate, OpenMedia: self._open_media},
            on_event=self._on_event,
            on_trouble=self._note_trouble,
            on_crash=self._note_crash,
            trace=self.trace,
            dns=profile.dns_address,
            tls=profile_tls(profile),
            local=(profile.local_host, profile.local_port),
            # Kamailio's P-CSCF makes no agreement with a phone whose Via names another port
            preferred_port=0 if profile.security == "none" else 5060,
            protection=way_of(profile),
            on_protected=self._on_protected,
        )
        self._loop = asyncio.get_running_loop()
        self._whereabouts = Whereabouts(lambda: self._ue.way, self.move) if profile.local_host is None else None
        self._media.begin()
        self._is_open = True
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends calls, deregisters where registered (5 s at most), closes sockets and the media thread.

        Raises what a bug of ours raised meanwhile, as the last act.
        """
        if not self._is_open:
            return
        self._is_open = False
        try:
            await self._settle()
            if self.registration is not None:
                await self._ask_to_deregister(timeout_s=5.0)
        finally:
            self._stay()
            for call in list(self.calls.values()):
                call.close()
            await self._driver.close()
            await asyncio.to_thread(self._media.close)
            if self._opened is not None:
                await asyncio.to_thread(self._opened.close)
        if self._crash is not None:
            raise self._crash

    # Acts -------------------------------------------------------------------------------------------------------------

    async def register(self) -> Registered:
        """Registers with the network; it refreshes itself from then on.

        Raises RegistrationRejected, AuthenticationError, NetworkError; the last also where the profile insists on IPsec
        and this machine cannot send it, or no TCP inside it where that is insisted on, before anything else is.
        """
        self._expect_open()
        if self.profile.security == "ipsec":
            expect_way(self.profile)
        self._trouble = None
        with self.watch(Registered, RegistrationFailed) as watch:
            self.do(self._ue.register)
            event = await watch.first()
        if isinstance(event, RegistrationFailed):
            error = registration_error(event)
            raise (self._trouble or error) if isinstance(error, NetworkError) else error
        assert isinstance(event, Registered)
        return event

    def move(self, local_host: str | None = None) -> None:
        """The own address has changed, to this one or to whatever routes say: calls end, a new registration begins.

        `until(Registered)` waits for it. Where neither this nor the profile names an address, the phone notices itself.
        """
        self._expect_open()
        if local_host is not None:
            self._stay()
        self._driver.leave(local_host or self.profile.local_host)  # before any association goes
        self.do(self._ue.moved)

    def _stay(self) -> None:
        """From now on the address changes when somebody says so."""
        if self._whereabouts is not None:
            self._whereabouts.close()

    async def deregister(self, *, everywhere: bool = False) -> None:
        """Ends all calls and takes the own contact out of the network (TS 24.229 5.1.1.6).

        With `everywhere` the contacts of all devices of the user, where the network lets one of them do that.
        """
        self._expect_open()
        if self.registration is None:
            raise StateError("This phone is not registered, so there is nothing to end; call register() first.")
        await self._ask_to_deregister(timeout_s=None, everywhere=everywhere)

    async def _settle(self) -> None:
        """Who leaves with an answer to a challenge under way may be registered in a moment, and must not stay so."""
        if self._is_proving:
            with self.watch(Registered, RegistrationFailed) as watch, contextlib.suppress(TimeoutError):
                await asyncio.wait_for(watch.first(), SETTLE_S)

    async def _ask_to_deregister(self, timeout_s: float | None, *, everywhere: bool = False) -> None:
        with self.watch(Deregistered) as watch:
            self.do(partial(self._ue.deregister, everywhere=everywhere))
            try:
                await asyncio.wait_for(watch.first(), timeout_s)
            except TimeoutError:
                self.registration = None
                _log.warning("the network did not confirm the deregistration; it keeps %s till it expires", self.name)

    async def call(self, target: str, *, identity: str | None = None) -> Call:
        """Calls a number, a user of the home domain or a SIP address; returns at once, see `Call.answered`.

        `identity` is which of `registration.impus` calls, the default one where none is said. Raises StateError where
        the phone is not registered or may not call so, ParseError where `target` is no address.
        """
        self._expect_open()
        key, effects = self._ue.call(target, self._driver.now(), identity=identity)
        call = self.calls[key] = Call(self, key, "outgoing", target)
        self._driver.perform(effects)
        return call

    def emergency(self) -> Phone:
        """A second phone beside this one, to be used likewise, that calls the profile's test PSAP and nobody else.

        It raises ProfileError where the profile names none (TS 24.229 5.1.6).
        """
        profile = replace(self.profile, emergency=True, local_port=0)
        parts: dict[str, Any] = {"isim": self._isim, "password": self._password, "audio": self.audio}
        return Phone(profile, **parts, trace=self.trace, name=f"{self.name}-sos")

    async def incoming(self, timeout: float | None = None) -> Call:
        """The next call that comes in and is still there. Raises TimeoutError."""
        while True:
            call = await within(timeout, self._incoming.get(), "no call came in")
            if call.state != "ended":
                return call

    async def text(self, target: str, body: str) -> TextDelivered:
        """Sends a text to a number, a user of the home domain or a SIP address; returns once it is taken.

        Raises TextRejected, NetworkError, TextTooLong, StateError where the phone is not registered, and ParseError
        where `target` is no address.
        """
        self._expect_open()
        key, effects = self._ue.text(target, body, self._driver.now())
        with self.watch(TextDelivered, TextFailed, text=key) as watch:
            self._driver.perform(effects)
            event = await watch.first()
        if isinstance(event, TextFailed):
            raise text_error(event)
        assert isinstance(event, TextDelivered)
        return event

    async def incoming_text(self, timeout: float | None = None) -> TextReceived:
        """The next text that comes in, or has come in and was not asked for yet. Raises TimeoutError."""
        return await within(timeout, self._texts.get(), "no text came in")

    # Sees -------------------------------------------------------------------------------------------------------------

    @property
    def is_registered(self) -> bool:
        """Whether the network holds our contact."""
        return self.registration is not None

    @property
    def associations(self) -> list[Lifespan]:
        """The security associations with the P-CSCF: since when they are there, and what has passed each."""
        return self._driver.associations

    def ladder(self, *, width: int = 120, colour: bool = False) -> str:
        """What crossed the network so far, drawn: at most `width` columns, with `colour` in ANSI codes.

        Below it stand the security associations, where there were any.
        """
        pcscf = self.profile.pcscf_endpoint
        drawn = draw(self.trace, names={pcscf.host: "p-cscf"} if pcscf else None, width=width, colour=colour)
        associations = self.trace.association_table()
        return f"{drawn}\n\n{associations}" if associations else drawn

    def now(self) -> float:
        """The phone's clock, in seconds, on which its events are stamped."""
        return self._driver.now()

    # Between the machines and the world -------------------------------------------------------------------------------

    def do(self, act: Callable[..., Any], *arguments: Any) -> None:
        """Runs an act of the UE (`act(*arguments, now)`) and what follows from it. For `Call`."""
        self._driver.perform(act(*arguments, self._driver.now()))

    @property
    def ue(self) -> Ue:
        """The machine below. For `Call`."""
        return self._ue

    @property
    def media(self) -> MediaLoop:
        """The media thread. For `Call`."""
        return self._media

    async def _authenticate(self, question: Authenticate) -> Outcome | NoAnswer | None:
        if isinstance(self._isim, Card):
            return await asyncio.to_thread(self._isim.authenticate, question.rand, question.autn)
        return None if self._isim is None else self._isim.authenticate(question.rand, question.autn)

    async def _open_media(self, question: OpenMedia) -> Address | None:
        local = self._media.open(question.host)
        if local is not None:
            self._ports[question.call] = local
        return local

    def _on_event(self, event: Event) -> None:
        self._is_proving = isinstance(event, Challenged) or (self._is_proving and not isinstance(event, _SETTLED))
        match event:
            case Registered():
                self.registration = event
            case Deregistered():
                self.registration = None
            case RegistrationFailed() if not self._ue.is_registered:
                self.registration = None
            case CallIncoming():
                call = self.calls[event.call] = Call(self, event.call, "incoming", event.remote)
                if self._incoming.full():
                    self._incoming.get_nowait()
                self._incoming.put_nowait(call)
            case TextReceived():
                if self._texts.full():
                    self._texts.get_nowait()
                self._texts.put_nowait(event)
        key = getattr(event, "call", None)
        if key is not None and (call_of := self.calls.get(key)) is not None:
            call_of.apply(event)
            if isinstance(event, CallEnded):
                del self.calls[key]
                if (unused := self._ports.pop(key, None)) is not None:
                    self._media.release(unused)
        self.tell(event)

    def _note_trouble(self, error: ImsPhoneError) -> None:
        """The driver could not ask the world (a busy port, a name that leads nowhere): the reason behind a failure."""
        self._trouble = error

    def _note_crash(self, error: Exception) -> None:
        """A bug of ours cost an input: who waits for its outcome must not wait for ever."""
        self._crash = self._crash or error
        self.fail(error)

    def _measured(self, key: str, figures: dict[str, float]) -> None:
        """From the media thread, once a second."""
        at = self._driver.now()
        self._loop.call_soon_threadsafe(self._on_event, MediaMeasured(at=at, call=key, figures=figures))

    def _packet(self, direction: Direction, local: Address, remote: Address, data: bytes, at: float) -> None:
        """From the media thread, each RTP and RTCP packet."""
        self._driver.trace_media(direction, local, remote, data, at)

    def _expect_open(self) -> None:
        if not self._is_open:
            raise StateError("This phone is closed; use it inside `async with Phone(profile) as phone:`.")
