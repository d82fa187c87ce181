"""The dialogs that go through a P-CSCF: who is in one, and by which route (TS 24.229 5.2.6.3.4, 5.2.6.3.5, 5.2.6.4.4).

    INVITE of a phone  ──▶   ◀── 1xx, 2xx with a To tag     (Call-ID, its tag, the other's) → Record-Route from behind
    INVITE to a phone  ──▶   ◀── 1xx, 2xx                   the same, Record-Route as it stands

A phone that invents a To tag is in no dialog, and one that is in a dialog cannot take another way into the core.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from itertools import dropwhile

from imsphone.sip.fields import NameAddr
from imsphone.sip.message import Request, Response

_MOST = 65_536  # then the one that has been quiet longest is forgotten
_MAKING = ("INVITE", "SUBSCRIBE", "REFER")

Route = tuple[str, ...]


class Dialogs:
    """By Call-ID, the phone's tag and the other's: the route behind the P-CSCF, as bare URIs."""

    def __init__(self) -> None:
        self._routes: OrderedDict[tuple[str, str, str], Route] = OrderedDict()

    def begun_by_phone(self, request: Request, response: Response) -> None:
        """An answer to a phone's request outside a dialog, as it goes to that phone."""
        self._begin(request, response, request.from_.tag, response.to.tag, reversed(response.record_routes))

    def begun_by_core(self, request: Request, response: Response) -> None:
        """A phone's answer to a request outside a dialog, which came from the core."""
        self._begin(request, response, response.to.tag, request.from_.tag, request.record_routes)

    def _begin(self, request: Request, response: Response, own: str, other: str, recorded: Iterable[NameAddr]) -> None:
        if request.method in _MAKING and response.status < 300 and response.to.tag:
            uris = [entry.uri for entry in recorded]
            # ours come first and bear one token; with TLS to the phone there are two of them (RFC 5658 6)
            behind = dropwhile(lambda uri: uri.user == uris[0].user, uris)
            self._routes[request.call_id, own, other] = tuple(map(str, behind))
            if len(self._routes) > _MOST:
                self._routes.popitem(last=False)

    def route_of(self, request: Request) -> Route | None:
        """The route of the dialog that a phone's request belongs to, behind the P-CSCF; None where there is none."""
        key = (request.call_id, request.from_.tag, request.to.tag)
        route = self._routes.get(key)
        if route is not None:
            self._routes.move_to_end(key)
            if request.method == "BYE":
                del self._routes[key]
        return route

    def sets_route(self, request: Request) -> bool:
        """Whether this belongs to a dialog of its phone; its Route becomes that dialog's (5.2.6.3.5 steps 1 and 3)."""
        if (route := self.route_of(request)) is None:
            return False
        request.headers.set("Route", *(f"<{entry}>" for entry in route))
        return True

    def ended_by_core(self, request: Request) -> None:
        """A request inside a dialog goes to a phone: after BYE there is none."""
        if request.method == "BYE":
            self._routes.pop((request.call_id, request.to.tag, request.from_.tag), None)

    def __len__(self) -> int:
        return len(self._routes)
