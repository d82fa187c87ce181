"""Texts, each in one request that stands alone: the pager mode of RFC 3428 (TS 24.229 5.1.2A.1, 5.1.2A.2).

    text ─▶ MESSAGE ─▶ TextSent ─┬ 200, 202 ─▶ TextDelivered       202: somebody keeps it for who is not there
                                 ├ 401, 407 ─▶ once more, with the password
                                 └ all else ─▶ TextFailed
    MESSAGE ─▶ 200 ─▶ TextReceived                                 415 where it holds what we cannot show

A MESSAGE has 1300 octets at most, headers and all, and the next one to the same address waits for its answer (RFC 3428
8): it may leave over TCP and go on over UDP, where nothing would slow a flood of large ones down. What it says of IPsec
to the P-CSCF alone does not count, or there would be no room for a text.
"""

from __future__ import annotations

from collections import deque

from imsphone.errors import TextTooLong
from imsphone.events import TextDelivered, TextFailed, TextReceived, TextSent
from imsphone.ims.agent import TEXT, Agent, Binding
from imsphone.ims.proof import Proof
from imsphone.machine import Effect, Tell
from imsphone.sip.client import ClientTransaction
from imsphone.sip.grammar import parse_params
from imsphone.sip.message import Request, Response
from imsphone.sip.server import ServerTransaction
from imsphone.sip.uri import Uri

_MOST_BYTES = 1300  # RFC 3428 8
# What a charset is called → what reads it. UTF-8 is what SIP has where nothing is said (RFC 3261 7.4.1).
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
    "cut": "the own address changed: whether {remote} has the text is not known",
    "gone": "this phone is not registered any more: the text did not leave",
}


class OutgoingText:
    """A text of ours to `target`. Raises TextTooLong."""

    def __init__(self, agent: Agent, binding: Binding, key: str, target: Uri, body: str) -> None:
        self.key = key
        self.remote = str(target)
        self.is_over = False
        self._target = target
        self._body = body.encode("utf-8", "replace")
        self._write(agent, binding)

    def begin(self, now: float) -> list[Effect]:
        """The MESSAGE leaves."""
        return [*self._send(now), Tell(TextSent(at=now, text=self.key, remote=self.remote))]

    def begin_late(self, agent: Agent, binding: Binding | None, now: float) -> list[Effect]:
        """It leaves after it had to wait, by the registration as it is now."""
        if binding is None:
            return [self._failed(_SILENCE["gone"], now)]
        if binding != self._binding:
            try:
                self._write(agent, binding)
            except TextTooLong as error:
                return [self._failed(str(error), now)]
        return self.begin(now)

    def responded(self, response: Response, _transaction: ClientTransaction, now: float) -> list[Effect]:
        """A response to the MESSAGE."""
        status = response.status
        if not response.is_final:
            return []
        if status < 300:
            self.is_over = True
            return [Tell(TextDelivered(at=now, text=self.key, status=status))]
        again = self._proof.again(self._request, response, self._request.cseq.number + 1)
        if again is not None:
            return self._repeat(again, now)
        # RFC 3428 7: with a 6xx it was delivered, but refused
        otherwise = "{remote} did not get the text" if status < 600 else "{remote} refused the text"
        sentence = _WHY.get(status, otherwise).format(remote=self.remote)
        return [self._failed(sentence, now, status, response.reason, response.number("Retry-After"))]

    def failed(self, _transaction: ClientTransaction, cause: str, now: float) -> list[Effect]:
        """The MESSAGE had no final response."""
        return [self._failed(_SILENCE[cause].format(remote=self.remote), now)]

    def cut(self, now: float) -> list[Effect]:
        """No answer can come any more."""
        return [self._failed(_SILENCE["cut"].format(remote=self.remote), now)]

    def _write(self, agent: Agent, binding: Binding) -> None:
        self._agent, self._binding = agent, binding
        self._proof = Proof(agent)
        self._request = agent.message(self._target, binding, call_id=agent.ids.call_id(), tag=self.key)
        self._request.set_body(self._body, f"{TEXT};charset=UTF-8")
        self._expect_short()

    def _repeat(self, again: Request, now: float) -> list[Effect]:
        self._request = again
        try:
            self._expect_short()
        except TextTooLong as error:
            return [self._failed(f"with the proof of who we are {error}", now)]
        return self._send(now)

    def _send(self, now: float) -> list[Effect]:
        return self._agent.transactions.request(self._request, self._binding.flow, now, mark=self)[1]

    def _expect_short(self) -> None:
        onward = self._request.copy()
        onward.headers.remove("Security-Verify")  # it goes to the P-CSCF and no further (RFC 3329 2.3.1)
        n_bytes = self._agent.transactions.size_bytes(onward, self._binding.flow)
        if n_bytes > _MOST_BYTES:
            raise TextTooLong(
                f"this text makes a message of {n_bytes} octets, and it may have {_MOST_BYTES}: "
                f"shorten the text by {n_bytes - _MOST_BYTES} octets"
            )

    def _failed(
        self, sentence: str, now: float, status: int | None = None, reason: str = "", retry_after_s: int | None = None
    ) -> Tell:
        self.is_over = True
        return Tell(
            TextFailed(
                at=now, text=self.key, sentence=sentence, status=status, reason=reason, retry_after_s=retry_after_s
            )
        )


class Outbox:
    """The texts that are under way and those that wait: to one address one after the other (RFC 3428 8)."""

    def __init__(self) -> None:
        self._queues: dict[str, deque[OutgoingText]] = {}

    def add(self, text: OutgoingText, now: float) -> list[Effect]:
        """A text of the user: it leaves, unless it has to wait."""
        queue = self._queues.setdefault(text.remote, deque())
        queue.append(text)
        return text.begin(now) if len(queue) == 1 else []

    def follow(self, text: OutgoingText, agent: Agent, binding: Binding | None, now: float) -> list[Effect]:
        """There is news of this text: if it is over, the next one to its address leaves."""
        effects: list[Effect] = []
        queue = self._queues.get(text.remote, deque())
        while queue and queue[0].is_over:
            queue.popleft()
            effects += queue[0].begin_late(agent, binding, now) if queue else []
        if not queue:
            self._queues.pop(text.remote, None)
        return effects

    def cut(self, now: float) -> list[Effect]:
        """The own address is gone, and with it every answer."""
        texts = [text for queue in self._queues.values() for text in queue]
        self._queues.clear()
        return [effect for text in texts for effect in text.cut(now)]


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
