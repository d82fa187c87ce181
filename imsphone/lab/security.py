"""The P-CSCF's part in the security agreement (TS 24.229 5.2.2, TS 33.203 7.2, RFC 3329).

    REGISTER  Security-Client ──▶ Offer                        who wants what; in the clear, or inside an older set
    401  ck, ik ──▶ Agreement on trial ──▶ Security-Server     and the world is asked to Protect
    REGISTER inside it: Security-Verify and Security-Client as they were? else 494
    200 ──▶ the agreement stands, registration + 30 s; the one before it goes when its transactions have ended

A phone at home is its protected server port, which stays the same for as long as it is registered; the client ports and
SPIs change with each agreement. Here the server port is one for all phones, and each agreement has a client port.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from imsphone.ipsec.agreement import MECHANISM, Proposal, proposals
from imsphone.ipsec.sa import Associations, Ends, Keys, Prolong, Protect, Release, Suite
from imsphone.lab.alarms import Alarms
from imsphone.machine import Address, Ask, Effect, Flow, Ids
from imsphone.sip.digest import is_aka
from imsphone.sip.message import Request, Response
from imsphone.sip.timers import TS_24_229

SERVER_PORT: Final = 6100
_FIRST_CLIENT_PORT: Final = 5100
_CLIENT_PORTS: Final = 900
_LEAST_SPI: Final = 1_000_000_000
_TRIAL_S: Final = 240.0  # TS 24.229 7.8: reg-await-auth, four minutes
_GRACE_S: Final = 30.0  # 5.2.2.2: the associations outlive the registration by so much


@dataclass(frozen=True, slots=True)
class Offer:
    """What a phone said in a REGISTER: the values of Security-Client, and the one that we can do."""

    values: tuple[str, ...]
    chosen: Proposal


@dataclass(slots=True, eq=False)
class Agreement:
    """One set of associations with a phone, and the words that led to it."""

    held: Associations
    client: tuple[str, ...]
    server: tuple[str, ...]
    stands: bool = False

    @property
    def home(self) -> Address:
        """The phone's protected server port."""
        return self.held.peer_server


class Agreements:
    """All of them, by the phone's end that they protect. `suites` is what this P-CSCF can do, the preferred first."""

    def __init__(self, host: str, suites: tuple[Suite, ...], ids: Ids) -> None:
        self.server = Address(host, SERVER_PORT)
        self._suites = suites
        self._ids = ids
        self._by_client: dict[Address, Agreement] = {}
        self._ends = Alarms[Address]()
        self._count = 0

    @property
    def deadline(self) -> float | None:
        """When the next one ends."""
        return self._ends.deadline

    def end(self, now: float) -> list[Effect]:
        """Forgets those whose time is over."""
        return [effect for client in self._ends.due(now) for effect in self._drop(client)]

    def of(self, flow: Flow) -> Agreement | None:
        """The agreement under whose protection a message came."""
        return self._by_client.get(flow.remote) if flow.local == self.server else None

    def offer(self, request: Request) -> Offer | None:
        """What the phone offers, None where that is nothing that we can do."""
        values = tuple(request.headers.get_all("Security-Client"))
        offered = {proposal.suite: proposal for proposal in proposals(values)}
        return next((Offer(values, offered[suite]) for suite in self._suites if suite in offered), None)

    def listed(self, agreement: Agreement | None) -> str:
        """The Security-Server of a 494: the list as it was agreed on, without an agreement just the suites."""
        if agreement is not None:
            return ", ".join(agreement.server)
        return ", ".join(f"{MECHANISM};alg={suite.alg};ealg={suite.ealg}" for suite in self._suites)

    @staticmethod
    def is_kept(agreement: Agreement, request: Request) -> bool:
        """Whether a request inside this agreement repeats what was agreed (5.2.2.2, RFC 3329 2.3.1)."""
        verify = tuple(request.headers.get_all("Security-Verify"))
        client = tuple(request.headers.get_all("Security-Client"))
        return verify == agreement.server and (agreement.stands or client == agreement.client)

    def propose(self, offer: Offer, response: Response, peer_host: str, now: float) -> list[Effect]:
        """A 401 for a phone that made this offer: takes the keys, adds Security-Server, sets the associations up."""
        challenge = next((one for one in response.challenges() if is_aka(one)), None)
        if challenge is None:
            return []
        try:
            ck, ik = (bytes.fromhex(challenge.get(name)) for name in ("ck", "ik"))
        except ValueError:
            return []
        if len(ck) != 16 or len(ik) != 16:
            return []
        self._count += 1
        spi_c, spi_s = (_LEAST_SPI + 2 * (self._ids.number(31) % 1_000_000_000) + last for last in (0, 1))
        own = Ends(spi_c, spi_s, _FIRST_CLIENT_PORT + self._count % _CLIENT_PORTS, SERVER_PORT)
        server = tuple(
            str(Proposal(suite, own, round(max(0.1, 0.9 - number / 10), 1)))
            for number, suite in enumerate(self._suites)
        )
        suite, theirs = offer.chosen.suite, offer.chosen.ends
        held = Associations(suite, self.server.host, peer_host, own, theirs, Keys.of(suite, ck, ik))
        effects = [effect for client in self._on_trial(held.peer_server) for effect in self._drop(client)]
        for value in server:
            response.headers.add("Security-Server", value)
        self._by_client[held.peer_client] = Agreement(held, offer.values, server)
        self._ends.set(held.peer_client, now + _TRIAL_S)
        return [*effects, Ask(Protect(held))]

    def accept(self, agreement: Agreement, expires_s: float, now: float) -> list[Effect]:
        """200: the agreement stands, for the registration and a little longer; older ones end soon."""
        agreement.stands = True
        until = now + expires_s + (_GRACE_S if expires_s else TS_24_229.timeout_s)
        self._ends.set(agreement.held.peer_client, until)
        for client, other in self._by_client.items():
            if other is not agreement and other.home == agreement.home:
                self._ends.set(client, now + TS_24_229.timeout_s)
        return [Ask(Prolong(agreement.held, until))]

    def _on_trial(self, home: Address) -> list[Address]:
        return [client for client, one in self._by_client.items() if one.home == home and not one.stands]

    def _drop(self, client: Address) -> list[Effect]:
        gone = self._by_client.pop(client, None)
        self._ends.set(client, None)
        return [Ask(Release(gone.held))] if gone else []
