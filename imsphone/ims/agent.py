"""The user agent behind registration and calls: what all of its parts share, and the header fields that it writes.

Which field stands where (TS 24.229 5.1.1.2.1, 5.1.2A.1.1, 5.1.3.1):

                              REGISTER    INVITE      inside a dialog    responses
    Contact                   + instance  + services  target refreshes   that make or refresh a dialog
    Route                     no          P-CSCF, then Service-Route     (the dialog's own)
    P-Preferred-Identity      no          yes         no                 no
    P-Preferred-Service       no          yes         no                 no
    Accept-Contact            no          yes         no                 no
    P-Access-Network-Info     refresh     yes         not ACK, CANCEL    in a dialog, not to CANCEL
    Security-Verify           refresh     yes         not ACK, CANCEL    no                               with IPsec

A MESSAGE has what an INVITE has but for Contact (RFC 3428 4) and what speaks of calls. The instance-id names the
device, often by its IMEI: it goes to the registrar and to nobody else (RFC 7255). A REGISTER is written in
`ims.register`.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass

from imsphone.errors import ProfileError
from imsphone.ims.gruu import Gruus
from imsphone.ims.identity import Identity
from imsphone.ims.security import Security
from imsphone.machine import Flow, Ids
from imsphone.profile import Profile, Secret
from imsphone.sip.fields import NameAddr
from imsphone.sip.headers import Headers
from imsphone.sip.ims_fields import ICSI, MMTEL, accept_contact, icsi_param
from imsphone.sip.message import Request, Response
from imsphone.sip.timers import RFC_3261, TS_24_229
from imsphone.sip.transactions import Transactions
from imsphone.sip.uri import Uri

METHODS = ("INVITE", "ACK", "CANCEL", "BYE", "PRACK", "UPDATE", "OPTIONS", "NOTIFY", "MESSAGE")
OPTION_TAGS = ("100rel",)
# A P-CSCF should have taken sec-agree out of what its other phones ask, and Kamailio's does not: no harm is in it.
UNDERSTOOD = (*OPTION_TAGS, "sec-agree")
SDP = "application/sdp"
TEXT = "text/plain"
# Methods that exist and that this phone does not take (405); what nobody defined is not implemented (501).
_ELSEWHERE = ("INFO", "PUBLISH", "REFER", "REGISTER", "SUBSCRIBE")

ALLOW = ", ".join(METHODS)
_SUPPORTED = ", ".join(OPTION_TAGS)
SERVICES = f";{ICSI}={icsi_param(MMTEL)};audio"  # TS 24.229 5.1.1.2.1 c; "audio" is RFC 3840's, and wanted by some


@dataclass(frozen=True, slots=True)
class Binding:
    """What a registration is good for: whom we may say we are, and the way that requests take.

    `impu` is the default identity and `impus` are all that the network named; `service_route` holds header values as
    they came (RFC 3608), `flow` leads to the P-CSCF; `paths` is the Path of the 200 (RFC 3327),
    `keep_s` how often the network wants keep-alives (RFC 6223), 0 where it leaves that to us, None where it wants none.
    """

    flow: Flow
    impu: str
    impus: tuple[str, ...]
    service_route: tuple[str, ...]
    paths: tuple[str, ...] = ()
    keep_s: int | None = None


class Agent:
    """What one UE has once: identity, identifiers, transactions, the user part of its Contact."""

    def __init__(self, profile: Profile, identity: Identity, ids: Ids, password: Secret | None) -> None:
        if profile.auth == "digest" and password is None:
            raise ProfileError(f'password is missing: auth = "digest" proves {identity.impi} by a password')
        if profile.security != "none" and profile.auth != "aka":
            raise ProfileError(f'security = "{profile.security}" takes its keys from a SIM: auth = "aka" goes with it')
        if profile.security != "none" and profile.transport == "TLS":
            raise ProfileError(
                f'security = "{profile.security}" and transport = "tls" do not go together: each protects all, take one'
            )
        self.profile = profile
        self.identity = identity
        self.ids = ids
        self.password = password if profile.auth == "digest" else None
        self.timers = TS_24_229 if profile.timers == "3gpp" else RFC_3261  # TS 24.229 7.7: UE to P-CSCF
        self.transactions = Transactions(ids, self.timers)
        self.security = Security(profile, ids, self.transactions, self.timers.timeout_s)
        impu = Uri.parse(identity.impu)
        self.impu = impu if impu.scheme != "tel" else _as_sip(impu, identity.home_domain)
        self._user = ids.data(8).hex()  # nobody can guess it, so who uses it has it from the registrar
        self.reg_id = 0  # which of several flows this is (RFC 5626 4.2), 0 where there is but one
        self.has_outbound = False  # the network said that it does that
        self._sos = ";sos" if profile.emergency else ""  # TS 24.229 7.2A.13
        self.gruus = Gruus(wanted=profile.gruu)
        self.access = [("P-Access-Network-Info", profile.access_network_info)] if profile.access_network_info else []
        self.name = [("User-Agent", profile.user_agent)] if profile.user_agent else []
        self._server = [("Server", profile.user_agent)] if profile.user_agent else []

    def beside(self, reg_id: int) -> Agent:
        """The same agent for one of several flows: the associations with a P-CSCF are its own."""
        other = copy(self)
        other.reg_id = reg_id
        other.security = Security(self.profile, self.ids, self.transactions, self.timers.timeout_s)
        return other

    # The own address --------------------------------------------------------------------------------------------------

    def address(self, flow: Flow) -> str:
        """The URI under which we are reached."""
        own = self.transactions.protected.get(flow.local, flow.local)
        return f"sip:{self._user}@{own}{_said(flow)}{self._sos}"

    def contact(self, flow: Flow, impu: str) -> str:
        """The Contact of dialogs of this identity: its public GRUU where there is one (TS 24.229 5.1.2A)."""
        outbound = ";ob" if self.has_outbound else ""  # RFC 5626 4.3
        return f"<{self.gruus.of(impu) or self.address(flow) + outbound}>{SERVICES}"

    def is_own(self, uri: Uri, binding: Binding) -> bool:
        """Whether a Request-URI means us: by our Contact, or by one of our identities."""
        if self.is_own_contact(uri):
            return True
        if "gr" in uri.params:  # RFC 5627: of this identity, but maybe of another device
            return self.gruus.is_own(uri)
        bare = uri.bare()
        return bare == self.impu.bare() or any(bare == Uri.parse(impu).bare() for impu in binding.impus)

    def is_own_contact(self, uri: Uri) -> bool:
        """Whether this is a Contact of ours, at whatever address."""
        return uri.scheme == "sip" and uri.user == self._user

    def unprotected(self, flow: Flow) -> tuple[str, str] | None:
        """What a request should have come inside and which clause says so, None where this flow is as good as any."""
        if not self.security.admits(flow):
            return "IPsec", "TS 33.203 7.1"
        if self.profile.transport == "TLS" and flow.transport != "TLS":
            return "TLS", "RFC 3261 26.3.2.1"  # else a stranger's request looked as if the P-CSCF had passed it on
        return None

    # Requests ---------------------------------------------------------------------------------------------------------

    def invite(self, target: Uri, binding: Binding, impu: str, *, call_id: str, tag: str) -> Request:
        """The INVITE of a new dialog of our `impu`, yet without a body."""
        own = NameAddr(Uri.parse(impu), self.profile.display_name)
        return Request(
            "INVITE",
            target,
            Headers.of_canonical(
                [
                    ("Max-Forwards", "70"),
                    *(("Route", value) for value in self.route(binding)),
                    ("From", str(own.with_tag(tag))),
                    ("To", f"<{target}>"),
                    ("Call-ID", call_id),
                    ("CSeq", "1 INVITE"),
                    ("Contact", self.contact(binding.flow, impu)),
                    ("P-Preferred-Identity", str(own)),
                    ("P-Preferred-Service", MMTEL),
                    ("Accept-Contact", accept_contact(MMTEL)),
                    *self.access,
                    *self.security.verify(),
                    ("Privacy", "none"),
                    ("Supported", _SUPPORTED),
                    ("Allow", ALLOW),
                    ("Accept", SDP),
                    *self.name,
                ]
            ),
        )

    def message(self, target: Uri, binding: Binding, *, call_id: str, tag: str) -> Request:
        """The MESSAGE of a text, yet without a body. It makes no dialog, so it has no Contact (RFC 3428 4)."""
        own = NameAddr(Uri.parse(binding.impu), self.profile.display_name)
        return Request(
            "MESSAGE",
            target,
            Headers.of_canonical(
                [
                    ("Max-Forwards", "70"),
                    *(("Route", value) for value in self.route(binding)),
                    ("From", str(own.with_tag(tag))),
                    ("To", f"<{target}>"),
                    ("Call-ID", call_id),
                    ("CSeq", "1 MESSAGE"),
                    ("P-Preferred-Identity", str(own)),
                    *self.access,
                    *self.security.verify(),
                    *self.name,
                ]
            ),
        )

    def route(self, binding: Binding) -> list[str]:
        """The preloaded Route: the P-CSCF, then the Service-Route, which an emergency call has none of (5.1.2A.1.1)."""
        pcscf = f"<sip:{binding.flow.remote}{_said(binding.flow)};lr>"
        if self.profile.emergency:  # 5.1.6.8.3
            return [pcscf]
        if binding.service_route:
            first = NameAddr.parse(binding.service_route[0]).uri
            if (first.host, first.port or 5060) == binding.flow.remote:
                return list(binding.service_route)  # the network put its P-CSCF there itself
        return [pcscf, *binding.service_route]

    def inside(self, request: Request) -> Request:
        """A request of ours inside a dialog, with what we add."""
        more = [] if request.method in ("ACK", "CANCEL") else [*self.access, *self.security.verify()]
        for name, value in (*more, *self.name):
            request.headers.add(name, value)
        return request

    # Responses --------------------------------------------------------------------------------------------------------

    def answer(
        self,
        request: Request,
        status: int,
        reason: str | None = None,
        *,
        tag: str = "",
        contact: str = "",
        headers: tuple[tuple[str, str], ...] = (),
        body: bytes = b"",
    ) -> Response:
        """A response to `request`. `contact`: ours, where it makes or refreshes a dialog; `body` is SDP."""
        response = request.answer(status, reason, tag or self.ids.tag())
        add = response.headers.add
        if status == 100:
            return response
        if contact:
            add("Contact", contact)
            add("Allow", ALLOW)
            if status >= 200:
                add("Supported", _SUPPORTED)
        if contact or (request.to.tag and request.method != "CANCEL"):
            for name, value in self.access:
                add(name, value)
        for name, value in (*self._server, *headers):
            add(name, value)
        if body:
            response.set_body(body, SDP)
        return response

    @staticmethod
    def lack_of(method: str) -> int:
        """405 or 501 for a method that this phone does not take, 0 for one that it does (RFC 3261 8.2.1)."""
        return 0 if method in METHODS else 405 if method in _ELSEWHERE else 501

    def options(self, request: Request, status: int) -> Response:
        """What we can do (RFC 3261 11.2)."""
        capabilities = (("Accept", f"{SDP}, {TEXT}"), ("Accept-Encoding", "identity"), ("Accept-Language", "en"))
        headers = (("Allow", ALLOW), ("Supported", _SUPPORTED), *capabilities)
        return self.answer(request, status, headers=headers)


def _said(flow: Flow) -> str:
    """The transport in a URI. TLS stays `sip:` there: `sips:` would ask for TLS up to the far end (RFC 5630 4).

    RFC 3261 26.2.2 calls `transport=tls` deprecated, and knows no other word for TLS on this hop alone.
    """
    return f";transport={flow.transport.lower()}" if flow.is_stream else ""


def _as_sip(number: Uri, home_domain: str) -> Uri:
    """A telephone number as the SIP URI that REGISTER asks for (TS 24.229 5.1.1.2.1 a, b)."""
    return Uri("sip", number.user, host=home_domain, params={"user": "phone"})
