"""A phone in a `World`: the same machines as `imsphone.phone.Phone`, in virtual time, without sound.

alice.register()                 lets time pass until the network has answered, gives that event
key = alice.call("bob")          only dials; time passes when the test lets it
world.run_for(1.0)
bob.answer(bob.incoming())
"""

from __future__ import annotations

from functools import partial
from typing import Any, TypeVar

from imsphone.events import (
    CallEnded,
    CallIncoming,
    Deregistered,
    Event,
    Registered,
    RegistrationFailed,
    TextDelivered,
    TextFailed,
)
from imsphone.ims.identity import Identity
from imsphone.ims.ue import Ue
from imsphone.lab.world import World
from imsphone.machine import Authenticate
from imsphone.profile import Profile, Secret
from imsphone.usim.isim import Isim

E = TypeVar("E", bound=Event)


class VirtualPhone:
    """A user device called `name` at `host` in `world`. `isim` answers AKA challenges, `password` the others."""

    def __init__(
        self,
        world: World,
        name: str,
        host: str,
        profile: Profile,
        isim: Isim | None = None,
        password: Secret | None = None,
    ) -> None:
        self.world = world
        self.name = name
        self.profile = profile
        self.isim = isim
        self.ue = Ue(profile, Identity.of(profile), world.ids(name), password)
        self.events: list[Event] = []
        """All events so far."""
        self._attach(host)

    def _attach(self, host: str) -> None:
        self.world.attach(self.name, self.ue, [host], {Authenticate: self._authenticate})
        self.world.listen(self.name, self.events.append)

    def _authenticate(self, question: Authenticate) -> Any:
        return None if self.isim is None else self.isim.authenticate(question.rand, question.autn)

    # What it was told -------------------------------------------------------------------------------------------------

    def last(self, kind: type[E]) -> E | None:
        """The latest event of a kind."""
        return next((event for event in reversed(self.events) if isinstance(event, kind)), None)

    def next(self, *kinds: type[Event], timeout_s: float = 300.0) -> Event:
        """Lets time pass until the next event of these kinds. Raises TimeoutError."""
        before = len(self.events)

        def found() -> Event | None:
            return next((event for event in self.events[before:] if isinstance(event, kinds)), None)

        self.world.run_until(found, timeout_s)
        event = found()
        assert event is not None
        return event

    # What it does -----------------------------------------------------------------------------------------------------

    def do(self, act: Any, *arguments: Any) -> Any:
        """Performs a command of the UE (`act(*arguments, now)`); gives its value where it has one."""
        outcome = act(*arguments, self.world.now)
        value, effects = outcome if isinstance(outcome, tuple) else (None, outcome)
        self.world.perform(self.name, effects)
        return value

    def register(self) -> Registered | RegistrationFailed:
        """Registers and lets time pass until the network has answered for good."""
        self.do(self.ue.register)
        event = self.next(Registered, RegistrationFailed)
        while isinstance(event, RegistrationFailed) and not event.is_final:
            event = self.next(Registered, RegistrationFailed)
        assert isinstance(event, Registered | RegistrationFailed)
        return event

    def move(self, host: str) -> None:
        """The phone's address is another from now on, and the old one is nobody's."""
        self.world.detach(self.name)
        self._attach(host)
        self.do(self.ue.moved)

    def deregister(self) -> Event:
        """Deregisters and lets time pass until that is done."""
        self.do(self.ue.deregister)
        return self.next(Deregistered)

    def call(self, target: str, identity: str | None = None) -> str:
        """Dials, as this one of the phone's identities; gives the call's key."""
        key: str = self.do(partial(self.ue.call, identity=identity), target)
        return key

    def incoming(self, timeout_s: float = 60.0) -> str:
        """The key of the call that comes in, once it does."""
        known = [event for event in self.events if isinstance(event, CallIncoming)]
        over = {event.call for event in self.events if isinstance(event, CallEnded)}
        waiting = next((event for event in known if event.call not in over), None)
        event = waiting or self.next(CallIncoming, timeout_s=timeout_s)
        assert isinstance(event, CallIncoming)
        return event.call

    def answer(self, call: str) -> None:
        """Takes a call."""
        self.do(self.ue.answer_call, call)

    def reject(self, call: str, status: int = 486) -> None:
        """Refuses a call."""
        self.do(partial(self.ue.reject, status=status), call)

    def hangup(self, call: str) -> None:
        """Ends a call."""
        self.do(self.ue.hangup, call)

    def text(self, target: str, body: str) -> TextDelivered | TextFailed:
        """Sends a text and lets time pass until it is known what became of it."""
        self.do(self.ue.text, target, body)
        event = self.next(TextDelivered, TextFailed)
        assert isinstance(event, TextDelivered | TextFailed)
        return event
