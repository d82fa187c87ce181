"""Offer and answer (RFC 3264): two descriptions, one from each end, make one agreement.

    make_offer ──▶ offer ────────────▶ make_answer
                                           │
    agree(offer, answer) ◀─── answer ◀─────┴──▶ agree(answer, offer)

Each side says where and as what it wants to *receive*; so what we send goes to the far end's address, under the far
end's number, in the far end's rhythm, and what comes bears our numbers. Streams are matched by their place. The phone
takes part in one unicast audio stream over RTP/AVP; whatever else is offered stays in its place with port 0.

Addresses must be literals of the family that we use ourselves: a stream that names a host, a multicast group or the
other family is refused, for the media thread resolves nothing.
"""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from imsphone.machine import Address
from imsphone.sdp.formats import Format, attributes_of, formats_of
from imsphone.sdp.session import (
    DIRECTIONS,
    Attribute,
    Bandwidth,
    Connection,
    Direction,
    MediaDescription,
    Origin,
    SessionDescription,
)

_PTIME_MS = 20  # RFC 3551 4.2: the default for all the codecs that we have
_LONGEST_PTIME_MS = 200  # RFC 3551 4.2: what a receiver should accept
_FRAME_MS = 10  # the media core's step

# As the examples of TS 26.114 annex A have it for speech: enough for a report every five seconds, shared by all.
_RTCP = (Bandwidth("RS", 0), Bandwidth("RR", 2000))


@dataclass(frozen=True, slots=True)
class Agreement:
    """What may flow once offer and answer are there, as seen from here."""

    local: Address
    """Where we receive RTP."""
    remote: Address
    """Where our RTP goes; 0.0.0.0 where an old far end holds the call so, and nothing may be sent."""
    remote_rtcp: Address | None
    """Where our RTCP goes, the next port unless the far end says another; None where it wants none."""
    rtcp_bps: int
    """What both ends together may spend on RTCP (RFC 3556 2); 0 for none."""
    format: Format
    """What we send, under the far end's number."""
    receives: tuple[Format, ...]
    """What may come, under our own numbers, the far end's favourite first."""
    ptime_ms: int
    """How much audio each of our packets holds: a multiple of 10, at most 200."""
    direction: Direction
    """sendonly: only we send."""
    is_held: bool
    """The far end does not want our media now: it said sendonly or inactive, or the 0.0.0.0 of old (RFC 3264 8.4)."""

    @property
    def payload_type(self) -> int:
        """The number to send under."""
        return self.format.payload_type

    @property
    def encoding(self) -> str:
        """The codec's name."""
        return self.format.encoding

    @property
    def clock_hz(self) -> int:
        """The RTP clock."""
        return self.format.clock_hz


def make_offer(
    local: Address,
    formats: Sequence[Format],
    *,
    session_id: int,
    version: int,
    direction: Direction = "sendrecv",
    ptime_ms: int = _PTIME_MS,
) -> SessionDescription:
    """Offer one audio stream received at `local`, formats in order of preference.

    `session_id` and `version` are below 2**62 (RFC 3264 5); the far end is asked to send `ptime_ms` a packet.
    """
    stream = _stream(local, formats, direction, ptime_ms)
    return _describe(local, session_id, version, stream)


def make_answer(
    offer: SessionDescription,
    local: Address,
    formats: Sequence[Format],
    *,
    session_id: int,
    version: int,
    direction: Direction = "sendrecv",
    ptime_ms: int = _PTIME_MS,
) -> SessionDescription | None:
    """Accept the first audio stream of `offer` that shares a format with `formats`; refuse every other.

    `direction` is what we would like, narrowed to what the offer leaves. None where the offer wants something and we
    can give nothing: the caller answers 488. An offer that wants nothing (no stream, or port 0 throughout) has an
    answer: the same.
    """
    answers: list[MediaDescription] = []
    is_accepted = False
    for media in offer.media:
        is_usable = not is_accepted and _usable_host(offer, media, local.host)
        common = _common(formats_of(media), formats) if is_usable else ()
        if common:
            is_accepted = True
            theirs = offer.direction_of(media)
            ours = _direction(_sends(direction) and _receives(theirs), _receives(direction) and _sends(theirs))
            answers.append(_stream(local, common, ours, ptime_ms))
        else:
            # RFC 3264 6: port 0, the kind as offered, any format (SDP wants one)
            answers.append(MediaDescription(media.kind, 0, media.protocol, media.formats))
    if not is_accepted and any(media.port for media in offer.media):
        return None
    # RFC 3264 6: the t= line MUST equal that of the offer
    return replace(_describe(local, session_id, version, *answers), times=offer.times)


