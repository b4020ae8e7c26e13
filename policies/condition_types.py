"""Checking conditions: what can never be evaluated, or never be true, is refused at load.

Types come from two sides: the facts that the gateway states (`policies.fact_shapes`), and the
arguments of the tool as its pinned schema describes them. Without a schema arguments may be
anything, and only what is wrong for all of them shows.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

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
from policies.condition_paths import Paths
from policies.errors import ConditionFailed
from policies.file_path import normal
from policies.finding import nearest
from policies.history import question
from policies.instant import duration, timestamp
from policies.pattern import searcher
from policies.remark import Remark, Remarks
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
    remarks = Remarks()
    paths = Paths(args, totals, _asked(condition), remarks)
    _Checker(condition, paths, _Known(labels, tools), remarks).truth(condition.root)
    return tuple(remarks)


class _Known(NamedTuple):
    labels: frozenset[str] | None
    tools: frozenset[str] | None


class _Checker:
    def __init__(self, condition: Condition, paths: Paths, known: _Known, remarks: Remarks) -> None:
        self._paths, self._known = paths, known
        self._add = remarks.add
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
                self._paths.has(path)
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
            choices = self._paths.shape(node).choices if isinstance(node, Path) else None
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
                return self._paths.read(node)
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


def _asked(condition: Condition) -> frozenset[str]:
    return frozenset(str(part.path) for part in walk(condition.root) if isinstance(part, Has))


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
