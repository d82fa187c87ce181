"""A trace as the picture that telephone people think in: nodes side by side, time downwards, an arrow a message.

               alice                 p-cscf                s-cscf
                 │                     │                     │
      0.000      ├────── INVITE ──────▶│                     │
      0.001      │                     ├────── INVITE ──────▶│
      0.031      │◀══ RTP 1,204 → 1,198 ← over 24.1 s ══════▶│

Two uses of one list of rungs: `draw` for eyes, `lines` for tests ("alice -> p-cscf  INVITE", see `comparison`). A
message recorded at both ends is one rung, at the time it left; RTP is folded into one band a conversation. What went
inside ESP or TLS says so, and its packets are not drawn besides. A node is known by the name under which it is traced,
a stranger by `names` or by its host.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

from imsphone.label import Protocol, answered_method, label_of
from imsphone.machine import Address
from imsphone.trace import Crossing, Trace

Names = Mapping[Address | str, str]
Kind = Literal["request", "1xx", "2xx", "3xx", "challenge", "failure", "DIAMETER", "DNS", "OTHER", "RTP"]

_PAUSE_S = 1.0  # RTP that rests longer starts a new band
_LEAST_PITCH = 8
_WITHIN_AN_INVITE = ("PRACK", "UPDATE", "CANCEL")  # whose 200 OK stands beside that of the INVITE
_WIDEST = 50  # characters of a label that get room; a domain name in a DNS question is cut
_SCREEN = 40  # rungs; a longer ladder names its nodes at the foot too
_COLOURS: dict[Kind, str] = {
    "request": "1",
    "1xx": "36",
    "2xx": "32",
    "3xx": "33",
    "challenge": "33",
    "failure": "31",
    "DIAMETER": "35",
    "DNS": "34",
    "OTHER": "2",
    "RTP": "2",
}


@dataclass(slots=True)
class Rung:
    """One arrow, or with kind RTP one band: then `packets` counts what went source → target and back.

    `answers` is the method that an answer answers.
    """

    at: float
    source: str
    target: str
    label: str
    kind: Kind
    is_lost: bool = False
    is_repeated: bool = False
    answers: str = ""
    until: float = 0.0
    packets: list[int] = field(default_factory=lambda: [0, 0])
    lost: list[int] = field(default_factory=lambda: [0, 0])


def rungs(
    trace: Trace | Iterable[Crossing], nodes: Sequence[str] | None = None, names: Names | None = None
) -> list[Rung]:
    """What to draw, in its order.

    `nodes` keeps what passes between these; a single one keeps all that it sends and gets. `names` maps addresses or
    hosts to names, for nodes that are not traced themselves.
    """
    crossings = trace.crossings() if isinstance(trace, Trace) else list(trace)
    book = _Names(crossings, names or {})
    found: list[Rung] = []
    bands: dict[frozenset[Address], Rung] = {}
    seen: set[tuple[str, str, bytes]] = set()
    for crossing in crossings:
        source, target = book.ends(crossing)
        if nodes and len({source, target}.intersection(nodes)) < min(2, len({*nodes}), len({source, target})):
            continue
        record = crossing.record
        if record.protocol == "RTP":
            _fold(found, bands, source, target, crossing)
        elif record.protocol not in ("RTCP", "ESP"):
            label = label_of(record.data) + record.cover
            rung = Rung(crossing.at, source, target, label, _kind(record.protocol, label), crossing.is_lost)
            rung.is_repeated = (source, target, record.data) in seen and record.flow.transport == "UDP"
            rung.answers = answered_method(record.data)
            seen.add((source, target, record.data))
            found.append(rung)
    return found


def lines(
    trace: Trace | Iterable[Crossing],
    nodes: Sequence[str] | None = None,
    names: Names | None = None,
    *,
    media: bool = False,
) -> list[str]:
    """One line a message: `alice -> p-cscf  REGISTER`, with `-x` where it is known to be lost.

    With `media` a conversation's RTP is one line too: `alice -> far-end  RTP`, or `alice <-> far-end  RTP`.
    """
    return [line(rung) for rung in rungs(trace, nodes, names) if media or rung.kind != "RTP"]


def draw(
    trace: Trace | Iterable[Crossing],
    nodes: Sequence[str] | None = None,
    names: Names | None = None,
    *,
    width: int = 120,
    colour: bool = False,
) -> str:
    """The ladder, at most about `width` columns wide (labels are cut for that), without a final line end.

    Columns stand in the order of `nodes`, or in which the nodes appear. Times are seconds since the first message. Of
    keep-alives by OPTIONS the first one stands for all.
    With `colour`, ANSI codes: requests bold, 2xx green, failures red, Diameter magenta.
    """
    steps = _without_more(rungs(trace, nodes, names))
    if not steps:
        return "(nothing crossed the wire)"
    present = dict.fromkeys(name for rung in steps for name in (rung.source, rung.target))
    order = [name for name in nodes or () if name in present]
    order += [name for name in present if name not in order]
    start = steps[0].at
    clock_width = max(len(f"{rung.at - start:.3f}") for rung in steps) + 2
    canvas = _Canvas(order, steps, width - clock_width, colour)
    header = [" " * clock_width + row for row in canvas.header()]
    rows = header + [f"{rung.at - start:{clock_width}.3f}{canvas.row(rung)}".rstrip() for rung in steps]
    if len(steps) > _SCREEN:
        rows += reversed(header)
    signs = {"✗ did not arrive": any(rung.is_lost for rung in steps)}
    signs["↻ sent again"] = any(rung.is_repeated for rung in steps)
    if legend := "   ".join(sign for sign, is_used in signs.items() if is_used):
        rows += ["", " " * clock_width + legend]
    return "\n".join(rows)


# Names --------------------------------------------------------------------------------------------------------------


class _Names:
    """Who is at an address: as traced, as told, or the host itself."""

    def __init__(self, crossings: Iterable[Crossing], told: Names) -> None:
        self._told = told
        self._by_address: dict[Address, str] = {}
        self._by_host: dict[str, dict[str, None]] = {}
        for crossing in crossings:
            for record in (crossing.sent, crossing.received):
                if record is not None:
                    self._by_address.setdefault(record.flow.local, record.who)
                    self._by_host.setdefault(record.flow.local.host, {})[record.who] = None

    def ends(self, crossing: Crossing) -> tuple[str, str]:
        source = crossing.sent.who if crossing.sent else None
        target = crossing.received.who if crossing.received else None
        return source or self._of(crossing.source, target), target or self._of(crossing.target, source)

    def _of(self, address: Address, other: str | None) -> str:
        known = self._told.get(address) or self._told.get(address.host) or self._by_address.get(address)
        if known:
            return known
        # A port that nobody is traced on, a TCP client's or one for RTP: of the only other node there.
        neighbours = [name for name in self._by_host.get(address.host, ()) if name != other]
        if len(neighbours) == 1:
            return neighbours[0]
        return str(address) if address.host in self._by_host else address.host


def _kind(protocol: Protocol, label: str) -> Kind:
    match protocol:
        case "SIP" if not label[0].isdigit():
            return "request"
        case "SIP" if label.startswith(("401", "407")):
            return "challenge"
        case "SIP":
            by_class: dict[str, Kind] = {"1": "1xx", "2": "2xx", "3": "3xx"}
            return by_class.get(label[0], "failure")
        case "DIAMETER" | "DNS":
            return protocol
        case _:
            return "OTHER"


def _fold(
    found: list[Rung], bands: dict[frozenset[Address], Rung], source: str, target: str, crossing: Crossing
) -> None:
    band = bands.get(ends := frozenset((crossing.source, crossing.target)))
    if band is None or crossing.at - band.until > _PAUSE_S:
        band = bands[ends] = Rung(crossing.at, source, target, "", "RTP")
        found.append(band)
    way = 0 if source == band.source else 1
    band.packets[way] += 1
    band.lost[way] += crossing.is_lost
    band.until = crossing.at


def _without_more(steps: list[Rung]) -> list[Rung]:
    """OPTIONS and each kind of answer once, with how often: a phone that keeps its way alive sends it all day."""
    kept: dict[object, Rung] = {}
    for number, rung in enumerate(steps):
        is_one = "OPTIONS" in (rung.answers, rung.label.split(" ")[0])
        way = (rung.source, rung.target, rung.label, rung.is_lost)
        kept.setdefault(way if is_one else number, rung).packets[0] += is_one
    for rung in kept.values():
        if rung.kind != "RTP" and rung.packets[0] > 1:
            rung.label += f" × {rung.packets[0]}"
    return list(kept.values())


def line(rung: Rung) -> str:
    """A message, or a conversation's RTP, as one line."""
    if rung.kind == "RTP":
        return f"{rung.source} {'<->' if all(rung.packets) else '->'} {rung.target}  RTP"
    return f"{rung.source} {'-x' if rung.is_lost else '->'} {rung.target}  {rung.label}"


