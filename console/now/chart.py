"""The chart of the last hour: bars of calls by minute, drawn here so that no script has to."""

from markupsafe import Markup

from console.now.pulse import EFFECTS, MINUTES, Hour

_WIDE, _HIGH, _FOOT, _SIDE = 10, 120, 18, 34
_BAR = 8


def draw(hour: Hour) -> Markup:
    """One SVG image; a table beside it says the same to those who do not see it."""
    most = max(map(sum, hour.counts))
    bars = Markup("\n").join(
        part for at, counts in enumerate(hour.counts) for part in _bar(at, counts, max(most, 1))
    )
    wide, high = _SIDE + MINUTES * _WIDE, _HIGH + _FOOT
    return Markup(
        '<svg class="chart" viewBox="0 0 {wide} {high}" preserveAspectRatio="xMinYMin"\n'
        ' aria-hidden="true" focusable="false">\n'
        '<line x1="{side}" y1="{foot}" x2="{wide}" y2="{foot}"/>\n'
        '<text x="0" y="11">{most}</text>\n'
        '<text x="{side}" y="{under}">an hour ago</text>\n'
        '<text x="{wide}" y="{under}" text-anchor="end">now</text>\n'
        "{bars}\n</svg>"
    ).format(wide=wide, high=high, side=_SIDE, foot=_HIGH, under=high - 4, most=most, bars=bars)


def _bar(at: int, counts: tuple[int, ...], most: int) -> list[Markup]:
    """One minute: effects upon each other, each at least so high that it can be seen."""
    parts = []
    foot = _HIGH
    for effect, count in zip(EFFECTS, counts, strict=True):
        if not count:
            continue
        high = max(2, count * (_HIGH - 16) // most)
        foot -= high
        parts.append(
            Markup('<rect class="{}" x="{}" y="{}" width="{}" height="{}"/>').format(
                effect, _SIDE + at * _WIDE, foot, _BAR, high
            )
        )
    return parts
