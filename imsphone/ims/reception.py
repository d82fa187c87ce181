"""At the door: what a request outside any dialog deserves (RFC 3261 8.2, 11.2; TS 24.229 5.1.4).

method known?  for us?  the same call twice?  already in a call?
    405 501      404          482                 486               else 200: let it in; a text comes in beside a call
"""

from __future__ import annotations

from collections.abc import Sequence

from imsphone.ims.agent import Agent, Binding
from imsphone.ims.called import IncomingCall
from imsphone.ims.session import Session
from imsphone.sip.message import Request


def examine(request: Request, agent: Agent, binding: Binding | None, active: Sequence[Session]) -> int:
    """The status that the request deserves, 200 for an INVITE, OPTIONS or MESSAGE to take.

    `active` are the calls that have not ended. Raises ParseError where the Request-URI cannot be read.
    """
    if request.method not in ("INVITE", "OPTIONS", "MESSAGE"):
        return 481  # BYE, PRACK, UPDATE live in dialogs
    if binding is None:
        return 480
    if not agent.is_own(request.target, binding):
        return 404
    if request.method == "INVITE" and any(isinstance(call, IncomingCall) and call.is_same(request) for call in active):
        return 482  # RFC 3261 8.2.2.2: a fork brought it here twice
    return 486 if active and request.method != "MESSAGE" else 200
