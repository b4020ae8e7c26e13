"""The line of time of a run: a bar for each line; where nothing happened for long is cut out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from console.marks import kind_of
from console.runs.length import length
from console.runs.tree import Line
from policies.inert import inert

_WIDE, _NAMES, _ROW, _TOP = 1000, 260, 20, 22
_MOST_CHARS = 34
_CUT = 0.08  # of the width, for all cuts together at most four times as much
_LEAST = 2.0


@dataclass(frozen=True, slots=True)
class Bar:
    """One line's part of the time; microseconds since 1970."""

    name: str
    status: str
    at: int
    until: int


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of the time and where it is drawn; `is_cut`: nothing happened in it.

    x, wide  of the picture
    """

    at: int
    until: int
    x: float
    wide: float
    is_cut: bool

    def place(self, at: int) -> float:
        """Where a moment of it is drawn."""
        return self.x + self.wide * (at - self.at) / max(1, self.until - self.at)


def draw(lines: Sequence[Line], now: int) -> Markup:
    """One image; the table beside it says the same to those who do not see it.

    now  when what has not ended ends, here
    """
    bars = [_bar(line, now) for line in lines]
    pieces = scale(bars)
    high = _TOP + _ROW * len(bars) + 4
    drawn = [
        *(_cut(piece, high) for piece in pieces if piece.is_cut),
        *(_drawn(bar, at, pieces) for at, bar in enumerate(bars)),
    ]
    return Markup(
        '<svg class="time" viewBox="0 0 {} {}" width="{}" height="{}" role="img"'
        ' aria-label="Steps by time">\n{}\n</svg>'
    ).format(_WIDE, high, _WIDE, high, Markup("\n").join(drawn))


def scale(bars: Sequence[Bar]) -> tuple[Piece, ...]:
    """The whole time in pieces: what is busy by its length, what is idle for long as a cut."""
    spans = list(_spans(bars))
    busy = sum(until - at for at, until, is_idle in spans if not is_idle)
    is_cut = [is_idle and until - at > max(busy // 4, 1) for at, until, is_idle in spans]
    cuts = sum(is_cut)
    room = _WIDE - _NAMES - 8.0
    each = min(_CUT, _CUT * 4 / cuts) * room if cuts else 0.0
    length = sum(until - at for (at, until, _), cut in zip(spans, is_cut, strict=True) if not cut)
    pieces, x = [], float(_NAMES)
    for (at, until, _), cut in zip(spans, is_cut, strict=True):
        wide = each if cut else (room - each * cuts) * (until - at) / max(1, length)
        pieces.append(Piece(at, until, x, wide, cut))
        x += wide
    return tuple(pieces)


def _spans(bars: Sequence[Bar]) -> Iterator[tuple[int, int, bool]]:
    """The time from the first to the last moment, in parts that are busy or idle.

    While people are waited for, nothing happens.
    """
    start = end = min((bar.at for bar in bars), default=0)
    last = max((bar.until for bar in bars), default=0)
    for bar in sorted((bar for bar in bars if bar.status != "waiting"), key=lambda each: each.at):
        if bar.at > end:
            yield start, end, False
            yield end, bar.at, True
            start = bar.at
        end = max(end, bar.until)
    yield start, end, False
    if last > end:
        yield end, last, True


def _bar(line: Line, now: int) -> Bar:
    name = "\u00a0\u00a0" * line.depth + line.label
    status = f"{line.said.count} steps" if line.row is None else line.row.status
    return Bar(name, status, line.said.at, line.said.ends(now))


def _drawn(bar: Bar, at: int, pieces: Sequence[Piece]) -> Markup:
    begins, ends = _place(bar.at, pieces), _place(bar.until, pieces)
    y = _TOP + at * _ROW
    name = inert(bar.name)
    cut = name if len(name) <= _MOST_CHARS else f"{name[: _MOST_CHARS - 1]}\u2026"
    return Markup(
        '<g><title>{}: {}, {}</title><text x="0" y="{}">{}</text>'
        '<rect class="bar {}" x="{:.1f}" y="{}" width="{:.1f}" height="{}" rx="2"/></g>'
    ).format(
        name,
        inert(bar.status),
        length(bar.until - bar.at),
        y + 13,
        cut,
        kind_of(bar.status),
        begins,
        y + 2,
        max(_LEAST, ends - begins),
        _ROW - 5,
    )


def _place(at: int, pieces: Sequence[Piece]) -> float:
    piece = next((each for each in pieces if each.at <= at <= each.until), pieces[-1])
    return piece.place(at)


def _cut(piece: Piece, high: int) -> Markup:
    return Markup(
        '<rect class="cut" x="{:.1f}" y="0" width="{:.1f}" height="{}"/>'
        '<text class="note" x="{:.1f}" y="12" text-anchor="middle">{}</text>'
    ).format(piece.x, piece.wide, high, piece.x + piece.wide / 2, length(piece.until - piece.at))
