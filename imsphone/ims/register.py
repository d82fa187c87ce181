"""REGISTER: what it carries (TS 24.229 5.1.1.2.1, 5.1.1.4.1, 5.1.1.6).

Call-ID, From tag     the same for a whole registration, CSeq one up each time
Contact               where we are, the instance-id of this device, what it can do; `*` takes all contacts away
Expires               what the profile asks for, more after a 423, 0 to leave
Supported             path, gruu; outbound and a reg-id where the profile wants several flows (RFC 5626)
Security-*, Require   the security agreement (`ims.security`)
P-Access-Network-Info only once the network knows us (5.1.1.2.1 h)
"""

from __future__ import annotations

from imsphone.ims.agent import ALLOW, SERVICES, Agent
from imsphone.machine import Flow
from imsphone.sip.headers import Headers
from imsphone.sip.ims_fields import INSTANCE, instance_param
from imsphone.sip.message import Request, Response

_LONGER_TIMES = 2  # how often a 423 may raise the expiry


class Register:
    """The REGISTERs of one registration, each one CSeq above the one before. `expires_s` is what the next asks for."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._params = f";{INSTANCE}={instance_param(agent.identity.instance_id)}{SERVICES}"
        self._supported = "path, gruu" if agent.profile.gruu else "path"
        self.asks_outbound = False
        self._call_id = self._tag = ""
        self._cseq = 0
        self._raised = 0
        self.expires_s = 0
        self.is_for_all = False

    def start(self) -> None:
        """An initial registration."""
        self.name_anew()
        self.expires_s, self._raised, self.is_for_all = self._agent.profile.expires_s, 0, False
        self.asks_outbound = self._agent.reg_id > 0

    def name_anew(self) -> None:
        """An initial registration, or the same once more with or without IPsec: it has a new Call-ID (5.1.1.5.1)."""
        ids = self._agent.ids
        self._call_id, self._tag, self._cseq = ids.call_id(), ids.tag(), 0

    def remove(self, *, is_for_all: bool) -> None:
        """From now on they take our contact away, or with `is_for_all` every contact of the user."""
        self.expires_s, self.is_for_all = 0, is_for_all

    def is_longer(self, response: Response) -> bool:
        """Takes a 423: whether the next one asks for as long as it wants (TS 24.229 5.1.1.2.1, RFC 3261 10.2.8)."""
        least_s = response.number("Min-Expires")
        if not self.expires_s or least_s is None or least_s <= self.expires_s or self._raised >= _LONGER_TIMES:
            return False
        self.expires_s = least_s
        self._raised += 1
        return True

    def next(self, flow: Flow, authorization: str, *, is_known: bool) -> Request:
        """The next one, with this flow's Contact. `is_known`: the network knows us, and may know where we are."""
        agent = self._agent
        self._cseq += 1
        params, supported = self._params, self._supported
        if self.asks_outbound:  # RFC 5626 4.2.1
            params, supported = f"{params};reg-id={agent.reg_id}", f"{supported}, outbound"
        return Request(
            "REGISTER",
            f"sip:{agent.identity.home_domain}",
            Headers.of_canonical(
                [
                    ("Max-Forwards", "70"),
                    ("From", f"<{agent.impu}>;tag={self._tag}"),
                    ("To", f"<{agent.impu}>"),
                    ("Call-ID", self._call_id),
                    ("CSeq", f"{self._cseq} REGISTER"),
                    ("Contact", "*" if self.is_for_all else f"<{agent.address(flow)}>{params}"),
                    ("Expires", str(self.expires_s)),
                    ("Authorization", authorization),
                    ("Supported", supported),
                    ("Allow", ALLOW),
                    *agent.security.headers(),
                    *(agent.access if is_known else []),
                    *agent.name,
                ]
            ),
        )
