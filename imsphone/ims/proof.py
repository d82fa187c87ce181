"""The answer to a challenge of any request but REGISTER: a phone with a password proves itself (RFC 3261 22).

    INVITE, BYE, MESSAGE ─▶ 401, 407 ─▶ the same once more, with credentials and the next CSeq
                                    └─▶ the same challenge again: the password is wrong, unless the nonce was stale

A SIM proves itself by REGISTER alone (TS 24.229 5.1.1.5), so a phone with one has no answer here.
"""

from __future__ import annotations

from imsphone.ims.agent import Agent
from imsphone.ims.authentication import credentials_for
from imsphone.sip.message import Request, Response

_MOST = 2


class Proof:
    """What one request of ours, with its repeats, has proven so far."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._n = 0

    def again(self, request: Request, response: Response, cseq: int) -> Request | None:
        """`request` as it answers this 401 or 407, under a new CSeq; None where there is no answer or one was enough.

        `request` may be as it was sent, with our Via on top.
        """
        agent = self._agent
        is_stale = any(challenge.get("stale").lower() == "true" for challenge in response.challenges())
        if response.status not in (401, 407) or agent.password is None or self._n >= (_MOST if is_stale else 1):
            return None
        cnonce = agent.ids.data(8).hex()
        credentials = credentials_for(response, request, agent.identity, agent.password, cnonce)
        if credentials is None:
            return None
        self._n += 1
        again = request.copy()
        again.headers.remove("Via")
        again.headers.set(*credentials)
        again.headers.set("CSeq", f"{cseq} {request.method}")  # RFC 3261 22.2
        return again
