"""The test file beside a policy: calls, and what each of them must come to.

A call is written once and varied (`with`, `each`); the matrix states one effect for every tool and
agent as a block that is reviewed at a glance; coverage says how much of the policy the file
promises to exercise. `cases` runs it.
"""

import re
from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Discriminator, Field, Tag, WithJsonSchema, model_validator

from policies.decision import Effect, Origin
from policies.notation import (
    ArgumentName,
    Block,
    Duration,
    FileName,
    JsonObject,
    Label,
    Moment,
    Name,
    Sentence,
    Several,
    Some,
    ToolName,
    ToolPattern,
    UserName,
    refuse,
    shape,
    shown,
)
from policies.register import Part
from policies.source import Source

Summary = Literal["target", "carried"]


class Circumstances(Part):
    """What may be said about a call beside its agent and tool; what is left out is unstated.

    history  how long ago the caller called which tools: `desk.pay: [10m, 2h]`
    """

    args: JsonObject = Field(default_factory=dict)
    user: UserName | None = None
    groups: Several[UserName] = ()
    chain: Several[Name] = ()
    scopes: Several[ToolPattern] = ("*",)
    labels: Several[Label] = ()
    provenance: Block[ArgumentName, Origin] = Field(default_factory=dict)
    origin: Block[Summary, Literal["user", "trusted", "untrusted", "none", "nothing"]] = Field(
        default_factory=dict
    )
    secrets: Several[Label] = ()
    purpose: Sentence | None = None
    purpose_tools: Several[ToolPattern] | None = None
    session: Name | None = None
    totals: Block[Name, Annotated[int, Field(ge=0)]] = Field(default_factory=dict)
    history: Block[ToolName, Several[Duration]] = Field(default_factory=dict)
    now: Moment | None = None
    proven: bool = False


class Variation(Circumstances):
    """Replaces, member by member, what a call states; `args` is replaced as a whole."""

    agent: Name | None = None
    tool: ToolName | None = None


class Call(Circumstances):
    """One request, complete."""

    agent: Name
    tool: ToolName

    def varied(self, variation: Circumstances) -> "Call":
        """This call with what `variation` states in place of its own."""
        stated = {name: getattr(variation, name) for name in variation.model_fields_set}
        return self.model_copy(update=stated)


class Expectation(Part):
    """What must come out. What is left out is not compared; an empty list means none."""

    effect: Effect
    rules: Several[str] | None = None
    approval: Name | None = None
    limits: Several[Name] | None = None
    budgets: Several[Name] | None = None

    @model_validator(mode="after")
    def _asks_whom(self) -> Self:
        if self.approval and self.effect != "ask":
            raise refuse(
                "policy.approval", "an 'approval' belongs to 'effect: ask'", field="approval"
            )
        return self


class Case(Part):
    """One test: a call by name or in place, perhaps in several variations, and its expectation."""

    name: Sentence
    call: Annotated[
        Annotated[Name, Tag("<text>")] | Annotated[Call, Tag("<map>")],
        Discriminator(
            shape(text=str, map=dict),
            custom_error_type="policy.wrong-type",
            custom_error_message="expected the name of a call, or a call",
        ),
    ]
    with_: Annotated[Variation, Field(alias="with")] = Variation()
    each: Some[Variation] = (Variation(),)
    expect: Expectation


@dataclass(frozen=True, slots=True)
class Row:
    """One tool's effects, and the line within the block on which they stand, from 0."""

    tool: str
    line: int
    effects: tuple[Effect, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Effects by tool (row) and agent (column)."""

    agents: tuple[str, ...]
    rows: tuple[Row, ...]


def _read_table(text: object) -> Table:
    if not isinstance(text, str):
        raise refuse("policy.table", f"found {shown(text)}, expected a table after 'table: |'")
    lines = [_cells(line) for line in text.splitlines()]
    agents = lines[0][1:] if lines and lines[0][0] == "tool" else ()
    if not all(agents) or not agents or len(set(agents)) < len(agents):
        raise refuse("policy.table", "expected a first row 'tool | AGENT | ...', each agent once")
    rows = tuple(_row(number, cells, len(agents)) for number, cells in enumerate(lines) if number)
    if not rows:
        raise refuse("policy.table", "expected a row for each tool")
    if len({row.tool for row in rows}) < len(rows):
        raise refuse("policy.table", "a tool has two rows")
    return Table(agents, rows)


def _cells(line: str) -> tuple[str, ...]:
    return tuple(cell.strip() for cell in line.split("|"))


def _row(number: int, cells: tuple[str, ...], agents: int) -> Row:
    tool, *words = cells
    if len(words) != agents:
        raise refuse(
            "policy.table", f"row {number} ({tool}) has {len(words)} effects for {agents} agents"
        )
    effects = tuple(_EFFECTS.get(word) for word in words)
    for word, effect in zip(words, effects, strict=True):
        if effect is None:
            raise refuse(
                "policy.table",
                f"row {number} ({tool}): found {word!r}, expected allow, ask or deny",
            )
    return Row(tool, number, tuple(filter(None, effects)))


_EFFECTS: dict[str, Effect] = {"allow": "allow", "ask": "ask", "deny": "deny"}


def _read_percent(value: object) -> int:
    match = re.fullmatch(r"(100|[1-9]?[0-9])%", value) if isinstance(value, str) else None
    if match is None:
        raise refuse("policy.percent", f"found {shown(value)}, expected a share as 100%")
    return int(match[1])


class Matrix(Part):
    """One effect for every tool and agent of the policy; a cell that is not listed is a failure.

    with   what holds for every cell; without a user in it, each call is for `someone`, a person
           whom no list names
    args   arguments for the calls of a tool
    """

    with_: Annotated[Circumstances, Field(alias="with")] = Circumstances()
    args: Block[ToolName, JsonObject] = Field(default_factory=dict)
    table: Annotated[
        Table,
        BeforeValidator(_read_table),
        WithJsonSchema({"type": "string", "description": "tool | agent | agent, a row a tool"}),
    ]


class Coverage(Part):
    """What the file promises: the share of rules that match once, conditions seen both ways."""

    rules: Annotated[
        int,
        BeforeValidator(_read_percent),
        WithJsonSchema({"type": "string", "pattern": "^(100|[1-9]?[0-9])%$"}),
    ] = 0
    conditions: Literal["both", "any"] = "any"


class PolicyTest(Part):
    """One test file.

    policy  the policy files it is about, relative to its own folder
    now     the time of every call that states none of its own
    """

    api_version: Annotated[Literal["passavant/v1"], Field(alias="apiVersion")]
    kind: Literal["PolicyTest"]
    policy: Annotated[
        Annotated[FileName, Tag("<text>")] | Annotated[Some[FileName], Tag("<list>")],
        Discriminator(
            shape(text=str, list=list),
            custom_error_type="policy.wrong-type",
            custom_error_message="expected the name of a policy file, or a list of them",
        ),
    ]
    now: Moment | None = None
    calls: Block[Name, Call] = Field(default_factory=dict)
    tests: Some[Case] = ()
    matrix: Matrix | None = None
    coverage: Coverage = Coverage()

    @property
    def policies(self) -> tuple[str, ...]:
        """Names of the policy files, as written."""
        return (self.policy,) if isinstance(self.policy, str) else self.policy


@dataclass(frozen=True, slots=True)
class TestDocument:
    """A test file's content together with the file it was read from."""

    __test__ = False  # no test case of ours: pytest collects classes named Test...

    content: PolicyTest
    source: Source
