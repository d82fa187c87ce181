"""Texts, each in one request that stands alone: the pager mode of RFC 3428 (TS 24.229 5.1.2A.1, 5.1.2A.2).

    text ─▶ MESSAGE ─▶ TextSent ─┬ 200, 202 ─▶ TextDelivered       202: somebody keeps it for who is not there
                                 ├ 401, 407 ─▶ once more, with the password
                                 └ all else ─▶ TextFailed
    MESSAGE ─▶ 200 ─▶ TextReceived                                 415 where it holds what we cannot show

Over UDP a MESSAGE has 1300 octets at most, headers and all (RFC 3428 8): there is nothing that would slow a flood of
large ones down. What it says of IPsec to the P-CSCF alone does not count, or there would be no room for a text.
"""

from __future__ import annotations

from imsphone.errors import TextTooLong
from imsphone.events import TextDelivered, TextFailed, TextReceived, TextSent
from imsphone.ims.agent import TEXT, Agent, Binding
from imsphone.ims.proof import Proof
from imsphone.machine import Effect, Tell
from imsphone.sip.client import ClientTransaction
from imsphone.sip.grammar import parse_params
from imsphone.sip.message import Request, Response
from imsphone.sip.server import ServerTransaction
from imsphone.sip.transactions import UDP_LIMIT_BYTES
from imsphone.sip.uri import Uri

# What a charset is called → what reads it. UTF-8 is what SIP has where nothing is said (RFC 3261 20.15, 25.1).
_CHARSETS = {"": "utf-8", "utf-8": "utf-8", "us-ascii": "utf-8", "iso-8859-1": "latin-1"}
_ACCEPT = (("Accept", f"{TEXT};charset=UTF-8"), ("Accept-Encoding", "identity"))
_WHY = {
    403: "the network does not let this phone write to {remote}",
    404: "the network knows no {remote}",
    405: "{remote} takes no texts",
    408: "{remote} did not answer in time: it may have the text all the same",
    413: "the text is too long for {remote}",
    415: "{remote} cannot show a plain text",
    480: "{remote} is not registered now: try again later",
    486: "{remote} is busy",
    488: "{remote} takes no texts",
    513: "the text is too long for the network",
    603: "{remote} does not want this text",
}
_SILENCE = {
    "timeout": "the network does not answer: whether {remote} has the text is not known",
    "transport": "nothing listens at the P-CSCF: the text did not leave",
}


class OutgoingText:
    """A text of ours to `target`. Raises TextTooLong."""

    def __init__(self, agent: Agent, binding: Binding, key: str, target: Uri, body: str) -> None:
        self.key = key
        self.remote = str(target)
        self._agent = agent
        self._flow = binding.flow
        self._proof = Proof(agent)
        self._request = agent.message(target, binding, call_id=agent.ids.call_id(), tag=key)
        self._request.set_body(body.encode("utf-8", "replace"), f"{TEXT};charset=UTF-8")
        self._expect_short()

    def begin(self, now: float) -> list[Effect]:
        """The MESSAGE leaves."""
        return [*self._send(now), Tell(TextSent(at=now, text=self.key, remote=self.remote))]

    def responded(self, response: Response, _transaction: ClientTransaction, now: float) -> list[Effect]:
        """A response to the MESSAGE."""
        status = response.status
        if not response.is_final:
            return []
        if status < 300:
            return [Tell(TextDelivered(at=now, text=self.key, status=status))]
        again = self._proof.again(self._request, response, self._request.cseq.number + 1)
        if again is not None:
            return self._repeat(again, now)
        sentence = _WHY.get(status, "{remote} did not get the text").format(remote=self.remote)
        return [self._failed(sentence, now, status, response.reason, response.number("Retry-After"))]

    def failed(self, _transaction: ClientTransaction, cause: str, now: float) -> list[Effect]:
        """The MESSAGE had no final response."""
        return [self._failed(_SILENCE[cause].format(remote=self.remote), now)]

    def _repeat(self, again: Request, now: float) -> list[Effect]:
        self._request = again
        try:
            self._expect_short()
        except TextTooLong as error:
            return [self._failed(f"with the proof of who we are {error}", now)]
        return self._send(now)

    def _send(self, now: float) -> list[Effect]:
        return self._agent.transactions.request(self._request, self._flow, now, mark=self)[1]

    def _expect_short(self) -> None:
        onward = self._request.copy()
        onward.headers.remove("Security-Verify")  # it goes to the P-CSCF and no further (RFC 3329 2.3.1)
        n_bytes = self._agent.transactions.size_bytes(onward, self._flow)
        if self._flow.transport == "UDP" and n_bytes > UDP_LIMIT_BYTES:  # RFC 3428 8
            raise TextTooLong(
                f"this text makes a message of {n_bytes} octets, and over UDP it may have {UDP_LIMIT_BYTES}: "
                f"shorten the text by {n_bytes - UDP_LIMIT_BYTES} octets"
            )

    def _failed(
        self, sentence: str, now: float, status: int | None = None, reason: str = "", retry_after_s: int | None = None
    ) -> Tell:
        return Tell(
            TextFailed(
                at=now, text=self.key, sentence=sentence, status=status, reason=reason, retry_after_s=retry_after_s
            )
        )


def received(transaction: ServerTransaction, agent: Agent, now: float) -> list[Effect]:
    """A MESSAGE for us, in a dialog or outside: 200 without a body (RFC 3428 7), or 415 (RFC 3261 8.2.3)."""
    request = transaction.request
    body = _shown(request)
    if body is None:
        return agent.transactions.respond(transaction, agent.answer(request, 415, headers=_ACCEPT), now)
    sender = next(iter(request.addresses("P-Asserted-Identity")), request.from_)
    told = TextReceived(at=now, remote=str(sender.uri), body=body, display_name=sender.display_name)
    return [*agent.transactions.respond(transaction, agent.answer(request, 200), now), Tell(told)]


def _shown(request: Request) -> str | None:
    """The text in a MESSAGE, None where it is none or written as we cannot read it."""
    kind, semicolon, rest = (request.headers.get("Content-Type") or TEXT).partition(";")
    encoding = request.headers.get("Content-Encoding") or "identity"
    params = parse_params(semicolon + rest) if semicolon else {}
    charset = _CHARSETS.get((params.get("charset") or "").strip('"').lower())
    if kind.strip().lower() != TEXT or charset is None or encoding.strip().lower() != "identity":
        return None
    return request.body.decode(charset, "replace")
