"""Whom a user means: what is typed or clicked becomes a Request-URI (TS 24.229 5.1.2A.1.3 and 5.1.2A.1.5).

+49 30 123456           tel:+4930123456                            a global number (RFC 3966)
030 123456, 115, *43#   tel:030123456;phone-context=HOME           a home-local number (TS 24.229 7.2A.10)
bob                     sip:bob@HOME
bob@ims.example         sip:bob@ims.example
sip:… tel:…             as they stand; a local tel: number without a context gets HOME
"""

from __future__ import annotations

import re

from imsphone.errors import ParseError
from imsphone.sip.uri import Uri

_NUMBER = re.compile(r"(\+?)([0-9*#][0-9*#().\-\s]*)")
_USER = re.compile(r"[A-Za-z0-9\-_.!~*'()&=$]+")  # RFC 3261 25.1 user, without what would want escapes
_VISUAL = re.compile(r"[().\-\s]")
_EXPECTED = 'a number ("+4930123456"), a user ("bob") or an address ("sip:bob@ims.example")'


def target_of(text: str, home_domain: str) -> Uri:
    """The address that `text` names for a subscriber of `home_domain`.

    Raises ParseError for what cannot be called.
    """
    text = text.strip()
    number = _NUMBER.fullmatch(text)
    if number is not None:
        return _number(number[1] + _VISUAL.sub("", number[2]), home_domain)
    if _USER.fullmatch(text):
        return Uri("sip", text, host=home_domain)
    if ":" not in text and text.count("@") == 1:
        text = f"sip:{text}"
    try:
        uri = Uri.parse(text)
    except ParseError:
        raise ParseError(_EXPECTED) from None
    if uri.scheme == "tel":
        if uri.user.startswith("+") or "phone-context" in uri.params:
            return uri
        return uri.with_params(**{"phone-context": home_domain})
    if uri.scheme != "sip" or uri.headers:  # sips needs TLS, urn:service:sos an emergency registration
        raise ParseError(_EXPECTED)
    return uri


def _number(digits: str, home_domain: str) -> Uri:
    if digits.startswith("+"):
        if not re.fullmatch(r"\+[0-9]{1,15}", digits):
            raise ParseError("a global number of at most 15 digits behind the plus", 1)
        return Uri("tel", digits)
    # TS 24.229 5.1.2A.1.5: what is dialled without a plus is a number of the home network
    return Uri("tel", digits, params={"phone-context": home_domain})
