"""What a 200 to REGISTER gives (TS 24.229 5.1.1.2.1, RFC 3261 10.2.4).

P-Associated-URI   who we may say we are: the first is the default, what is not listed is barred
Service-Route      the way of every later request; Path, the way to us
Contact            ours and maybe other devices', each with the seconds that are left
Via ;keep=         how often the network wants to hear that we are still there
"""

from __future__ import annotations

from collections.abc import Callable

from imsphone.ims.agent import Binding
from imsphone.machine import Flow
from imsphone.sip.fields import NameAddr
from imsphone.sip.message import Response
from imsphone.sip.uri import Uri


def binding_of(response: Response, flow: Flow, impu: str) -> Binding:
    """The binding that a 200 on `flow` made of `impu`. What cannot be read in it counts as not there."""
    # 5.1.1.2.1 b, c: the first is the default; what is not listed is barred and never used again
    impus = tuple(str(one.uri) for one in response.associated_uris) or (impu,)
    route = tuple(str(one) for one in response.service_routes)
    paths = tuple(str(one) for one in response.paths)
    return Binding(flow, impus[0], impus, route, paths, _seconds(response.via.params.get("keep")))


def own_contact(response: Response, is_own: Callable[[Uri], bool], reg_id: int = 0) -> NameAddr | None:
    """Our own contact among those of other devices and, with a `reg_id`, of other flows; None where there is none.

    A network that takes no flows apart may leave the reg-id out.
    """
    own = [contact for contact in response.contacts if is_own(contact.uri)]
    exact = [contact for contact in own if contact.params.get("reg-id") == str(reg_id)] if reg_id else []
    return next(iter(exact or own), None)


def granted_s(response: Response, own: NameAddr | None, asked_s: int) -> int:
    """The seconds for our own contact, 0 where the network holds only those of others."""
    if own is None and response.contacts:
        return 0
    seconds = _seconds(own.params.get("expires")) if own is not None else None
    default = response.expires if response.expires is not None else asked_s
    return default if seconds is None else seconds


def _seconds(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) <= 10 else None