# Drawing ------------------------------------------------------------------------------------------------------------


class _Canvas:
    """Columns at their places, and how each rung is painted across them."""

    def __init__(self, order: list[str], steps: Sequence[Rung], width: int, colour: bool) -> None:
        self._order = order
        self._number = {name: number for number, name in enumerate(order)}
        self._colour = colour
        margin = max(3, (len(order[0]) + 1) // 2 + 1)
        pitches = self._pitches(steps, width - margin - max(3, len(order[-1]) // 2 + 1))
        self._at = [margin]
        for pitch in pitches:
            self._at.append(self._at[-1] + pitch)

    def _pitches(self, steps: Sequence[Rung], width: int) -> list[int]:
        """Room between neighbours: as much as names and labels want, the widest giving way where that is too much."""
        names = self._order
        pitches = [max(_LEAST_PITCH, (len(a) + len(b)) // 2 + 3) for a, b in pairwise(names)]
        wants = [(self._span(rung), min(_WIDEST, len(self._label(rung, *self._span(rung)))) + 7) for rung in steps]
        for (left, right), want in sorted(wants, key=lambda entry: entry[0][1] - entry[0][0]):
            missing = want - sum(pitches[left:right])
            for number in range(left, right):
                if missing > 0:
                    share = -(-missing // (right - number))
                    pitches[number] += share
                    missing -= share
        while sum(pitches) > width and max(pitches, default=0) > _LEAST_PITCH:
            pitches[pitches.index(max(pitches))] -= 1
        return pitches

    def _span(self, rung: Rung) -> tuple[int, int]:
        left, right = sorted((self._number[rung.source], self._number[rung.target]))
        return left, right

    def _label(self, rung: Rung, left: int, right: int) -> str:
        if rung.kind != "RTP":
            inner = f" ({rung.answers})" if rung.answers in _WITHIN_AN_INVITE else ""
            return rung.label + inner + (" ↻" if rung.is_repeated else "")
        there = 0 if self._number[rung.source] == left else 1
        parts = [
            f"{rung.packets[way]:,}{f' ({rung.lost[way]:,} lost)' if rung.lost[way] else ''} {arrow}"
            for way, arrow in ((there, "→"), (1 - there, "←"))
            if rung.packets[way]
        ]
        return f"RTP {' '.join(parts)} over {rung.until - rung.at:.1f} s"

    def header(self) -> list[str]:
        row = ""
        for name, at in zip(self._order, self._at, strict=True):
            row = row.ljust(at - len(name) // 2)[: max(len(row), at - len(name) // 2)] + name
        return [row, self._lifelines()]

    def _lifelines(self) -> str:
        row = [" "] * (self._at[-1] + 1)
        for at in self._at:
            row[at] = "│"
        return "".join(row)

    def row(self, rung: Rung) -> str:
        left, right = self._span(rung)
        label = self._label(rung, left, right)
        if left == right:
            start = self._at[left]
            tail = f"├─ {label} ↩"
            row = self._lifelines().ljust(start + len(tail))
            return row[:start] + self._paint(tail, rung) + row[start + len(tail) :]
        start, end = self._at[left], self._at[right]
        row = self._lifelines()
        return row[:start] + self._paint(self._arrow(rung, label, left, right), rung) + row[end + 1 :]

    def _arrow(self, rung: Rung, label: str, left: int, right: int) -> str:
        start, end = self._at[left], self._at[right]
        is_band = rung.kind == "RTP"
        shaft = ["═" if is_band else "─"] * (end - start + 1)
        for number in range(left + 1, right):
            shaft[self._at[number] - start] = "╪" if is_band else "┼"
        goes_right = self._number[rung.source] == left
        shaft[0], shaft[-1] = ("├", "│") if goes_right else ("│", "┤")
        heads = {goes_right} | ({not goes_right} if is_band and all(rung.packets) else set())
        for to_the_right in heads:
            shaft[-2 if to_the_right else 1] = "✗" if rung.is_lost else "▶" if to_the_right else "◀"
        if is_band:
            shaft[0] = shaft[-1] = "│"
        room = len(shaft) - 6
        shown = label if len(label) <= room else label[: room - 1] + "…"
        place = (len(shaft) - len(shown) - 2) // 2
        shaft[place : place + len(shown) + 2] = f" {shown} "
        return "".join(shaft)

    def _paint(self, text: str, rung: Rung) -> str:
        code = _COLOURS["failure" if rung.is_lost else rung.kind]
        return f"\x1b[{code}m{text}\x1b[0m" if self._colour else text
