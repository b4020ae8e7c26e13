"""The tree of a run: its steps by the paths at which they were made, folded where they are many.

A path has a part for each level, `2:parallel/1:web`: the second thing that the run did was a
`parallel`, whose first was `web`. What lies below a part that is folded is counted, and shown when
somebody goes there.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

MOST_SHOWN = 200
"""Lines of a table, boxes of a graph, bars of a line of time."""


@dataclass(frozen=True, slots=True)
class Row:
    """One step; times in microseconds.

    at        when it was decided last, or people were asked, since 1970
    until     when its outcome came; None while there is none
    entry     of the decision; None: people have not answered the first question yet
    approval  the request that it waits for
    """

    path: str
    tool: str
    agent: str
    status: str
    at: int
    until: int | None = None
    entry: int | None = None
    outcome: int | None = None
    asked: bool = False
    tokens: int = 0
    cost: int = 0
    approval: str = ""

    @property
    def effect(self) -> str:
        """What the policy said."""
        if self.status == "denied":
            return "deny"
        return "ask" if self.asked or self.approval else "allow"


@dataclass(slots=True)
class Branch:
    """One part of the tree: a step, or what stands above steps, or both."""

    path: str
    row: Row | None = None
    children: list["Branch"] = field(default_factory=list)

    @property
    def label(self) -> str:
        """What it is called there."""
        part = self.path.rpartition("/")[2]
        return part.partition(":")[2] or part

    def rows(self) -> Iterator[Row]:
        """Its steps and all below it."""
        if self.row is not None:
            yield self.row
        for child in self.children:
            yield from child.rows()


@dataclass(frozen=True, slots=True)
class Sum:
    """What several steps come to.

    at, until  of the first and the last, in microseconds since 1970; None: not all have ended
    """

    count: int
    statuses: Mapping[str, int]
    at: int
    until: int | None
    tokens: int
    cost: int

    def ends(self, now: int) -> int:
        """When they ended; what has not ends now."""
        return max(self.at, now if self.until is None else self.until)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of what is shown.

    depth  below what is shown
    row    the step; None: a part that is folded, or has no step of its own
    said   what it comes to, with all that is below it where that is not shown by itself
    """

    path: str
    label: str
    depth: int
    row: Row | None
    said: Sum


@dataclass(frozen=True, slots=True)
class Shown:
    """What is shown of a part.

    top     the parts directly in it
    lines   these and all that is open below them
    opened  paths of what is not folded
    rest    how many further parts would come behind the last of `top`
    """

    top: tuple[Branch, ...]
    lines: tuple[Line, ...]
    opened: frozenset[str]
    rest: int


def tree(rows: Iterable[Row]) -> Branch:
    """The whole run, its parts in the order in which they began."""
    root = Branch("")
    known = {"": root}
    for row in rows:
        _branch(known, row.path).row = row
    for branch in known.values():
        branch.children.sort(key=_number)
    return root


def find(root: Branch, path: str) -> Branch:
    """The part at a path; the whole where there is none."""
    here = root
    for child in _way(path):
        here = next((each for each in here.children if each.path == child), here)
    return here if here.path == path else root


def shown(root: Branch, first: int = 0, most: int | None = None) -> Shown:
    """As much of a part as fits: what is less deep goes before what is deeper.

    first  how many of its parts are left out at the beginning
    most   lines; None: MOST_SHOWN
    """
    most = MOST_SHOWN if most is None else most
    top = root.children[first : first + most]
    opened: set[str] = set()
    count, level = len(top), top
    while level:
        full, level = [branch for branch in level if branch.children], []
        for branch in full:
            if count + len(branch.children) <= most:
                count += len(branch.children)
                opened.add(branch.path)
                level += branch.children
    lines = tuple(_lines(top, frozenset(opened), 0))
    rest = len(root.children) - first - len(top)
    return Shown(tuple(top), lines, frozenset(opened), rest)


def total(rows: Iterable[Row]) -> Sum:
    """What steps come to together."""
    every = list(rows)
    ends = [row.until for row in every if row.until is not None]
    return Sum(
        count=len(every),
        statuses=Counter(row.status for row in every),
        at=min((row.at for row in every), default=0),
        until=max(ends) if ends and len(ends) == len(every) else None,
        tokens=sum(row.tokens for row in every),
        cost=sum(row.cost for row in every),
    )


def _branch(known: dict[str, Branch], path: str) -> Branch:
    if path not in known:
        above = _branch(known, path.rpartition("/")[0])
        known[path] = Branch(path)
        above.children.append(known[path])
    return known[path]


def _way(path: str) -> Iterator[str]:
    parts = path.split("/")
    return ("/".join(parts[: at + 1]) for at in range(len(parts)))


def _number(branch: Branch) -> int:
    number = branch.path.rpartition("/")[2].partition(":")[0]
    return int(number) if number.isdecimal() else 0


def _lines(branches: Iterable[Branch], opened: frozenset[str], depth: int) -> Iterator[Line]:
    for branch in branches:
        is_step = not branch.children or branch.path in opened
        row = branch.row if is_step else None
        said = total(branch.rows() if row is None else [row])
        yield Line(branch.path, branch.label, depth, row, said)
        if branch.path in opened:
            yield from _lines(branch.children, opened, depth + 1)
