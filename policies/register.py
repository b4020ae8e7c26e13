"""The register: who and what the rules speak of.

Principals (agents), persons (users, groups), tools and memory spaces; on what terms rules let
things pass is in `policies.terms`. Everything here is stated by us, never by an upstream or an
agent.
"""

from collections.abc import Iterable
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    field_validator,
    model_validator,
)

from policies.instant import end_of
from policies.notation import (
    ANY,
    NAME,
    ArgumentName,
    Block,
    Day,
    Duration,
    GroupSource,
    Label,
    Name,
    ResultPart,
    Sentence,
    Several,
    Some,
    ToolName,
    ToolPattern,
    UserName,
    ValuePath,
    refuse,
    shape,
)

Risk = Literal["read", "write", "irreversible"]
RISKS: tuple[Risk, ...] = ("read", "write", "irreversible")
"""From harmless to final."""

Sink = Literal["internal", "external"]
SINKS = ("internal", "external", "unstated")
"""Where arguments may end up, as conditions call it."""

Trust = Literal["trusted", "untrusted"]
Per = Literal["agent", "user", "session", "tree", "tool"]
"""Whom something is counted for; a tree is a session with all that was handed on from it."""

BYTES_OUT, BYTES_IN = "bytes-out", "bytes-in"
"""Units that the gateway measures: arguments as they are forwarded, and results."""

Positive = Annotated[int, Field(ge=1, le=2**53 - 1)]

UNDECLARED_LABELS = frozenset({"untrusted", "private"})
"""What the result of a tool carries of which the policy does not say what it emits."""


class Part(BaseModel):
    """What all models of a policy file share: strict, closed, immutable."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    @field_validator("*", mode="before")
    @classmethod
    def _says_something(cls, value: object) -> object:
        """`when:` with nothing behind it must not read as a rule without a condition."""
        if value is None:
            raise refuse("policy.nothing", "found nothing, expected a value, or no such key at all")
        return value


class Agent(Part):
    """A principal. One that is not listed is refused before any rule is read.

    What people are told of an agent stands here and comes from nowhere else. How it proves who it
    is stands in the deployment, never in a policy.

    purpose  what it is for, in a sentence for a person
    until  the last day of its registration, in UTC; after it every call of it is refused
    trust  `standard`: as a target of delegation it has only what the edge lends it;
           `autonomous`: it keeps rights of its own beside that
    proof_of_possession  its tokens must be bound to a key that it proves to hold (RFC 9449), in
           each request: `required`, or for tools from that risk on
    """

    roles: Some[Name] = ()
    owner: Name | None = None
    purpose: Sentence | None = None
    until: Day | None = None
    on_behalf_of: Literal["required", "optional"] = "optional"
    max_risk: Risk = "irreversible"
    trust: Literal["standard", "autonomous"] = "standard"
    proof_of_possession: Literal["required", "write", "irreversible"] | None = None

    def has_ended(self, now: int) -> bool:
        """Whether its registration is over at `now`, in microseconds since 1970."""
        return self.until is not None and now >= end_of(self.until)


class People(Part):
    """Persons: a group of the identity provider, or names."""

    from_: Annotated[GroupSource | None, Field(alias="from")] = None
    members: Some[UserName] = ()

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.from_ is None) == (not self.members):
            raise refuse("policy.people", "expected either 'from' or 'members'")
        return self


class Group(People):
    """People who may decide; never resolved by an agent."""


class UserList(People):
    """What may be done in the name of some persons; several lists that hold one intersect."""

    tools: Some[ToolPattern]

    @model_validator(mode="after")
    def _names_tools(self) -> Self:
        refuse_wildcard("tools", self.tools, "say 'unrestricted' as the default instead")
        return self


class Users(Part):
    """What a person may have done in their name. `default` holds for whom no list names."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, UserList]

    default: Annotated[
        Annotated[Literal["unrestricted"], Tag("<text>")]
        | Annotated[Some[ToolPattern], Tag("<list>")],
        Discriminator(
            shape(text=str, list=list),
            custom_error_type="policy.wrong-type",
            custom_error_message="expected 'unrestricted' or a list of tools",
        ),
    ]

    @model_validator(mode="after")
    def _names_tools(self) -> Self:
        if self.default != "unrestricted":
            refuse_wildcard("default", self.default, "say 'unrestricted' instead")
        return self

    @model_validator(mode="after")
    def _lists_are_named(self) -> Self:
        for name in self.lists:
            if not NAME.fullmatch(name):
                message = (
                    f"found {name[:80]!r}, expected a name in lower-case letters, as 'interns'"
                )
                raise refuse("policy.name", message, field=name)
        return self

    @property
    def lists(self) -> dict[str, UserList]:
        """The named lists."""
        return self.__pydantic_extra__


