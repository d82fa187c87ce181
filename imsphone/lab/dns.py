"""The lab's name server: how a phone that knows only its home domain finds the P-CSCF (RFC 3263 4, TS 23.228 5.1.1.1).

    NAPTR ims.mnc001…   ──▶ SIP+D2U _sip._udp.ims.mnc001…, SIP+D2T _sip._tcp.ims.mnc001…
    SRV   _sip._udp…    ──▶ 5060 pcscf.ims.mnc001…
    A     pcscf.ims…    ──▶ 127.0.10.10          (AAAA where the address is one)

It is the authority for one domain; for any other name it refuses (RFC 1035 4.1.1). UDP only: its answers are small.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from imsphone.events import Violated
from imsphone.machine import Address, Ask, Effect, Flow, Send, Tell

_TTL_S: Final = 60
_Records = dict[dns.rdatatype.RdataType, list[str]]


class NameServer:
    """The machine. `hosts` maps host labels of `realm` ("pcscf") to addresses; `entry` is the label that SRV names.

    Its host takes TLS at `secure_port`.
    """

    def __init__(self, realm: str, hosts: Mapping[str, Address], entry: str, secure_port: int = 5061) -> None:
        self._zone = dns.name.from_text(realm)
        self._records: dict[dns.name.Name, _Records] = {}
        for label, address in hosts.items():
            kind = dns.rdatatype.AAAA if ":" in address.host else dns.rdatatype.A
            self._add(label, kind, address.host)
        port = hosts[entry].port
        for order, service, at, there in (
            (10, "SIP+D2U", "_sip._udp", port),
            (20, "SIP+D2T", "_sip._tcp", port),
            (30, "SIPS+D2T", "_sips._tcp", secure_port),
        ):
            self._add("", dns.rdatatype.NAPTR, f'{order} 50 "s" "{service}" "" {at}.{realm}.')
            self._add(at, dns.rdatatype.SRV, f"0 0 {there} {entry}.{realm}.")

    def _add(self, label: str, kind: dns.rdatatype.RdataType, text: str) -> None:
        name = dns.name.from_text(label, self._zone) if label else self._zone
        self._records.setdefault(name, {}).setdefault(kind, []).append(text)

    @property
    def deadline(self) -> None:
        """It waits for nothing."""
        return None

    def receive(self, data: bytes, flow: Flow, now: float) -> list[Effect]:
        """One query."""
        try:
            query = dns.message.from_wire(data)
            response = dns.message.make_response(query)
        except (dns.exception.DNSException, ValueError):  # ValueError: an answer or an opcode that is no query's
            what = "a datagram that is no DNS query"
            return [Tell(Violated(at=now, what=what, clause="RFC 1035 4.1", did="dropped it", source=str(flow.remote)))]
        self._fill(query, response)
        return [Send(response.to_wire(), flow)]

    def answer(self, ask: Ask, result: object, now: float) -> list[Effect]:
        """It asks nothing."""
        return []

    def lost(self, flow: Flow, now: float) -> list[Effect]:
        """Who asked is gone."""
        return []

    def tick(self, now: float) -> list[Effect]:
        """Never called."""
        return []

    def _fill(self, query: dns.message.Message, response: dns.message.Message) -> None:
        if query.opcode() != dns.opcode.QUERY:
            response.set_rcode(dns.rcode.NOTIMP)
            return
        if len(query.question) != 1:
            response.set_rcode(dns.rcode.FORMERR)
            return
        question = query.question[0]
        if question.rdclass != dns.rdataclass.IN or not question.name.is_subdomain(self._zone):
            response.set_rcode(dns.rcode.REFUSED)
            return
        response.flags |= dns.flags.AA
        known = self._records.get(question.name)
        if known is None:
            is_inside = any(name.is_subdomain(question.name) for name in self._records)  # an empty non-terminal exists
            response.set_rcode(dns.rcode.NOERROR if is_inside else dns.rcode.NXDOMAIN)
            return
        texts = known.get(question.rdtype)
        if not texts:
            return
        answer = dns.rrset.from_text_list(question.name, _TTL_S, dns.rdataclass.IN, question.rdtype, texts)
        response.answer.append(answer)
        if question.rdtype == dns.rdatatype.SRV:
            for record in answer:
                for kind, addresses in self._records.get(record.target, {}).items():
                    extra = dns.rrset.from_text_list(record.target, _TTL_S, dns.rdataclass.IN, kind, addresses)
                    if extra not in response.additional:
                        response.additional.append(extra)
