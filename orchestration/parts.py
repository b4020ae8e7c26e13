"""Parts: what all nodes of a flow are made of, and the nodes that are one step.

What one consists of that others are in is in `orchestration.spec`.
"""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, field_validator

from gateway.notation import milliseconds
from orchestration.shape import checked_schema

NAME = r"^[a-z][a-z0-9-]{0,39}$"
TOOL = r"^[a-z][a-z0-9-]{0,19}\.[A-Za-z0-9_.-]{1,128}$"


def _duration(text: str) -> str:
    if milliseconds(text) < 1000:
        raise ValueError(f"{text!r} is shorter than a second")
    return text


Name = Annotated[str, Field(pattern=NAME)]
ToolName = Annotated[str, Field(pattern=TOOL)]
Duration = Annotated[str, AfterValidator(_duration)]
Sentence = Annotated[str, Field(min_length=1, max_length=2000)]
Rounds = Annotated[int, Field(ge=1, le=100)]


class Part(BaseModel):
    """What all models of a flow share: strict, closed, immutable."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Agent(Part):
    """An agent does what it is given."""

    kind: Literal["agent"] = "agent"
    name: Name


class Tool(Part):
    """One call of a tool. Without `args` the value at hand is what it is called with."""

    kind: Literal["tool"] = "tool"
    name: ToolName
    args: dict[str, JsonValue] | None = None


class Approve(Part):
    """People are asked whether the run may go on with the value at hand.

    by         who, as the policy knows it: the tool `approvals.<by>`, which a rule must ask about
    otherwise  what a no comes to: the run stops, or goes on with {"approved": false}
    """

    kind: Literal["approve"] = "approve"
    by: Name
    question: Sentence
    otherwise: Literal["stop", "go-on"] = "stop"


class Wait(Part):
    """Nothing is done for a time."""

    kind: Literal["wait"] = "wait"
    duration: Duration = Field(alias="for")

    model_config = ConfigDict(populate_by_name=True)


class Emit(Part):
    """Whoever watches the run is told something; the value at hand goes on as it is.

    event  what is told
    data   what belongs to it, made as the arguments of a tool are; sealed in the log
    shape  the JSON schema that this must meet
    """

    kind: Literal["emit"] = "emit"
    event: Name
    data: JsonValue = None
    shape: dict[str, JsonValue] | None = None

    @field_validator("shape")
    @classmethod
    def _checks(cls, schema: dict[str, JsonValue] | None) -> dict[str, JsonValue] | None:
        return schema if schema is None else checked_schema(schema)


class Prompt(Part):
    """What a prompt agent does; made of the deployment's settings and never written in a flow.

    price_read, price_written  millionths of the deployment's unit for a million tokens
    """

    kind: Literal["prompt"] = "prompt"
    model: Name
    instructions: str
    tools: Annotated[tuple[ToolName, ...], Field(strict=False)] = ()
    max_turns: Rounds = 10
    max_output: Annotated[int, Field(ge=1)] = 2_000
    price_read: Annotated[int, Field(ge=0)] = 0
    price_written: Annotated[int, Field(ge=0)] = 0
