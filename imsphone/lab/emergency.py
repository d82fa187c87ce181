"""Emergency at the P-CSCF (TS 24.229 5.2.10): to the test PSAP for who has registered for that, else a choice.

INVITE urn:service:sos ──▶ a contact with `sos`? ──▶ PSAP, past the caller's S-CSCF
                             └─ none ──▶ 380, type emergency
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

from imsphone.sip.message import Request, Response
from imsphone.sip.uri import Uri

_SOS: Final = re.compile(r"service:sos(\.[a-z0-9-]+)*", re.IGNORECASE)
# TS 24.229 7.6
_ALTERNATIVE: Final = b"""<?xml version="1.0"?>
<ims-3gpp version="1"><alternative-service><type>emergency</type>
<reason>Emergency Calls Want an Emergency Registration Here</reason></alternative-service></ims-3gpp>
"""


def is_call(target: Uri, numbers: Collection[str] = ()) -> bool:
    """Whether this Request-URI is of an emergency service (RFC 5031), or one of the numbers that are dialled for it."""
    return target.user in numbers or (target.scheme == "urn" and _SOS.fullmatch(target.opaque) is not None)


def is_contact(contact: Uri) -> bool:
    """Whether this is the contact of an emergency registration (7.2A.13)."""
    return "sos" in contact.params


def refusal(request: Request, tag: str) -> Response:
    """380: this phone is to register for emergency calls, or to call another way."""
    response = request.answer(380, tag=tag)
    response.set_body(_ALTERNATIVE, "application/3gpp-ims+xml")
    return response
