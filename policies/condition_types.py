"""Checking conditions: what can never be evaluated, or never be true, is refused at load.

Types come from two sides: the facts that the gateway states (`policies.fact_shapes`), and the
arguments of the tool as its pinned schema describes them. Without a schema arguments may be
anything, and only what is wrong for all of them shows.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from policies.address import domain
from policies.condition import (
    And,
    Call,
    Compare,
    Condition,
    Has,
    In,
    Node,
    Not,
    Or,
    Path,
    Scalar,
    Value,
    walk,
)
from policies.errors import ConditionFailed
from policies.fact_shapes import FACTS, GROUPS, MEMBERS, SINGULAR
from policies.file_path import normal
from policies.finding import nearest
from policies.history import question
from policies.instant import duration, timestamp
from policies.pattern import searcher
from policies.shape import ANYTHING, Kind, Shape, of_kind

_TEXT, _NUMBER, _TRUTH = of_kind(Kind.TEXT), of_kind(Kind.NUMBER), of_kind(Kind.TRUTH)
_ORDERED = frozenset({Kind.NUMBER, Kind.TEXT, Kind.TRUTH, Kind.MOMENT, Kind.SPAN})
_VALUES = frozenset({"size", "domain", "timestamp", "duration", "since", "count"})
_RESULTS = {
    "size": _NUMBER,
    "domain": _TEXT,
    "timestamp": of_kind(Kind.MOMENT),
    "duration": of_kind(Kind.SPAN),
    "since": of_kind(Kind.SPAN),
    "count": _NUMBER,
}
_SIZED = frozenset({Kind.TEXT, Kind.LIST, Kind.MAP, Kind.SET})
_COLLECTIONS = frozenset({Kind.LIST, Kind.MAP, Kind.SET})


@dataclass(frozen=True, slots=True)
class Remark:
    """Something about a condition.

    code    stable, as in "condition.unknown-argument"
    offset  0-based character of the text where it shows
    """

    code: str
    message: str
    offset: int
    hint: str | None = None
    severity: Literal["error", "warning"] = "error"

    def of(self, tool: str) -> "Remark":
        """The same remark, naming the tool whose arguments it speaks of."""
        return replace(self, message=f"{self.message} ({tool})")


def check(
    condition: Condition,
    *,
    args: Shape = ANYTHING,
    totals: frozenset[str] | None = None,
    labels: frozenset[str] | None = None,
    tools: frozenset[str] | None = None,
) -> tuple[Remark, ...]:
    """Every remark on a condition, for a tool whose arguments have the shape `args`.

    "condition.absent" is special: the condition asks with has() for an argument that this tool
    never has, which is wrong only when no tool of the statement has it.

    totals  names of the totals there are; None: not known
    labels  labels that some tool emits; None: not known
    tools   every tool of the policy; None: not known
    """
    known = _Known(totals, labels, tools)
    checker = _Checker(condition, args, known)
    checker.truth(condition.root)
    return tuple(checker.remarks)


class _Known(NamedTuple):
    totals: frozenset[str] | None
    labels: frozenset[str] | None
    tools: frozenset[str] | None


class _Checker:
    def __init__(self, condition: Condition, args: Shape, known: _Known) -> None:
        self.remarks: list[Remark] = []
        self._args, self._known = args, known
        self._asked = frozenset(
            str(part.path) for part in walk(condition.root) if isinstance(part, Has)
        )
        self._before = frozenset(
            question(part).tool
            for part in walk(condition.root)
            if isinstance(part, Call) and part.function == "before" and _is_written(part)
        )

    # -- truth

    def truth(self, node: Node) -> None:
        match node:
            case And(parts=parts) | Or(parts=parts):
                for part in parts:
                    self.truth(part)
            case Not(of=of):
                self.truth(of)
            case Has(path=path):
                self._has(path)
            case Compare():
                self._compare(node)
            case In():
                self._in(node)
            case Call(function="before"):
                self._history(node)
            case Call() if node.function not in _VALUES:
                self._test(node)
            case _:
                self._expect(node, frozenset({Kind.TRUTH}), "a condition")

    def _compare(self, node: Compare) -> None:
        left, right = self.value(node.left), self.value(node.right)
        common = left.kinds & right.kinds
        if not common or Kind.SET in common:
            self._add("types", f"{left} is compared with {right}", node.at)
        elif node.op not in {"==", "!="} and not common & _ORDERED:
            self._add("types", f"{left} has no order", node.at)
        elif node.op in {"==", "!="}:
            for one, other in ((node.left, node.right), (node.right, node.left)):
                self._choice(one, [other])

    def _in(self, node: In) -> None:
        item, of = self.value(node.item), self.value(node.of)
        if not of.kinds & _COLLECTIONS:
            self._add("types", f"`in` looks into a list or a map, not {of}", node.of.at)
            return
        if isinstance(node.of, Value) and isinstance(node.of.value, tuple):
            self._literals(node, item, node.of.value)
            return
        inner = None if Kind.MAP in of.kinds else of.item
        if inner is not None and not inner.kinds & item.kinds:
            self._add("types", f"{item} is looked for among {inner}", node.at)
        self._label(node)

    def _literals(self, node: In, item: Shape, values: tuple[Scalar, ...]) -> None:
        if not values:
            self._add("never", "nothing is in an empty list", node.of.at)
        for value in values:
            kinds = _kinds_of(value)
            if not kinds & item.kinds:
                self._add("types", f"{item} is compared with {Shape(kinds)}", node.of.at)
        self._choice(node.item, [Value(value, node.of.at, node.of.end) for value in values])

    def _label(self, node: In) -> None:
        if (
            self._known.labels is None
            or str(node.of) != "labels"
            or not isinstance(node.item, Value)
        ):
            return
        label = node.item.value
        if label not in self._known.labels:
            self._add(
                "unknown-label",
                f"no tool emits the label {label!r}",
                node.item.at,
                nearest(str(label), self._known.labels),
                severity="warning",
            )

    def _choice(self, node: Node, others: Iterable[Node]) -> None:
        """Literals beside a value that is one of a few, or that has one spelling."""
        for other in others:
            if not isinstance(other, Value) or not isinstance(other.value, str):
                continue
            if isinstance(node, Call) and node.function == "domain":
                self._spelled(other, domain)
            choices = self._shape(node).choices if isinstance(node, Path) else None
            if choices is not None and other.value not in choices:
                known = [choice for choice in choices if isinstance(choice, str)]
                self._add(
                    "never",
                    f"{node} is never {other.value!r}",
                    other.at,
                    nearest(other.value, known) or f"one of {', '.join(sorted(known))}",
                    severity="warning"
                    if isinstance(node, Path) and node.root == "args"
                    else "error",
                )

    # -- calls

    def _test(self, node: Call) -> None:
        text, other = node.args
        self._expect(text, frozenset({Kind.TEXT}), f"{node.function}()")
        if node.function in {"matches", "under"}:
            self._literal(other, searcher if node.function == "matches" else normal, node)
            return
        self._expect(other, frozenset({Kind.TEXT}), f"{node.function}()")

    def _literal(self, node: Node, read: Callable[[str], object], call: Call) -> None:
        if not isinstance(node, Value) or not isinstance(node.value, str):
            self._add("literal", f"{call.function}() takes a text written here", node.at)
            return
        if call.function == "under":
            self._spelled(node, normal)
        else:
            self._readable(node, read)

    def _readable(self, node: Value, read: Callable[[str], object]) -> object:
        try:
            return read(str(node.value))
        except ConditionFailed as error:
            self._add("literal", str(error), node.at)
            return None

    def _spelled(self, node: Value, read: Callable[[str], str]) -> None:
        """A literal that is not in the one spelling compared with could never be equal."""
        written = self._readable(node, read)
        if written is not None and written != node.value:
            self._add("literal", f"{node.value!r} has another spelling", node.at, f"{written!r}")

    # -- values

    def value(self, node: Node) -> Shape:
        """The shape of a part that is compared; what is true or false is not."""
        match node:
            case Value(value=tuple() as values):
                kinds = frozenset[Kind]().union(*map(_kinds_of, values))
                return Shape(frozenset({Kind.LIST}), item=Shape(kinds))
            case Value(value=value):
                return Shape(_kinds_of(value))
            case Path():
                return self._path(node)
            case Call(function="since" | "count" as name):
                self._history(node)
                return _RESULTS[name]
            case Call(function=name, args=(of,)) if name in _VALUES:
                self._argument(name, of)
                return _RESULTS[name]
            case _:
                self._add(
                    "nested", "a condition is compared: join conditions with && || !", node.at
                )
                return _TRUTH

    def _argument(self, function: str, node: Node) -> None:
        self._expect(
            node, _SIZED if function == "size" else frozenset({Kind.TEXT}), f"{function}()"
        )
        if isinstance(node, Value) and function in {"timestamp", "duration"}:
            self._readable(node, timestamp if function == "timestamp" else duration)

    def _history(self, node: Call) -> None:
        try:
            tool = question(node).tool
        except ConditionFailed as error:
            self._add("literal", str(error), node.at)
            return
        known = self._known.tools
        if known is not None and tool not in known:
            self._add("unknown-tool", f"there is no tool {tool!r}", node.at, nearest(tool, known))
        if node.function == "since" and tool not in self._before:
            self._add(
                "optional",
                f"{tool} may never have been called: the condition then fails",
                node.at,
                f"before('{tool}')",
                severity="warning",
            )

    def _expect(self, node: Node, kinds: frozenset[Kind], where: str) -> None:
        found = self.value(node)
        if not found.kinds & kinds:
            self._add("types", f"{where} takes {Shape(kinds)}, not {found}", node.at)

    # -- paths

    def _path(self, path: Path) -> Shape:
        shape = self._shape(path)
        if path.root not in {*FACTS, *GROUPS, "args"}:
            known = [*FACTS, *GROUPS, "args"]
            self._add(
                "unknown-fact", f"there is no {path.root!r}", path.at, nearest(path.root, known)
            )
        elif path.root in GROUPS:
            self._member_of_group(path)
        elif path.root != "args" and path.fields:
            self._add("types", f"{path.root} has no members", path.at)
        elif path.root == "args":
            self._argument_path(path)
        return shape

    def _member_of_group(self, path: Path) -> None:
        names = self._names(path.root)
        if len(path.fields) != 1:
            self._add("types", f"expected {path.root}.NAME", path.at)
        elif names is not None and path.fields[0] not in names:
            self._add(
                f"unknown-{SINGULAR[path.root]}",
                f"there is no {path}",
                path.at,
                nearest(path.fields[0], names),
            )

    def _names(self, root: str) -> frozenset[str] | None:
        if root in MEMBERS:
            return frozenset(MEMBERS[root])
        if root == "totals":
            return self._known.totals
        return None if self._args.is_open else frozenset(self._args.members)

    def _argument_path(self, path: Path) -> None:
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

    def _shape(self, path: Path) -> Shape:
        if path.root in GROUPS:
            member = path.fields[0] if path.fields else ""
            return MEMBERS.get(path.root, {}).get(member, GROUPS[path.root])
        if path.root != "args":
            return FACTS.get(path.root, ANYTHING)
        shape = self._args
        for field in path.fields:
            shape = shape.members.get(field, ANYTHING)
        return shape if path.fields else Shape(frozenset({Kind.MAP}))

    def _has(self, path: Path) -> None:
        if path.root not in {"args", "session", "totals"}:
            self._add("types", f"{path} is always there", path.at)
            return
        self._path(path)

    def _add(
        self,
        code: str,
        message: str,
        at: int,
        hint: str | None = None,
        *,
        severity: Literal["error", "warning"] = "error",
    ) -> None:
        remark = Remark(f"condition.{code}", message, at, hint, severity)
        if remark not in self.remarks:
            self.remarks.append(remark)


def _is_written(node: Call) -> bool:
    return isinstance(node.args[0], Value) and isinstance(node.args[0].value, str)


def _kinds_of(value: object) -> frozenset[Kind]:
    match value:
        case None:
            return frozenset({Kind.NULL})
        case bool():
            return frozenset({Kind.TRUTH})
        case str():
            return frozenset({Kind.TEXT})
        case tuple():
            return frozenset({Kind.LIST})
        case _:
            return frozenset({Kind.NUMBER})