def make_reoffer(
    previous: SessionDescription, *, direction: Direction, formats: Sequence[Format] = ()
) -> SessionDescription:
    """Offer again what we described last, turned to `direction`: hold, resume, or (unchanged) a refresh.

    Those of `formats` that are not in use stand behind those that are. Refused streams keep their places, numbers their
    meaning (RFC 3264 8, 8.3.2).
    """
    media = list(previous.media)
    active = next((index for index, m in enumerate(media) if m.kind == "audio" and m.port), None)
    if active is not None:
        kept = [a for a in media[active].attributes if a.name not in DIRECTIONS]
        media[active] = replace(media[active], attributes=(*kept, Attribute(direction)))
        here, used = previous.connection_of(media[active]), formats_of(media[active])
        numbers = {one.payload_type for one in used}
        more = [
            one for one in formats if one.payload_type not in numbers and not any(one.is_same_codec(u) for u in used)
        ]
        if here and more:
            local, ptime_ms = Address(here.host, media[active].port), int(media[active].get("ptime") or _PTIME_MS)
            media[active] = _stream(local, (*used, *more), direction, ptime_ms)
    return succeed(previous, replace(previous, media=tuple(media)))


def succeed(previous: SessionDescription, new: SessionDescription) -> SessionDescription:
    """`new` as the next description of the same session: our old `o=` line, one version up if anything else changed.

    For each later offer and answer of a dialog (RFC 3264 8: the same version MUST mean the same SDP).
    """
    same = replace(new, origin=previous.origin)
    if same == previous:
        return same
    return replace(new, origin=previous.origin._replace(version=previous.origin.version + 1))


def agree(local: SessionDescription, remote: SessionDescription) -> Agreement | None:
    """What flows between our description and the far end's, whichever was the offer; None where nothing can."""
    for ours, theirs in zip(local.media, remote.media, strict=False):
        here = local.connection_of(ours)
        there = here and _usable_host(remote, theirs, here.host)
        if not ours.port or not here or not there:
            continue
        mine = formats_of(ours)
        # RFC 3264 6.1 and 7: the far end's preference and the far end's numbers, from what both list
        sendable = [
            replace(one, encoding=own.encoding) for one in formats_of(theirs) for own in mine if own.is_same_codec(one)
        ]
        if not sendable:
            continue
        is_black_hole = ipaddress.ip_address(there).is_unspecified
        we, they = local.direction_of(ours), remote.direction_of(theirs)
        # RFC 3264 5.1: no media at all for b=AS:0. Other limits cannot be kept by codecs of a fixed rate.
        sends = _sends(we) and _receives(they) and not is_black_hole and theirs.bandwidth("AS") != 0
        rtcp_bps = 0 if is_black_hole else _rtcp_bps(theirs)
        return Agreement(
            local=Address(here.host, ours.port),
            remote=Address(there, theirs.port),
            remote_rtcp=_rtcp_address(theirs, there) if rtcp_bps else None,
            rtcp_bps=rtcp_bps,
            format=sendable[0],
            receives=tuple(own for own in mine if any(own.is_same_codec(one) for one in sendable)),
            ptime_ms=_ptime_ms(theirs),
            direction=_direction(sends, _receives(we) and _sends(they)),
            is_held=is_black_hole or not _receives(they),
        )
    return None


# The pieces ---------------------------------------------------------------------------------------------------------


def _describe(local: Address, session_id: int, version: int, *media: MediaDescription) -> SessionDescription:
    connection = Connection.to(local.host)
    origin = Origin(session_id, version, local.host, connection.address_type)
    return SessionDescription(origin, connection=connection, media=media)


