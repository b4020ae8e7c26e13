"""Paths of conditions: what `args.amount` or `session.purpose` names, and what can stand there."""

from policies.condition import Path
from policies.fact_shapes import FACTS, GROUPS, MEMBERS, SINGULAR
from policies.finding import nearest
from policies.remark import Remarks
from policies.shape import ANYTHING, Kind, Shape


class Paths:
    """The paths of one condition, held against the facts that there are.

    args    the shape of the tool's arguments
    totals  names of the totals there are; None: not known
    asked   paths that the condition asks for with has()
    """

    def __init__(
        self, args: Shape, totals: frozenset[str] | None, asked: frozenset[str], remarks: Remarks
    ) -> None:
        self._args, self._totals, self._asked = args, totals, asked
        self._add = remarks.add

    def read(self, path: Path) -> Shape:
        """What can stand at a path that is read, with a remark when nothing does."""
        if path.root == "args":
            self._argument(path)
        elif path.root in GROUPS:
            self._member(path)
        elif path.root not in FACTS:
            known = [*FACTS, *GROUPS, "args"]
            self._add(
                "unknown-fact", f"there is no {path.root!r}", path.at, nearest(path.root, known)
            )
        elif path.fields:
            self._add("types", f"{path.root} has no members", path.at)
        return self.shape(path)

    def has(self, path: Path) -> None:
        """A path of which a condition asks whether anything is there."""
        if path.root not in {"args", "session", "totals"}:
            self._add("types", f"{path} is always there", path.at)
            return
        self.read(path)

    def shape(self, path: Path) -> Shape:
        """What can stand at a path; anything where that is not known."""
        if path.root in GROUPS:
            member = path.fields[0] if path.fields else ""
            return MEMBERS.get(path.root, {}).get(member, GROUPS[path.root])
        if path.root != "args":
            return FACTS.get(path.root, ANYTHING)
        shape = self._args
        for field in path.fields:
            shape = shape.members.get(field, ANYTHING)
        return shape if path.fields else Shape(frozenset({Kind.MAP}))

    def _member(self, path: Path) -> None:
        names = self._names(path.root)
        if len(path.fields) != 1:
            self._add("types", f"expected {path.root}.NAME", path.at)
        elif names is not None and path.fields[0] not in names:
            hint = nearest(path.fields[0], names)
            self._add(f"unknown-{SINGULAR[path.root]}", f"there is no {path}", path.at, hint)

    def _names(self, root: str) -> frozenset[str] | None:
        if root in MEMBERS:
            return frozenset(MEMBERS[root])
        if root == "totals":
            return self._totals
        return None if self._args.is_open else frozenset(self._args.members)

    def _argument(self, path: Path) -> None:
        shape = self._args
        for depth, field in enumerate(path.fields):
            name = ".".join((path.root, *path.fields[: depth + 1]))
            if Kind.MAP not in shape.kinds:
                self._add("types", f"{name} is a member of {shape}", path.at)
                return
            inner = shape.members.get(field)
            if inner is None and not shape.is_open:
                code = "absent" if name in self._asked else "unknown-argument"
                hint = nearest(field, shape.members)
                self._add(code, f"the tool has no {name}", path.at, hint)
                return
            if field not in shape.required and shape.members and name not in self._asked:
                self._add(
                    "optional",
                    f"{name} may be absent: the condition then fails",
                    path.at,
                    f"has({name})",
                    severity="warning",
                )
            shape = inner or ANYTHING
