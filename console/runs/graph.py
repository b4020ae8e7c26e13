"""The graph of a run: what it did after what, and what at the same time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from console.drawing import Block, Chain, Frame, Leaf
from console.marks import kind_of
from console.runs.tree import Branch, Row, Shown, total


def graph(shown: Shown, here: str, now: int) -> Block:
    """The parts of a run, of which there is one at least, as blocks.

    here  the path of the page; a part that is folded leads there
    now   microseconds since 1970: when what has not ended ends, here
    """
    return _Graph(shown.opened, here, now).together(shown.top)


@dataclass(frozen=True, slots=True)
class _Graph:
    opened: frozenset[str]
    here: str
    now: int

    def together(self, branches: Sequence[Branch]) -> Block:
        """Those that overlap in time stand side by side, the others one after another."""
        groups = [list(map(self.block, group)) for group in _overlapping(branches, self.now)]
        parts = tuple(
            group[0] if len(group) == 1 else _at_once("", group, None) for group in groups
        )
        return parts[0] if len(parts) == 1 else Chain(parts)

    def block(self, branch: Branch) -> Block:
        """One part: a step, a frame around its parts, or what they come to."""
        if branch.row is not None and not branch.children:
            return _step(branch.row)
        if branch.path not in self.opened:
            return self.folded(branch)
        head = None if branch.row is None else _step(branch.row)
        groups = list(_overlapping(branch.children, self.now))
        if len(groups) == 1 and len(groups[0]) > 1:
            return _at_once(branch.label, list(map(self.block, groups[0])), head)
        return Frame(branch.label, head=head, parts=(("", self.together(branch.children)),))

    def folded(self, branch: Branch) -> Leaf:
        """A part that is too large to be shown here."""
        said = total(branch.rows())
        note = ", ".join(f"{count} {status}" for status, count in sorted(said.statuses.items()))
        look = "deny" if "deny" in map(kind_of, said.statuses) else ""
        href = f"{self.here}?view=graph&at={quote(branch.path, safe='')}"
        return Leaf(f"{branch.label}: {said.count} steps", note, look, href)


def _at_once(label: str, blocks: Sequence[Block], head: Block | None) -> Frame:
    note = f"{len(blocks)} at once"
    return Frame(label, note, head, tuple(("", each) for each in blocks))


def _step(row: Row) -> Leaf:
    href = f"/approvals/{row.approval}" if row.entry is None else f"/audit/entries/{row.entry}"
    return Leaf(row.tool, row.status, kind_of(row.status), href)


def _overlapping(branches: Sequence[Branch], now: int) -> Iterator[list[Branch]]:
    group: list[Branch] = []
    ends = 0
    timed = [(total(branch.rows()), branch) for branch in branches]
    for said, branch in sorted(timed, key=lambda each: each[0].at):
        if group and said.at >= ends:
            yield group
            group = []
        group.append(branch)
        ends = max(ends, said.ends(now))
    if group:
        yield group
