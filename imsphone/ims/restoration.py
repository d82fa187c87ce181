"""504 (Server Time-out) of a core that has lost us: it asks for an initial registration (TS 24.229 5.1.2A.1.6).

    <ims-3gpp version="1"><alternative-service>
      <type>restoration</type> <action>initial-registration</action>
    </alternative-service></ims-3gpp>                                    7.6

Anybody on the way could write such a body, so it counts only where P-Asserted-Identity bears what our registrar told us
alone: the last entry of Service-Route, or of Path.
"""

from __future__ import annotations

from imsphone.errors import ParseError
from imsphone.ims.agent import Binding
from imsphone.ims.alternative import said
from imsphone.sip.fields import NameAddr
from imsphone.sip.message import Response


def asks_for_registration(response: Response, binding: Binding | None) -> bool:
    """Whether this response bids us to register anew. Never raises."""
    if response.status != 504 or binding is None:
        return False
    trusted = [_bare(routes[-1]) for routes in (binding.service_route, binding.paths) if routes]
    asserted = [str(one.uri) for one in response.addresses("P-Asserted-Identity")]
    wish = said(response) if any(one in trusted for one in asserted) else {}
    return wish.get("type") == "restoration" and wish.get("action") == "initial-registration"


def _bare(route: str) -> str:
    try:
        return str(NameAddr.parse(route).uri)
    except ParseError:
        return ""
