"""Drawings: boxes in boxes, as one SVG image that is made here so that no script has to.

A block knows its place in relation to others and nothing else: what stands one after another is a
`Chain`, what belongs together a `Frame`. Every word is strangers' text and is drawn as such. The
image is whole by itself; in a page the sheet of styles colours it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from markupsafe import Markup

from policies.inert import inert

ACROSS = 4
"""Blocks that stand side by side before a frame begins another line."""

_CHAR = 7.4  # width of a letter at 13 px, as wide as common letters are
_LINE, _PAD, _GAP, _ARROW = 17, 10, 16, 22
_LEAST = 96
_MOST_CHARS = 40


@dataclass(frozen=True, slots=True)
class Leaf:
    """One box.

    note  a second, smaller line
    look  `allow`, `ask`, `deny` or "": what it comes to, which `note` says in words
    href  where it leads in a page; "": nowhere
    """

    text: str
    note: str = ""
    look: str = ""
    href: str = ""


@dataclass(frozen=True, slots=True)
class Chain:
    """One after another, from top to bottom."""

    parts: tuple["Block", ...]


@dataclass(frozen=True, slots=True)
class Frame:
    """What belongs together, under one title.

    head   what leads the others; stands above them
    parts  side by side, each with a word above it ("": none)
    """

    title: str
    note: str = ""
    head: "Block | None" = None
    parts: tuple[tuple[str, "Block"], ...] = ()


Block: TypeAlias = Leaf | Chain | Frame


def svg(block: Block, title: str) -> Markup:
    """One image of a block. `title` says what it is to those who do not see it."""
    drawn = _draw(block)
    wide, high = drawn.wide + 2, drawn.high + 2
    return Markup(
        '<svg xmlns="http://www.w3.org/2000/svg" class="flow" role="group" aria-label="{title}"'
        ' viewBox="-1 -1 {wide} {high}" width="{wide}" height="{high}" fill="none"'
        ' stroke="currentColor" font-family="system-ui, sans-serif" font-size="13">\n'
        "{inner}\n</svg>"
    ).format(title=inert(title), wide=wide, high=high, inner=drawn.svg)


def outline(block: Block, depth: int = 0) -> Iterator[str]:
    """The same as lines of text, indented."""
    before = "  " * depth
    if isinstance(block, Leaf):
        yield before + inert(f"{block.text}  {block.note}".rstrip())
    elif isinstance(block, Chain):
        for part in block.parts:
            yield from outline(part, depth)
    else:
        yield before + inert(f"{block.title}  {block.note}".strip())
        if block.head is not None:
            yield from outline(block.head, depth + 1)
        for label, part in block.parts:
            if label:
                yield f"{before}  {inert(label)}:"
            yield from outline(part, depth + (2 if label else 1))


@dataclass(frozen=True, slots=True)
class _Drawn:
    """A fragment of an image with its size; its upper left corner is at 0, 0."""

    wide: int
    high: int
    svg: Markup


def _draw(block: Block) -> _Drawn:
    if isinstance(block, Leaf):
        return _leaf(block)
    if isinstance(block, Chain):
        return _chain([_draw(part) for part in block.parts])
    return _frame(block)


def _leaf(leaf: Leaf) -> _Drawn:
    lines = [leaf.text, leaf.note] if leaf.note else [leaf.text]
    wide = max(_LEAST, 2 * _PAD + max(map(_width, lines)))
    high = 2 * _PAD + _LINE * len(lines)
    box = Markup('<rect class="{}" width="{}" height="{}" rx="5"/>').format(leaf.look, wide, high)
    texts = [
        _text(line, wide // 2, _PAD + 13 + at * _LINE, "note" if at else "", middle=True)
        for at, line in enumerate(lines)
    ]
    drawn = Markup("").join([box, *texts])
    if leaf.href:
        drawn = Markup('<a href="{}">{}</a>').format(leaf.href, drawn)
    return _Drawn(wide, high, drawn)


def _chain(parts: Sequence[_Drawn]) -> _Drawn:
    wide, y = max(part.wide for part in parts), 0
    found: list[Markup] = []
    for part in parts:
        if found:
            found.append(_arrow(wide // 2, y))
            y += _ARROW
        found.append(_at((wide - part.wide) // 2, y, part))
        y += part.high
    return _Drawn(wide, y, Markup("\n").join(found))


def _frame(frame: Frame) -> _Drawn:
    head = [] if frame.head is None else [_draw(frame.head)]
    cells = [_labelled(label, _draw(part)) for label, part in frame.parts]
    rows = [_row(cells[at : at + ACROSS]) for at in range(0, len(cells), ACROSS)]
    inner = _stack([*head, *rows])
    named = ", ".join(filter(None, (frame.title, frame.note)))
    wide = max(inner.wide, _width(named)) + 2 * _PAD
    top = 2 * _PAD + _LINE
    high = top + inner.high + _PAD
    box = Markup('<rect class="frame" width="{}" height="{}" rx="8"/>').format(wide, high)
    title = _text(named, _PAD, _PAD + 13, "title")
    placed = _at((wide - inner.wide) // 2, top, inner)
    return _Drawn(wide, high, Markup("\n").join([box, title, placed]))


def _labelled(label: str, part: _Drawn) -> _Drawn:
    if not label:
        return part
    wide = max(part.wide, _width(label))
    text = _text(label, wide // 2, 13, "note", middle=True)
    placed = _at((wide - part.wide) // 2, _LINE + 3, part)
    return _Drawn(wide, part.high + _LINE + 3, Markup("\n").join([text, placed]))


def _row(parts: Sequence[_Drawn]) -> _Drawn:
    x, found = 0, []
    for part in parts:
        found.append(_at(x, 0, part))
        x += part.wide + _GAP
    return _Drawn(x - _GAP, max(part.high for part in parts), Markup("\n").join(found))


def _stack(parts: Sequence[_Drawn]) -> _Drawn:
    if not parts:
        return _Drawn(0, 0, Markup(""))
    wide, y, found = max(part.wide for part in parts), 0, []
    for part in parts:
        found.append(_at((wide - part.wide) // 2, y, part))
        y += part.high + _GAP
    return _Drawn(wide, y - _GAP, Markup("\n").join(found))


def _at(x: int, y: int, part: _Drawn) -> Markup:
    return Markup('<g transform="translate({},{})">{}</g>').format(x, y, part.svg)


def _arrow(x: int, y: int) -> Markup:
    end = y + _ARROW - 3
    return Markup('<path class="arrow" d="M{0},{1}V{2}m-4,-5l4,5l4,-5"/>').format(x, y + 2, end)


def _width(text: str) -> int:
    return int(min(len(inert(text)), _MOST_CHARS) * _CHAR)


def _text(text: str, x: int, y: int, kind: str, *, middle: bool = False) -> Markup:
    """One line; what is too long for it is whole in its title."""
    said = inert(text)
    is_long = len(said) > _MOST_CHARS
    return Markup(
        '<text class="{}" x="{}" y="{}"{} stroke="none" fill="currentColor">{}{}</text>'
    ).format(
        kind,
        x,
        y,
        Markup(' text-anchor="middle"') if middle else "",
        Markup("<title>{}</title>").format(said) if is_long else "",
        f"{said[: _MOST_CHARS - 1]}\u2026" if is_long else said,
    )
