"""What A2A clients send: the parameters of each method, read strictly (A2A 1.0, ProtoJSON).

Metadata, extensions and output modes are taken and go no further: nothing of a caller travels but
what it wants done.
"""

from datetime import UTC, datetime
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, ValidationError

from audit.canonical import Json
from gateway.faces.jsonrpc import INVALID_PARAMS, Message, RpcRefused

PUSH_UNSUPPORTED = -32003
CONTENT_TYPE = -32005

Id = Annotated[str, Field(min_length=1, max_length=128)]
State = Literal[
    "TASK_STATE_UNSPECIFIED",
    "TASK_STATE_SUBMITTED",
    "TASK_STATE_WORKING",
    "TASK_STATE_COMPLETED",
    "TASK_STATE_FAILED",
    "TASK_STATE_CANCELED",
    "TASK_STATE_INPUT_REQUIRED",
    "TASK_STATE_REJECTED",
    "TASK_STATE_AUTH_REQUIRED",
]

EVER = datetime.fromtimestamp(0, UTC)

T = TypeVar("T", bound="Params")


def _instant(text: object) -> object:
    """A time as ProtoJSON has it (RFC 3339). Raises ValueError for one without its zone."""
    if not isinstance(text, str) or len(text) > 40:
        raise ValueError("no time")
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError("a time without a zone")
    return at


class Params(BaseModel):
    """Parameters of a method; there is one tenant, which has no name."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    tenant: Literal[""] = ""


class Part(BaseModel):
    """A piece of a message: exactly one of `text`, `raw`, `url` and `data`."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    text: str | None = None
    raw: str | None = None
    url: str | None = None
    data: JsonValue = None
    media_type: str = Field(default="", alias="mediaType")
    filename: str = ""
    metadata: dict[str, JsonValue] = Field(default_factory=dict)

    def value(self) -> Json:
        """What it says. Raises RpcRefused."""
        given = self.model_fields_set & {"text", "raw", "url", "data"}
        if len(given) != 1:
            raise RpcRefused(INVALID_PARAMS, "a part has one of `text`, `raw`, `url` and `data`")
        if given & {"raw", "url"}:
            raise RpcRefused(CONTENT_TYPE, "parts are text or data here", code="a2a.content")
        return self.text if "text" in given else self.data


class Said(BaseModel):
    """A message of a caller. Who it is from is known from its credential and nothing else."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    message_id: Id = Field(alias="messageId")
    context_id: str = Field(default="", alias="contextId", max_length=128)
    task_id: str = Field(default="", alias="taskId", max_length=128)
    role: Literal["ROLE_USER"]
    parts: Annotated[list[Part], Field(min_length=1, max_length=64)]
    metadata: dict[str, JsonValue] = Field(default_factory=dict)
    extensions: list[str] = Field(default_factory=list)
    reference_task_ids: list[str] = Field(default_factory=list, alias="referenceTaskIds")

    def task(self) -> Json:
        """What is wanted: the one part's value, or a list of all of them. Raises RpcRefused."""
        values = [part.value() for part in self.parts]
        return values[0] if len(values) == 1 else values


class Configuration(BaseModel):
    """How a caller wants to be answered."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    accepted_output_modes: list[str] = Field(default_factory=list, alias="acceptedOutputModes")
    push: JsonValue = Field(default=None, alias="taskPushNotificationConfig")
    history_length: Annotated[int, Field(ge=0)] = Field(default=0, alias="historyLength")
    return_immediately: bool = Field(default=False, alias="returnImmediately")


class SendMessage(Params):
    """Parameters of `SendMessage` and `SendStreamingMessage`."""

    message: Said
    configuration: Configuration = Configuration()
    metadata: dict[str, JsonValue] = Field(default_factory=dict)


class OneTask(Params):
    """Parameters of `GetTask`, `CancelTask` and `SubscribeToTask`."""

    id: Id
    history_length: Annotated[int, Field(ge=0)] = Field(default=0, alias="historyLength")
    metadata: dict[str, JsonValue] = Field(default_factory=dict)


class ListTasks(Params):
    """Parameters of `ListTasks`."""

    context_id: str = Field(default="", alias="contextId")
    status: State = "TASK_STATE_UNSPECIFIED"
    page_size: Annotated[int, Field(ge=1, le=100)] = Field(default=50, alias="pageSize")
    page_token: str = Field(default="", alias="pageToken", max_length=128)
    history_length: Annotated[int, Field(ge=0)] = Field(default=0, alias="historyLength")
    after: Annotated[datetime, BeforeValidator(_instant)] = Field(
        default=EVER, alias="statusTimestampAfter"
    )
    include_artifacts: bool = Field(default=False, alias="includeArtifacts")


def read_params(message: Message, model: type[T]) -> T:
    """The parameters of a message. Raises RpcRefused, without what was sent."""
    try:
        return model.model_validate(message.params)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(each) for each in first["loc"])[:200]
        raise RpcRefused(INVALID_PARAMS, f"{message.method}: {place}: {first['msg']}") from None
