"""The phone's part in the security agreement (RFC 3329; TS 24.229 5.1.1.2.2, 5.1.1.4.2, 5.1.1.5; TS 33.203 7.2).

    REGISTER ─ Security-Client: my SPIs and ports ─▶ 401 ─ Security-Server ─▶ SIM: CK, IK ─▶ candidate
                 new SPIs and port_uc each time                                                │ 200
                 port_us for the whole registration        retiring ◀── replaced ── current ◀──┘
                                                               └─ released once its transactions have ended

An initial REGISTER leaves in the clear, one that answers a challenge inside the candidate, a refresh inside the current
set. A candidate that earns no 200 is released, and the current set goes on as if nothing had happened.

Inside, the profile's transport is taken, else UDP and for a request above 1300 octets TCP (RFC 3261 18.1.1), where both
this machine and the P-CSCF can: the first connection that comes to nothing says that the P-CSCF cannot. Each set has
connections of its own, from its own port_uc, and none is the one of the first REGISTER.
"""

from __future__ import annotations

from collections.abc import Collection

from imsphone.errors import ParseError
from imsphone.ims import explain
from imsphone.ipsec.agreement import OPTION_TAG, Proposal, proposals
from imsphone.ipsec.sa import LEAST_SPI, SUITES, Associations, Ends, Keys, Prolong, Protect, Release
from imsphone.machine import Address, Ask, Effect, Flow, Ids, Transport
from imsphone.profile import Profile
from imsphone.sip.message import Response
from imsphone.sip.transactions import Transactions
from imsphone.usim.aka import AkaSuccess

ABOUT = "security"

_LEAST_PROTECTED_PORT = 32_768  # what others choose, IANA leaves alone from 49152 on; P-CSCFs take any
_SPI_OF_TEN_DIGITS = 1_000_000_000  # RFC 3329 writes an SPI with ten digits, some read no leading zeros
_GRACE_S = 30.0  # TS 24.229 5.1.1.5.1: the associations outlive the registration by so much

_KNOWN = {str(suite): suite for suite in SUITES}

assert _SPI_OF_TEN_DIGITS >= LEAST_SPI