def _stream(local: Address, formats: Sequence[Format], direction: Direction, ptime_ms: int) -> MediaDescription:
    attributes = (*attributes_of(formats), Attribute("ptime", str(ptime_ms)), Attribute(direction))
    return MediaDescription(
        "audio",
        local.port,
        "RTP/AVP",
        tuple(str(one.payload_type) for one in formats),
        bandwidths=(*_application_specific(local, formats, ptime_ms), *_RTCP),
        attributes=attributes,
    )


def _application_specific(local: Address, formats: Sequence[Format], ptime_ms: int) -> tuple[Bandwidth, ...]:
    """`b=AS` by TS 26.114 K.2: the hungriest format with its RTP, UDP and IP headers, rounded up to kbit/s."""
    rates = [one.bitrate_bps for one in formats if one.bitrate_bps]
    if not rates:
        return ()
    header_bits = 8 * (12 + 8 + (40 if ":" in local.host else 20))
    return (Bandwidth("AS", math.ceil(max(rates) / 1000 + header_bits / ptime_ms)),)


def _usable_host(description: SessionDescription, media: MediaDescription, local_host: str) -> str | None:
    """The address of a stream that we can take part in; None for one that we must refuse."""
    connection = description.connection_of(media)
    if media.kind != "audio" or media.protocol != "RTP/AVP" or not media.port or connection is None:
        return None
    address = _literal(connection.host)
    if address is None or address.is_multicast or (address.version == 6) != (":" in local_host):
        return None
    return connection.host


def _literal(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _common(theirs: Sequence[Format], ours: Sequence[Format]) -> tuple[Format, ...]:
    """What both have: their order and numbers, our parameters."""
    found = []
    for one in theirs:
        own = next((own for own in ours if own.is_same_codec(one)), None)
        if own:
            found.append(replace(own, payload_type=one.payload_type))
    return tuple(found)


def _rtcp_bps(media: MediaDescription) -> int:
    """RFC 3556 2: what RS and RR name, else 1.25 % and 3.75 % of the session's, by default one G.711 stream."""
    limit_kbps = media.bandwidth("AS")
    if limit_kbps == 0:  # RFC 3264 5.1: zero disables RTCP too
        return 0
    session_bps = 1000 * (limit_kbps or 80)
    senders_bps, receivers_bps = media.bandwidth("RS"), media.bandwidth("RR")
    return (session_bps // 80 if senders_bps is None else senders_bps) + (
        session_bps * 3 // 80 if receivers_bps is None else receivers_bps
    )


def _rtcp_address(media: MediaDescription, host: str) -> Address | None:
    """The port above, or what `a=rtcp` says (RFC 3605 2.1): `53020`, `53020 IN IP4 126.16.64.4`."""
    words = (media.get("rtcp") or "").split()
    port = media.port + 1
    if words and words[0].isascii() and words[0].isdigit() and len(words[0]) <= 5:
        port = int(words[0])
    if len(words) == 4 and (other := _literal(words[3])) and (other.version == 6) == (":" in host):
        host = words[3]
    return Address(host, port) if 0 < port <= 0xFFFF else None


def _ptime_ms(media: MediaDescription) -> int:
    """How the far end wants it: `a=ptime` within `a=maxptime` (RFC 8866 6.4), in whole steps of the media core."""
    wanted = _milliseconds(media.get("ptime")) or _PTIME_MS
    bound = _milliseconds(media.get("maxptime")) or _LONGEST_PTIME_MS
    whole = int(min(wanted, bound, _LONGEST_PTIME_MS)) // _FRAME_MS * _FRAME_MS
    return max(whole, _FRAME_MS)


def _milliseconds(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if 0 < value < math.inf else None


def _sends(direction: Direction) -> bool:
    return direction in ("sendrecv", "sendonly")


def _receives(direction: Direction) -> bool:
    return direction in ("sendrecv", "recvonly")


def _direction(sends: bool, receives: bool) -> Direction:
    if sends:
        return "sendrecv" if receives else "sendonly"
    return "recvonly" if receives else "inactive"