class Undo(Part):
    """The call that takes another one back, and where its arguments come from."""

    tool: ToolName
    args: dict[ArgumentName, ValuePath] = {}


class Tool(Part):
    """What a tool does, stated by us. Nothing stated: irreversible, untrusted and private.

    emits   labels that its result puts on the session; or labels by part of the result
    result  whether its values may be relied upon; or that, by part: parts not named are untrusted
    target  arguments that name what is acted upon
    sink    where arguments end up: `external` is out of the company
    cost    what a call is charged, by unit: a value of its arguments or of its result (then known
            only afterwards), or a fixed number
    undo    the call that takes a call of this tool back
    idempotency  the server acts once for each key that it is sent, and remembers keys for so long
    """

    risk: Risk = "irreversible"
    emits: (
        Annotated[
            Annotated[Several[Label], Tag("<list>")]
            | Annotated[Block[ResultPart, Several[Label]], Tag("<map>")],
            Discriminator(
                shape(list=list, map=dict),
                custom_error_type="policy.wrong-type",
                custom_error_message="expected a list of labels, or labels by part of the result",
            ),
        ]
        | None
    ) = None
    result: Annotated[
        Annotated[Trust, Tag("<text>")] | Annotated[Block[ResultPart, Trust], Tag("<map>")],
        Discriminator(
            shape(text=str, map=dict),
            custom_error_type="policy.wrong-type",
            custom_error_message="expected 'trusted', 'untrusted', or one of them by part",
        ),
    ] = "untrusted"
    target: Some[ArgumentName] = ()
    sink: Sink | None = None
    undo: Undo | None = None
    idempotency: Duration | None = None
    cost: (
        Block[
            Name,
            Annotated[
                Annotated[ValuePath, Tag("<text>")] | Annotated[Positive, Tag("<number>")],
                Discriminator(
                    shape(text=str, number=int),
                    custom_error_type="policy.wrong-type",
                    custom_error_message=(
                        "expected 'args.NAME', 'result.NAME' or a whole number above 0"
                    ),
                ),
            ],
        ]
        | None
    ) = None

    @field_validator("cost")
    @classmethod
    def _measures_nothing(cls, cost: dict[str, str | int] | None) -> dict[str, str | int] | None:
        for unit in {BYTES_OUT, BYTES_IN}.intersection(cost or {}):
            raise refuse("policy.measured", f"{unit} is measured by the gateway", field=unit)
        return cost

    @property
    def labels(self) -> frozenset[str]:
        """What any call of this tool puts on the session, all parts of its result together."""
        if self.emits is None:
            return UNDECLARED_LABELS - ({"untrusted"} if self.result == "trusted" else set())
        if isinstance(self.emits, dict):
            return frozenset(label for labels in self.emits.values() for label in labels)
        return frozenset(self.emits)

    @property
    def labels_by_part(self) -> dict[str, frozenset[str]]:
        """Labels that only the named parts of the result carry."""
        stated = self.emits if isinstance(self.emits, dict) else {}
        return {part: frozenset(labels) for part, labels in stated.items()}

    @property
    def trust_by_part(self) -> dict[str, Trust]:
        """Which named parts of the result may be relied upon, and which may not."""
        return dict(self.result) if isinstance(self.result, dict) else {}

    @property
    def trust(self) -> Trust:
        """Whether the result as a whole may be relied upon."""
        return "trusted" if self.result == "trusted" else "untrusted"


class Space(Part):
    """Memory that outlives a session; under the name `session`, bounds of each session's own.

    of             whose it is: each agent has one, each team (the `owner` of its agents), each user
    roles, agents  who may use it; all of a chain must
    keep           how long an entry lives at most; one of a session lives no longer than that
    entries        how many one of these holds at most
    bytes          of their keys and values, in UTF-8
    """

    of: Literal["agent", "team", "user"] | None = None
    roles: Some[Name] = ()
    agents: Some[Name] = ()
    keep: Duration | None = None
    entries: Annotated[int, Field(ge=1, le=1000)] = 256
    bytes: Annotated[int, Field(ge=1, le=64 << 20)] = 1 << 20

    @model_validator(mode="after")
    def _is_unambiguous(self) -> Self:
        if self.roles and self.agents:
            raise refuse("policy.who", "names both roles and agents: name one", field="agents")
        return self


def refuse_wildcard(field: str, names: Iterable[str], instead: str) -> None:
    """What grants names what it grants: `instead` says how."""
    if ANY in names:
        raise refuse("policy.wildcard", f"'*' is refused here: {instead}", field=field)