class Security:
    """The associations of one registration, and the words about them.

    `is_wanted` where they are to be agreed on; `may_ask_again` until a second attempt at that is under way.
    """

    def __init__(self, profile: Profile, ids: Ids, transactions: Transactions, timeout_s: float) -> None:
        self._policy = profile.security
        self._transport: Transport = profile.transport or "UDP"
        self._may_try_tcp: bool | None = False if profile.transport == "UDP" else None
        self._takes_tcp = self._may_try_tcp  # the P-CSCF, inside the associations; None: it has not been tried
        self.start()
        self.current: Associations | None = None
        self.candidate: Associations | None = None
        self._suites = tuple(_KNOWN[name] for name in profile.security_suites) if self.is_wanted else ()
        self._ids = ids
        self._transactions = transactions
        self._timeout_s = timeout_s
        self._flows: set[Flow] = set()  # of all sets so far, which the newest one inherits
        self._offer = Ends(0, 0, 0, 0)
        self._chosen: Proposal | None = None
        self._heard: tuple[str, ...] = ()  # Security-Server of the last challenge
        self._verify: tuple[str, ...] = ()  # and that of the set in use
        self._expires_at = 0.0
        self._retiring: list[tuple[float, Associations]] = []

    def start(self) -> None:
        """The user wants to register."""
        self.is_wanted = self._policy != "none"
        self.may_ask_again = True

    @property
    def deadline(self) -> float | None:
        """When associations have served their time."""
        times = [at for at, _ in self._retiring] + ([self._expires_at] if self.current is not None else [])
        return min(times, default=None)

    def tick(self, now: float) -> list[Effect]:
        """Releases those whose time has come."""
        if self.current is not None and now >= self._expires_at:  # a refresh is under way that comes too late
            self.lapse()
        due = [old for at, old in self._retiring if at <= now]
        self._retiring = [entry for entry in self._retiring if entry[0] > now]
        return [effect for old in due for effect in self._release(old)]

    # What a REGISTER says and where it goes ---------------------------------------------------------------------------

    def begin(self) -> list[Effect]:
        """An initial registration begins, at this P-CSCF or the next; what an earlier one had, lives to its end."""
        effects = self._drop_candidate()
        self.lapse()
        self._takes_tcp = self._may_try_tcp
        self._offer = self._offer._replace(port_s=0)
        self.renew()
        return effects

    def renew(self) -> None:
        """New SPIs and a new port_uc for the next REGISTER that may be challenged; port_us stays (5.1.1.4.2)."""
        if not self.is_wanted:
            return
        taken = {self._offer.spi_c, self._offer.spi_s, self._offer.port_c, self._offer.port_s}
        spi_c, spi_s = (self._number(_SPI_OF_TEN_DIGITS, 1 << 32, taken) for _ in range(2))
        port_s = self._offer.port_s or self._number(_LEAST_PROTECTED_PORT, 1 << 16, taken)
        self._offer = Ends(spi_c, spi_s, self._number(_LEAST_PROTECTED_PORT, 1 << 16, taken), port_s)

    def _number(self, least: int, beyond: int, taken: set[int]) -> int:
        number = 0
        while number == 0 or number in taken:
            number = least + self._ids.number(40) % (beyond - least)
        taken.add(number)
        return number

    def way(self, plain: Flow) -> Flow:
        """The flow of the next REGISTER: the candidate's, the current one's, else `plain`."""
        held = self.candidate or self.current
        if held is not None:
            return self._flow_of(held)
        if self.is_wanted:  # the first word waits for no connection
            self._transactions.udp_only.add(plain.local)
        return plain

    def latest(self, flow: Flow) -> Flow:
        """The flow that has taken this one's place: that of the set in use, for a call outlives many sets."""
        return self._flow_of(self.current) if self.current is not None and flow in self._flows else flow

    def contact(self, plain: Flow) -> Flow:
        """The flow whose address the next REGISTER has in its Contact: our protected server port (5.1.1.2.2 c)."""
        if not self.is_wanted:
            return plain
        return plain._replace(local=Address(plain.local.host, self._offer.port_s))

    def headers(self) -> list[tuple[str, str]]:
        """What the next REGISTER says of security."""
        if not self.is_wanted:
            return []
        lines = [("Security-Client", str(Proposal(suite, self._offer))) for suite in self._suites]
        heard = self._heard if self.candidate else self._verify
        lines += [("Security-Verify", value) for value in heard]  # 5.1.1.5.1: as it came
        return [*lines, ("Require", OPTION_TAG), ("Proxy-Require", OPTION_TAG)]

    def verify(self) -> list[tuple[str, str]]:
        """What every other request says of it (RFC 3329 2.3.1)."""
        if self.current is None:
            return []
        lines = [("Security-Verify", value) for value in self._verify]
        return [*lines, ("Require", OPTION_TAG), ("Proxy-Require", OPTION_TAG)]

    def admits(self, flow: Flow) -> bool:
        """Whether a request may come on this flow: once protected, only inside ESP (TS 33.203 7.1)."""
        if self.current is None:
            return True
        held = [self.current, *(old for _, old in self._retiring), *([self.candidate] if self.candidate else [])]
        return any(flow.local in (one.own_server, one.own_client) for one in held)

    # What comes back --------------------------------------------------------------------------------------------------

    def challenged(self, response: Response) -> str:
        """Takes the Security-Server of a 401. Gives the empty string, or the sentence that says what it lacks."""
        self._heard = tuple(response.headers.lines("Security-Server"))
        try:
            offered = proposals(response.headers.get_all("Security-Server"))
        except ParseError:
            offered = []
        # RFC 3329 2.3.1: of what both can, what the server prefers
        self._chosen = next((one for one in offered if one.suite in self._suites), None)
        if self._chosen is not None:
            return ""
        if not self._heard:
            return "the network's challenge agrees to no IPsec: it has no Security-Server"
        if offered:
            return f"the network wants {offered[0].suite}, which this phone did not offer"
        return (
            "the network's Security-Server cannot be used: a mechanism, an SPI or a port is missing; some P-CSCFs want "
            "the phone at port 5060 (local_port)"
        )

    def refused(self, response: Response) -> str:
        """Takes a 420, 421 or 494. Gives the sentence about it, the empty string where it is about something else."""
        if self._policy == "none" or (response.status == 420 and OPTION_TAG not in response.tokens("Unsupported")):
            return ""
        if response.status == 494 and self.candidate is not None:
            return explain.CHANGED_AGREEMENT
        if response.status != 420:
            return explain.OTHER_AGREEMENT
        self.may_ask_again = False  # that would not teach the network
        return explain.NO_AGREEMENT

    def begins_again(self) -> bool:
        """Whether there is another way, and takes it: in the clear where the profile lets us, else once the same."""
        if self._policy == "ipsec-or-plain" and self.is_wanted:
            self.is_wanted = False
        elif not (self.is_wanted and self.may_ask_again):
            return False
        self.may_ask_again = False
        return True

    def protect(self, success: AkaSuccess, plain: Flow) -> tuple[list[Effect], Ask]:
        """The question that sets up the candidate, and what becomes of an earlier one."""
        assert self._chosen is not None
        effects = self._drop_candidate()
        suite, theirs = self._chosen.suite, self._chosen.ends
        keys = Keys.of(suite, success.ck, success.ik)
        held = Associations(suite, plain.local.host, plain.remote.host, self._offer, theirs, keys)
        self.candidate = held
        self._transactions.protected[held.own_client] = held.own_server
        return effects, Ask(Protect(held), ABOUT)

    def guarded(self, transports: Collection[Transport]) -> str:
        """The world can protect these. Gives the empty string, or the sentence that says what is missing."""
        if not transports:
            return explain.NO_IPSEC
        if self._transport not in transports:
            return explain.NO_TCP
        if self.candidate is not None and ("TCP" not in transports or self._takes_tcp is False):
            self._transactions.udp_only.add(self.candidate.own_client)
        return ""

    def heard(self, flow: Flow) -> None:
        """A message came on this flow."""
        if flow.transport == "TCP" and flow.local in self._transactions.protected:
            self._takes_tcp = True

    def lost(self, flow: Flow) -> None:
        """A connection broke. Was it the first one inside, then what is large stays on UDP from now on."""
        if flow.transport == "TCP" and flow.local in self._transactions.protected and self._takes_tcp is None:
            self._takes_tcp = False
            self._transactions.udp_only.add(flow.local)

    def granted(self, expires_at: float, now: float) -> list[Effect]:
        """200: the candidate is the current set. The old one stays until its transactions have ended (5.1.1.5.1)."""
        old, new = self.current, self.candidate
        until = expires_at + _GRACE_S
        self._expires_at = until if old is None else max(until, self._expires_at)  # 5.1.1.4.2: the longest
        if new is not None:
            self.current, self.candidate, self._verify = new, None, self._heard
            if old is not None:
                self._retiring.append((now + self._timeout_s, old))
            self._flows.add(self._flow_of(new))
        return [Ask(Prolong(self.current, self._expires_at), ABOUT)] if self.current else []

    def lapse(self, at: float | None = None) -> None:
        """The registration is over: its associations are not used any more, and live to their end or until `at`."""
        if self.current is not None:
            self._retiring.append((self._expires_at if at is None else at, self.current))
        self.current, self._verify = None, ()

    def failed(self) -> list[Effect]:
        """The candidate earned no 200."""
        return self._drop_candidate()

    def end(self) -> list[Effect]:
        """There is no registration any more, and nothing to protect."""
        gone = [held for held in (self.candidate, self.current) if held] + [old for _, old in self._retiring]
        self.candidate = self.current = None
        self._verify = ()
        self._retiring = []
        self._flows.clear()
        return [effect for held in gone for effect in self._release(held)]

    def _flow_of(self, held: Associations) -> Flow:
        """Where our requests go inside these associations (TS 33.203 7.1: from port_uc to port_ps)."""
        return Flow(self._transport, held.own_client, held.peer_server)

    def _drop_candidate(self) -> list[Effect]:
        gone, self.candidate = self.candidate, None
        return self._release(gone) if gone else []

    def _release(self, held: Associations) -> list[Effect]:
        self._transactions.protected.pop(held.own_client, None)
        self._transactions.udp_only.discard(held.own_client)
        return [Ask(Release(held), ABOUT)]
