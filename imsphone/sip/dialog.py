"""A dialog: what two user agents remember of each other between requests (RFC 3261 12).

    UAC: from_response(request, 1xx|2xx)            UAS: from_request(request, our tag, our contact)
         route set = Record-Route, reversed              route set = Record-Route, as it stands
         target    = Contact of the response             target    = Contact of the request

One INVITE may make several dialogs, one for each To tag that a fork answers with; each is its own `Dialog`.
"""

from __future__ import annotations

from imsphone.errors import ParseError
from imsphone.sip.fields import NameAddr
from imsphone.sip.message import Message, Request, Response
from imsphone.sip.uri import Uri

DialogKey = tuple[str, str, str]


class Dialog:
    """One dialog, seen from one end. `is_confirmed` once a 2xx made it more than early."""

    def __init__(
        self,
        call_id: str,
        local: NameAddr,
        remote: NameAddr,
        target: Uri,
        route_set: list[str],
        local_cseq: int | None,
        remote_cseq: int | None,
        is_confirmed: bool,
    ) -> None:
        self.call_id = call_id
        self.local = local
        self.remote = remote
        self.target = target
        self.route_set = route_set
        self.local_cseq = local_cseq
        self.remote_cseq = remote_cseq
        self.is_confirmed = is_confirmed

    @classmethod
    def from_response(cls, request: Request, response: Response) -> Dialog:
        """The caller's side (12.1.2). Raises ParseError where a 1xx lacks a To tag, or a 2xx a Contact.

        A 2xx without a To tag comes from an old callee, whose tag is null then.
        """
        if not response.to.tag and not response.is_final:
            raise ParseError("a To tag")
        return cls(
            request.call_id,
            request.from_,
            response.to,
            _contact(response) if response.contacts or response.is_final else request.target,
            [str(route) for route in reversed(response.record_routes)],
            request.cseq.number,
            None,
            response.status >= 200,
        )

    @classmethod
    def from_request(cls, request: Request, tag: str) -> Dialog:
        """The called side (12.1.1), `tag` being ours. Raises ParseError where the request has no Contact."""
        return cls(
            request.call_id,
            request.to.with_tag(tag),
            request.from_,
            _contact(request),
            [str(route) for route in request.record_routes],
            None,
            request.cseq.number,
            False,
        )

    @property
    def key(self) -> DialogKey:
        """Call-ID, our tag, their tag."""
        return self.call_id, self.local.tag, self.remote.tag

    @staticmethod
    def key_of(request: Request) -> DialogKey:
        """The key under which the receiver of this request keeps its dialog."""
        return request.call_id, request.to.tag, request.from_.tag

    def confirm(self, response: Response) -> None:
        """A 2xx came: the route set (13.2.2.4) and the target (12.2.1.2) are taken anew from it, no count is."""
        self.route_set = [str(route) for route in reversed(response.record_routes)]
        self.is_confirmed = True
        self.refresh_target(response)

    def refresh_target(self, message: Message) -> None:
        """A re-INVITE, an UPDATE or their 2xx may move the far end (12.2); without a Contact nothing changes."""
        if message.contacts:
            self.target = message.contacts[0].uri

    def accepts(self, request: Request) -> bool:
        """Whether this request of the far end comes in order; if so it counts (12.2.2)."""
        number = request.cseq.number
        if self.remote_cseq is not None and number <= self.remote_cseq:
            return False
        self.remote_cseq = number
        return True

    def request(self, method: str, cseq: int | None = None) -> Request:
        """A request of ours inside the dialog (12.2.1.1); `cseq` only for ACK, which repeats the INVITE's."""
        if cseq is None:
            self.local_cseq = cseq = (self.local_cseq or 0) + 1
        uri, routes = self._routed()
        request = Request(method, uri)
        add = request.headers.add
        add("Max-Forwards", "70")
        for route in routes:
            add("Route", route)
        add("From", str(self.local))
        add("To", str(self.remote))
        add("Call-ID", self.call_id)
        add("CSeq", f"{cseq} {method}")
        return request

    def _routed(self) -> tuple[str, list[str]]:
        """Request-URI and Route; a first hop without `lr` is a strict router and gets the Request-URI itself."""
        if not self.route_set:
            return _request_uri(self.target), []
        first = NameAddr.parse(self.route_set[0]).uri
        if first.is_loose_router:
            return _request_uri(self.target), self.route_set
        return _request_uri(first), [*self.route_set[1:], f"<{self.target}>"]


def _request_uri(uri: Uri) -> str:
    """The address without what a Request-URI cannot hold: `method` and headers (RFC 3261 19.1.1 table 1)."""
    if not uri.headers and "method" not in uri.params:
        return str(uri)
    return str(uri._replace(headers="", params={name: uri.params[name] for name in uri.params if name != "method"}))


def _contact(message: Message) -> Uri:
    contacts = message.contacts
    if not contacts:
        raise ParseError("a Contact")
    return contacts[0].uri
