"""Conditions: what a rule's `when` may say, as a tree.

The language is a subset of CEL (github.com/google/cel-spec, doc/langdef.md): a text accepted here
is legal CEL and means the same there. What is left out is left out on purpose: no macros and no
arithmetic, so that a condition costs at most a few passes over what it reads. Its reference is
`docs/conditions.md`; `condition_parse` reads a text, `condition_types` checks a tree, and
`condition_eval` makes it run.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

Scalar: TypeAlias = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Value:
    """A literal, or a list of them."""

    value: Scalar | tuple[Scalar, ...]
    at: int
    end: int


@dataclass(frozen=True, slots=True)
class Path:
    """A fact, or a member of one: `args.customer.name` has root `args` and two fields."""

    root: str
    fields: tuple[str, ...]
    at: int
    end: int

    def __str__(self) -> str:
        return ".".join((self.root, *self.fields))


@dataclass(frozen=True, slots=True)
class Has:
    """Is the last member of the path present?"""

    path: Path
    at: int
    end: int


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite of a condition."""

    of: "Node"
    at: int
    end: int


@dataclass(frozen=True, slots=True)
class And:
    """Every part holds; one false part makes the errors of the others irrelevant."""

    parts: tuple["Node", ...]
    at: int
    end: int


@dataclass(frozen=True, slots=True)
class Or:
    """Some part holds; one true part makes the errors of the others irrelevant."""

    parts: tuple["Node", ...]
    at: int
    end: int


@dataclass(frozen=True, slots=True)
class Compare:
    """`left op right`, where op is one of == != < <= > >=."""

    op: str
    left: "Node"
    right: "Node"
    at: int
    end: int


@dataclass(frozen=True, slots=True)
class In:
    """Is the item a member of the list, or a key of the map?"""

    item: "Node"
    of: "Node"
    at: int
    end: int


@dataclass(frozen=True, slots=True)
class Call:
    """A function of the language; of a method (`text.contains(x)`) the receiver comes first."""

    function: str
    args: tuple["Node", ...]
    at: int
    end: int


Node: TypeAlias = Value | Path | Has | Not | And | Or | Compare | In | Call


@dataclass(frozen=True, slots=True)
class Condition:
    """The text of one `when`, the tree it stands for, and the facts it may look at.

    reads  as "args.amount", in code-point order
    """

    text: str
    root: Node
    reads: tuple[str, ...]

    @property
    def conjuncts(self) -> tuple[Node, ...]:
        """The parts that must all hold."""
        return self.root.parts if isinstance(self.root, And) else (self.root,)

    def written(self, node: Node) -> str:
        """The text of one part, as its author wrote it."""
        return self.text[node.at : node.end]


def children(node: Node) -> tuple[Node, ...]:
    """The direct parts of a node."""
    match node:
        case And(parts=parts) | Or(parts=parts):
            return parts
        case Not(of=of):
            return (of,)
        case Has(path=path):
            return (path,)
        case Compare(left=left, right=right):
            return (left, right)
        case In(item=item, of=of):
            return (item, of)
        case Call(args=args):
            return args
        case Value() | Path():
            return ()


def walk(node: Node) -> Iterator[Node]:
    """The node and everything below it."""
    yield node
    for child in children(node):
        yield from walk(child)


def paths(node: Node) -> Iterator[Path]:
    """Every path a node reads, those inside `has()` too."""
    return (part for part in walk(node) if isinstance(part, Path))
