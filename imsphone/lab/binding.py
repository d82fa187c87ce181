"""What the P-CSCF remembers of a phone that registered through it (TS 24.229 5.2.2.1).

    REGISTER ──▶ token in Path ┐                        200 ──▶ Binding: contact, flow, Service-Route, identities
                               └── the same token in every Path and Record-Route of this phone; requests from the core
                                   that carry it go to the phone on the flow it registered on

A phone is known by where its messages come from. Over UDP that is their source; over TCP the source port passes with
the connection, so the address in its topmost Via stands for it, provided the host is the same.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from imsphone.lab.alarms import Alarms
from imsphone.lab.subscriber import canonical_impu
from imsphone.machine import Address, Flow, Transport
from imsphone.sip.fields import NameAddr
from imsphone.sip.message import Request
from imsphone.sip.uri import Uri


def source(request: Request, flow: Flow) -> Address:
    """Where the phone that sent this request can be said to live."""
    if flow.transport == "UDP":
        return flow.remote
    via = request.via
    return Address(flow.remote.host, via.port or 5060) if via.host.lower() == flow.remote.host else flow.remote


@dataclass(frozen=True, slots=True)
class Binding:
    """One registered contact and the way to it. `service_route` and `impus` (default first) are of the last 200."""

    token: str
    source: Address
    flow: Flow
    impu: str
    contact: Uri
    service_route: tuple[str, ...]
    impus: tuple[str, ...]
    expires_at: float

    def assert_identity(self, preferred: list[NameAddr]) -> NameAddr:
        """The identity to assert: what the phone prefers if it is one of its own, else the default one (5.2.6.3.3)."""
        for wish in preferred:
            if canonical_impu(wish.uri) in self.impus:
                return NameAddr(wish.uri, wish.display_name)
        return NameAddr(Uri.parse(self.impus[0]))


class Bindings:
    """All of them, by token and by source; each is gone once its time has come."""

    def __init__(self) -> None:
        self._by_token: dict[str, Binding] = {}
        self._by_source: dict[Address, dict[str, Binding]] = {}
        self._by_flow: dict[Flow, set[str]] = {}
        self._ends = Alarms[str]()

    @property
    def deadline(self) -> float | None:
        """When the next one ends."""
        return self._ends.deadline

    def token_of(self, at: Address, impu: str, contact: Uri) -> str | None:
        """The token under which this contact of this identity is known already."""
        for binding in self._by_source.get(at, {}).values():
            if binding.impu == impu and binding.contact.matches(contact):
                return binding.token
        return None

    def keep(self, binding: Binding) -> None:
        """A 200 has come: this is how it is from now on."""
        self.forget(binding.token)
        self._by_token[binding.token] = binding
        self._by_source.setdefault(binding.source, {})[binding.token] = binding
        self._by_flow.setdefault(binding.flow, set()).add(binding.token)
        self._ends.set(binding.token, binding.expires_at)

    def forget(self, token: str) -> None:
        """This contact is registered no longer."""
        binding = self._by_token.pop(token, None)
        if binding is None:
            return
        self._ends.set(token, None)
        del self._by_source[binding.source][token]
        if not self._by_source[binding.source]:
            del self._by_source[binding.source]
        self._by_flow[binding.flow].discard(token)
        if not self._by_flow[binding.flow]:
            del self._by_flow[binding.flow]

    def lose(self, flow: Flow) -> None:
        """A connection is gone: the phones that registered on it are reached as their contact says from now on.

        After TLS they are not reached at all: a phone takes no connections of TLS, and nothing less would do.
        """
        for token in list(self._by_flow.get(flow, ())):
            binding = self._by_token[token]
            transport: Transport = "TCP" if binding.contact.transport == "TCP" else "UDP"
            if flow.transport == "TLS":
                transport = "TLS"
            self.keep(replace(binding, flow=Flow(transport, flow.local, binding.source)))

    def end(self, now: float) -> None:
        """Forget those whose time is over."""
        for token in self._ends.due(now):
            self.forget(token)

    def get(self, token: str) -> Binding | None:
        """The binding of this token."""
        return self._by_token.get(token)

    def at(self, address: Address) -> list[Binding]:
        """The bindings of the phone that lives here."""
        return list(self._by_source.get(address, {}).values())

    def __len__(self) -> int:
        return len(self._by_token)
