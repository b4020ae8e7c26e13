"""Lint of conditions: texts that are legal and mean something else than they seem to.

All of these have let something through elsewhere: `amount <= 100` also takes -5,
`endsWith('acme.example')` also takes evilacme.example, `startsWith('/data')` also takes
`/data/../etc`, and an expression without anchors matches anywhere in the text.
"""

from collections.abc import Callable, Iterator

from policies.condition import Call, Compare, Condition, In, Node, Path, Value, paths, walk
from policies.condition_parse import parse
from policies.errors import ConditionInvalid
from policies.finding import Finding, nearest
from policies.joined import Joined, Placed

_UPPER = {"<": "upper", "<=": "upper", ">": "lower", ">=": "lower"}
_LOWER = {"<": "lower", "<=": "lower", ">": "upper", ">=": "upper"}


def lint_condition(statement: Placed, joined: Joined) -> Iterator[Finding]:
    """What is doubtful in the condition of one statement, if it has one that can be read."""
    if not statement.said.when:
        return
    try:
        condition = parse(statement.said.when)
    except ConditionInvalid:
        return  # compiling refuses it, with the place
    yield from _constant(condition, statement)
    yield from _unemitted(condition, statement, joined)
    for node in walk(condition.root):
        if isinstance(node, Call) and node.function in _TEXTS:
            yield from _loose(node, statement)
    if statement.effect == "allow":
        yield from _one_sided(condition, statement)


def _constant(condition: Condition, statement: Placed) -> Iterator[Finding]:
    if next(paths(condition.root), None) is None:
        message = "the condition reads nothing: it is always or never true"
        yield _warn("lint.constant", message, statement, condition.root, "remove it")


def _unemitted(condition: Condition, statement: Placed, joined: Joined) -> Iterator[Finding]:
    emitted = joined.labels
    for node in walk(condition.root):
        match node:
            case In(item=Value(value=str(label)), of=Path(root="labels")) if label not in emitted:
                message = f"no tool emits the label {label!r}"
                hint = nearest(label, emitted) or "add it to the 'emits' of a tool"
                yield _warn("lint.unknown-label", message, statement, node, hint)


def _loose(call: Call, statement: Placed) -> Iterator[Finding]:
    literal = call.args[-1]
    if isinstance(literal, Value) and isinstance(literal.value, str):
        finding = _TEXTS[call.function](literal.value)
        if finding is not None:
            code, message, hint = finding
            yield _warn(code, message, statement, call, hint)


def _suffix(text: str) -> tuple[str, str, str] | None:
    if "." not in text or text[0] in "@.":
        return None
    message = f"endsWith({text!r}) also holds for a longer name, as evil{text}"
    return "lint.loose-suffix", message, "compare domain(...), or begin with '@' or '.'"


def _prefix(text: str) -> tuple[str, str, str] | None:
    if "/" not in text:
        return None
    message = f"startsWith({text!r}) also holds for a path that leaves it again by '..'"
    return "lint.loose-prefix", message, "write under(path, root)"


def _pattern(text: str) -> tuple[str, str, str] | None:
    if text.startswith("^") and text.endswith("$") and not text.endswith(r"\$"):
        return None
    message = "the expression may match anywhere within the text"
    return "lint.unanchored", message, "begin it with ^ and end it with $"


_TEXTS: dict[str, Callable[[str], tuple[str, str, str] | None]] = {
    "endsWith": _suffix,
    "startsWith": _prefix,
    "matches": _pattern,
}


def _one_sided(condition: Condition, statement: Placed) -> Iterator[Finding]:
    bounds: dict[str, dict[str, Node]] = {}
    for node in walk(condition.root):
        bound = _bound(node)
        if bound is not None:
            path, side = bound
            bounds.setdefault(path, {})[side] = node
    for path, sides in bounds.items():
        missing = {"upper", "lower"} - sides.keys()
        for node in sides.values():
            for other in missing:
                message = f"{path} is bounded on one side only: there is no {other} bound"
                yield _warn("lint.one-sided", message, statement, node, f"add the {other} bound")


def _bound(node: Node) -> tuple[str, str] | None:
    match node:
        case Compare(op=op, left=Path(root="args") as path, right=Value()) if op in _UPPER:
            return str(path), _UPPER[op]
        case Compare(op=op, left=Value(), right=Path(root="args") as path) if op in _LOWER:
            return str(path), _LOWER[op]
    return None


def _warn(code: str, message: str, statement: Placed, node: Node, hint: str) -> Finding:
    return Finding(code, message, statement.at("when", offset=node.at), hint, "warning")
