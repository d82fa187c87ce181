"""Our GRUUs: addresses that reach this one device of the user and no other (RFC 5627; TS 24.229 5.1.1.2.1 e).

    200 to REGISTER   Contact: <sip:…>;pub-gruu="sip:alice@…;gr=urn:uuid:…";temp-gruu="sip:tgruu.…@…;gr"   of To
    NOTIFY (reg)      <gr:pub-gruu uri="…"/> in each identity's contact (RFC 5628)                           of each

The public one stands in the Contact of dialogs of its identity. The temporary one would, where a user wants privacy;
this phone offers none, so it is only known as one of ours.
"""

from __future__ import annotations

from collections.abc import Iterable

from imsphone.errors import ParseError
from imsphone.sip.grammar import Params, unquote
from imsphone.sip.uri import Uri


class Gruus:
    """What the network gave so far, by identity. Nothing is kept of it where it is not `wanted`."""

    def __init__(self, *, wanted: bool = True) -> None:
        self._is_wanted = wanted
        self._public: dict[str, str] = {}
        self._known: dict[tuple[str, str], Uri] = {}

    def of(self, impu: str) -> str:
        """The public GRUU of this identity, empty where there is none."""
        return self._public.get(impu, "")

    def granted(self, impu: str, params: Params) -> None:
        """Our contact in the 200 that registered `impu`; what cannot be read in it counts as not there."""
        self._keep(impu, unquote(params.get("pub-gruu") or ""), unquote(params.get("temp-gruu") or ""))

    def seen(self, told: Iterable[tuple[str, str, str]]) -> None:
        """What the network tells of all identities (TS 24.229 5.1.2.1): each with its public and temporary GRUU."""
        for impu, public, temporary in told:
            self._keep(impu, public, temporary)

    def ended(self, impus: Iterable[str]) -> None:
        """These identities are deregistered, and their GRUUs are good for nothing (TS 24.229 5.1.2.1)."""
        for impu in impus:
            self._public.pop(impu, None)
            for kind in ("public", "temporary"):
                self._known.pop((impu, kind), None)

    def is_own(self, uri: Uri) -> bool:
        """Whether this address is a GRUU of ours."""
        return "gr" in uri.params and any(known.matches(uri) for known in self._known.values())

    def forget(self) -> None:
        """The registration is over, and its GRUUs with it."""
        self._public.clear()
        self._known.clear()

    def _keep(self, impu: str, public: str, temporary: str) -> None:
        for kind, text in (("public", public), ("temporary", temporary)) if self._is_wanted else ():
            if not text:
                continue
            try:
                uri = Uri.parse(text)
            except ParseError:
                continue
            if uri.scheme == "sip" and "gr" in uri.params:
                self._known[impu, kind] = uri
                if kind == "public":
                    self._public[impu] = text
