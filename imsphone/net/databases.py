"""The kernel's two databases of IPsec (RFC 4301 4.4), with what one phone or P-CSCF has in them.

                        add                        remove, in the other order       the kernel alone
    SPD  policies       first: nothing passes      last                             forgets them a minute later,
    SAD  associations   then: ESP passes           first                            these after their lifetime

There is no moment at which a protected port would pass something to the peer or from it in the clear (TS 33.203 7.4).
Two sets of associations may have a port in common, our server port at least: they share its policies.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from ipaddress import ip_address
from typing import Protocol

from imsphone.errors import NetworkError
from imsphone.ipsec.sa import Association, Associations
from imsphone.ipsec.shield import Counted
from imsphone.machine import Address
from imsphone.net.addresses import local_host
from imsphone.net.xfrm import PROTOCOLS, Way, Xfrm

_LONGER_S = 60  # that a policy outlives its associations, should our own end come late


class Databases(Protocol):
    """Where associations are kept outside of this program."""

    def expect_esp(self, is_v6: bool) -> None:
        """Raises NetworkError where ESP is not known there. Leaves nothing."""

    def add(self, associations: Associations, lifetime_s: float) -> None:
        """Four associations and what demands them. Raises NetworkError, and has added nothing then."""

    def prolong(self, associations: Associations, lifetime_s: float) -> None:
        """So long from now on. Raises NetworkError."""

    def remove(self, associations: Associations) -> None:
        """They and what demands them are gone."""

    def counted(self, associations: Associations) -> list[Counted]:
        """What has passed each: outbound ones first."""

    def close(self) -> None:
        """Everything that was added here is gone."""


class KernelDatabases:
    """Those of this machine's kernel. Raises PermissionError without CAP_NET_ADMIN, NetworkError without IPsec."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._xfrm = Xfrm()
        self._clock = clock  # the kernel counts lifetimes by the wall clock too
        self._added_at: dict[Associations, float] = {}
        self._states: dict[Associations, list[Association]] = {}
        self._policies: dict[Way, dict[Associations, float]] = {}  # who demands it, and until when
        try:
            self._xfrm.expect_permission()
        except PermissionError:
            self._xfrm.close()
            raise

    def expect_esp(self, is_v6: bool) -> None:
        """Raises NetworkError where the kernel knows no ESP."""
        self._xfrm.expect_esp(is_v6)

    def add(self, associations: Associations, lifetime_s: float) -> None:
        """Raises NetworkError, and has added nothing then."""
        expect_distance(associations)
        self._added_at[associations] = self._clock()
        states = self._states.setdefault(associations, [])
        try:
            self._demand(associations, lifetime_s)
            for one in _every(associations):
                self._xfrm.add_state(one, associations.suite, associations.keys, math.ceil(lifetime_s))
                states.append(one)
        except NetworkError:
            self.remove(associations)
            raise

    def prolong(self, associations: Associations, lifetime_s: float) -> None:
        """Raises NetworkError."""
        if associations not in self._states:
            return
        self._demand(associations, lifetime_s)
        whole_s = math.ceil(self._clock() - self._added_at[associations] + lifetime_s)
        for one in self._states[associations]:
            self._xfrm.prolong_state(one, associations.suite, associations.keys, whole_s)

    def remove(self, associations: Associations) -> None:
        """No word where the kernel has forgotten them already."""
        for one in self._states.pop(associations, ()):
            self._xfrm.remove_state(one)
        for way in _ways(associations):
            owners = self._policies.get(way, {})
            if owners.pop(associations, None) is not None and not owners:
                del self._policies[way]
                self._xfrm.remove_policy(way)

    def counted(self, associations: Associations) -> list[Counted]:
        """What the kernel has counted."""
        counted = [Counted(one, False, self._xfrm.passed(one).packets) for one in associations.outbound]
        for one in associations.inbound:
            passed = self._xfrm.passed(one)
            counted.append(Counted(one, True, passed.packets, passed.forged, passed.replayed))
        return counted

    def close(self) -> None:
        """Leaves nothing behind."""
        for associations in list(self._states):
            self.remove(associations)
        self._xfrm.close()

    def _demand(self, associations: Associations, lifetime_s: float) -> None:
        """Policies for its four ways, new ones or those of another set that then last as long as either needs."""
        until = self._clock() + lifetime_s + _LONGER_S
        for way in _ways(associations):
            owners = self._policies.get(way, {})
            last_s = math.ceil(max([until, *owners.values()]) - self._clock())
            if owners:
                self._xfrm.prolong_policy(way, last_s)
            else:
                self._xfrm.add_policy(way, last_s)
            self._policies.setdefault(way, {})[associations] = until


def expect_distance(associations: Associations) -> None:
    """Raises NetworkError where the peer is this very host: the kernel keeps IPsec away from its loopback."""
    peer = associations.peer_host
    if ip_address(peer).is_loopback or local_host(peer) == peer:
        remedy = 'let imsphone make ESP itself: ipsec_by = "own"'
        raise NetworkError(f"{peer} is this very host, and the kernel's ESP does not reach there: {remedy}")


def _every(associations: Associations) -> tuple[Association, ...]:
    return (*associations.inbound, *associations.outbound)


def _ways(associations: Associations) -> list[Way]:
    """ESP between the ports of each association, and nothing between ours and any other port of the peer: some P-CSCFs
    would open connections from there, in the clear."""
    anywhere = Address(associations.peer_host, 0)
    ways: list[Way] = []
    for protocol in PROTOCOLS:
        ways += [Way(one.source, one.target, "in", protocol) for one in associations.inbound]
        ways += [Way(one.source, one.target, "out", protocol) for one in associations.outbound]
        for own in (associations.own_client, associations.own_server):
            ways += [Way(anywhere, own, "in", protocol), Way(own, anywhere, "out", protocol)]
    return ways
