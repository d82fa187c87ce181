"""The IM CN subsystem XML body: what the network would have us do instead (TS 24.229 7.6).

504  <type>restoration</type> <action>initial-registration</action>   register anew        `ims.restoration`
380  <type>emergency</type>   <reason>…</reason>                      an emergency call?   told, and never made
"""

from __future__ import annotations

from typing import Any

from imsphone.sip.message import Response

MIME_TYPE = "application/3gpp-ims+xml"


def said(response: Response) -> dict[str, str]:
    """The texts of the body's elements by name, empty where it has no such body. Never raises."""
    if response.content_type != MIME_TYPE:
        return {}
    from lxml import etree  # who is never told so does not pay

    parser = etree.XMLParser(resolve_entities=False, no_network=True)
    try:
        root: Any = etree.fromstring(response.body, parser)
    except (etree.LxmlError, ValueError):
        return {}
    return {
        etree.QName(element).localname: (element.text or "").strip()
        for element in (() if root is None else root.iter())
        if isinstance(element.tag, str)
    }


def is_emergency(response: Response) -> bool:
    """Whether a 380 takes our call for an emergency call that it cannot serve (5.1.3.1, 5.1.6.8.1)."""
    return response.status == 380 and said(response).get("type") == "emergency"
