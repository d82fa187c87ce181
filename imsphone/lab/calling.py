"""A call that a far end makes to a phone: it offers, waits, acknowledges, talks (RFC 3261 13.2).

OpenMedia ──▶ INVITE ──▶ I-CSCF …      18x with RSeq ──▶ PRACK       2xx ──▶ ACK, each time it comes
                                       hang_up: CANCEL               a second dialog's 2xx: ACK and BYE
"""

from __future__ import annotations

from imsphone.errors import ParseError
from imsphone.lab.call import ALLOW, SDP, Call, CallUp, Side, description
from imsphone.lab.leg import Service
from imsphone.machine import Address, Ask, Effect, OpenMedia, Tell
from imsphone.sip.client import ClientTransaction
from imsphone.sip.dialog import Dialog
from imsphone.sip.fields import RAck
from imsphone.sip.message import Request, Response
from imsphone.sip.reliable import RSeqOrder, is_reliable
from imsphone.sip.uri import Uri


class Calling(Call):
    """One outgoing call to `target`, announced as `caller` to the I-CSCF at `entry`."""

    def __init__(self, side: Side, target: str, caller: str, entry: Address, service: Service) -> None:
        super().__init__(side, side.ids.call_id(), service)
        self._target = target
        self._caller = caller
        self._entry = entry
        self._invite: ClientTransaction | None = None
        self._dialogs: dict[str, Dialog] = {}  # by their tag: a fork answers with several
        self._orders: dict[str, RSeqOrder] = {}
        self._is_hanging_up = False

    def start(self) -> list[Effect]:
        """First a place to receive at."""
        return [Ask(OpenMedia(self.side.address.host), self.key)]

    def opened(self, media: Address | None, now: float) -> list[Effect]:
        """The world's answer; the INVITE leaves."""
        if media is None or self._is_hanging_up:
            return self.over(now)
        self.media = media
        request = Request("INVITE", self._target)
        add = request.headers.add
        add("Max-Forwards", "70")
        add("From", f"<{self._caller}>;tag={self.side.ids.tag()}")
        add("To", f"<{self._target}>")
        add("Call-ID", self.key)
        add("CSeq", "1 INVITE")
        add("Contact", f"<sip:{self.side.address}>")
        add("P-Asserted-Identity", f"<{self._caller}>")
        add("Supported", "100rel")
        add("Allow", ALLOW)
        request.set_body(self.offer(), SDP)
        flow = self.side.hop(Uri("sip", host=self._entry.host, port=self._entry.port))
        self._invite, effects = self.side.transactions.request(request, flow, now, self)
        return effects

    def heard(self, response: Response, transaction: ClientTransaction, now: float) -> list[Effect]:
        """A response to a request of this call. Raises ParseError where it cannot be read."""
        if transaction is not self._invite:
            return []  # of PRACK and BYE nothing depends on the answer
        if response.status >= 300:
            return self.over(now, response.status)
        if response.status >= 200:
            return self._answered(response, transaction, now)
        if self._is_hanging_up or not is_reliable(response) or not response.to.tag:
            return []
        order = self._orders.setdefault(response.to.tag, RSeqOrder())
        if not order.accepts(response):
            return []
        self.dialog = self._dialog_of(response, transaction)
        prack = self.dialog.request("PRACK")
        prack.headers.add("RAck", str(RAck(response.rseq or 0, transaction.request.cseq.number, "INVITE")))
        self._take(response, now)
        return self.side.transactions.request(prack, self.way(prack), now, self)[1]

    def _answered(self, response: Response, transaction: ClientTransaction, now: float) -> list[Effect]:
        try:
            dialog = self._dialog_of(response, transaction)
        except ParseError:  # it cannot even be acknowledged
            return [] if self.is_up else self.over(now, response.status)
        effects = self._ack(dialog, transaction, now)
        if self.is_over or self._is_hanging_up or (self.is_up and dialog is not self.dialog):  # nobody wants this one
            bye = dialog.request("BYE")
            effects += self.side.transactions.request(bye, self.way(bye), now, self)[1]
            return effects + (self.over(now) if self._is_hanging_up else [])
        self.dialog = dialog
        if self.is_up:
            return effects
        self.is_up = True
        self._take(response, now)
        return [*effects, Tell(CallUp(now, self.key))]

    def _dialog_of(self, response: Response, transaction: ClientTransaction) -> Dialog:
        """The dialog of this response, with the CSeq that its PRACKs have reached (RFC 3261 13.2.2.4)."""
        tag = response.to.tag
        dialog = self._dialogs.get(tag)
        if dialog is None:
            dialog = self._dialogs[tag] = Dialog.from_response(transaction.request, response)
        elif response.is_final:
            dialog.confirm(response)
        return dialog

    def _ack(self, dialog: Dialog, transaction: ClientTransaction, now: float) -> list[Effect]:
        ack = dialog.request("ACK", transaction.request.cseq.number)
        return self.side.transactions.send(ack, self.way(ack))

    def _take(self, response: Response, now: float) -> None:
        """The answer to our offer, once it is there."""
        try:
            theirs = description(response)
        except ParseError:
            return
        if theirs is not None and self.leg is None:
            self.connect(theirs, now)

    def failed(self, transaction: ClientTransaction, now: float) -> list[Effect]:
        """No answer came."""
        return self.over(now, 408) if transaction is self._invite else []

    def hang_up(self, now: float) -> list[Effect]:
        if self.is_over:
            return []
        if self.is_up:
            return self.request("BYE", now) + self.over(now)
        self._is_hanging_up = True
        return [] if self._invite is None else self.side.transactions.cancel(self._invite, now)
