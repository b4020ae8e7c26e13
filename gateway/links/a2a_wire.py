"""What is said to agents over A2A, and what they answer: 1.0, and 0.3 where a card says so.

Plain functions on values. What an agent answers is read as far as it is needed; members that are
not known are none of our business.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from audit.canonical import Json
from gateway.errors import NotUnderstood
from gateway.links.jsonrpc import dump

_WORKING = frozenset({"submitted", "working", "unspecified", "unknown"})


@dataclass(frozen=True, slots=True)
class Wire:
    """One version of the protocol.

    version            as cards state it, up to its second number
    send, get, cancel  names of the methods
    """

    version: str
    send: str
    get: str
    cancel: str

    @property
    def headers(self) -> Mapping[str, str]:
        """What each request says of the version."""
        return {} if self is V03 else {"A2A-Version": self.version}

    def message(self, task: Json, message_id: str, tenant: str) -> dict[str, Json]:
        """The parameters of `send`: one message, to be answered at once, with a task that goes on
        where there is no answer yet.
        """
        if self is V03:
            said: dict[str, Json] = {"kind": "message", "role": "user", "parts": [_old_part(task)]}
            message: Json = {**said, "messageId": message_id}
            return {"message": message, "configuration": {"blocking": False}}
        part: Json = {"text": task} if isinstance(task, str) else {"data": task}
        message = {"messageId": message_id, "role": "ROLE_USER", "parts": [part]}
        sent: dict[str, Json] = {"message": message, "configuration": {"returnImmediately": True}}
        return sent | ({"tenant": tenant} if tenant else {})

    def task(self, task_id: str, tenant: str) -> dict[str, Json]:
        """The parameters of `get` and `cancel`."""
        return {"id": task_id, **({"tenant": tenant} if tenant else {})}


V10 = Wire("1.0", "SendMessage", "GetTask", "CancelTask")
V03 = Wire("0.3", "message/send", "tasks/get", "tasks/cancel")


@dataclass(frozen=True, slots=True)
class Said:
    """What an agent said.

    task   the id of its task; None: it answered with a message and is done
    state  `completed`, `working`, `input-required` ...
    parts  of its answer, or of what it says about its state
    """

    task: str | None
    state: str
    parts: tuple[Mapping[str, Json], ...]

    @property
    def goes_on(self) -> bool:
        """Whether it is still at it."""
        return self.state in _WORKING

    def result(self) -> dict[str, Json]:
        """The same as the result of a tool."""
        values = [_value(part) for part in self.parts]
        texts = [each if isinstance(each, str) else dump(each).decode() for each in values]
        if self.state != "completed":
            said = " ".join(["The agent says:", self.state, *texts])
            return {"content": [{"type": "text", "text": said}], "isError": True}
        content: list[Json] = [{"type": "text", "text": text} for text in texts]
        value: Json = values[0] if len(values) == 1 else values
        return {"content": content, "structuredContent": {"result": value}, "isError": False}


def read_said(result: Json) -> Said:
    """What the result of `send` or `get` says. Raises NotUnderstood."""
    if not isinstance(result, dict):
        raise NotUnderstood("no result")
    message = result.get("message") if "message" in result else None
    if isinstance(message, dict) or result.get("kind") == "message":
        return Said(None, "completed", _parts(message if isinstance(message, dict) else result))
    task = result.get("task", result)
    status = task.get("status") if isinstance(task, dict) else None
    if not isinstance(task, dict) or not isinstance(status, dict):
        raise NotUnderstood("neither a message nor a task")
    name, state = task.get("id"), status.get("state")
    if not isinstance(name, str) or not isinstance(state, str):
        raise NotUnderstood("a task without id or state")
    state = state.removeprefix("TASK_STATE_").lower().replace("_", "-")
    return Said(name, state, _artifacts(task) or _parts(status.get("message")))


def _artifacts(task: Mapping[str, Json]) -> tuple[Mapping[str, Json], ...]:
    found = task.get("artifacts")
    every = found if isinstance(found, list) else []
    return tuple(part for each in every for part in _parts(each))


def _parts(holder: Json) -> tuple[Mapping[str, Json], ...]:
    parts = holder.get("parts") if isinstance(holder, dict) else None
    every = parts if isinstance(parts, list) else []
    return tuple(part for part in every if isinstance(part, dict))


def _value(part: Mapping[str, Json]) -> Json:
    """What a part says; of a file, that there is one."""
    if isinstance(part.get("text"), str):
        return part["text"]
    if "data" in part:
        return part["data"]
    file = cast("Mapping[str, Json]", part["file"] if isinstance(part.get("file"), dict) else part)
    return {"file": file.get("name") or file.get("filename") or "a file"}


def _old_part(task: Json) -> Json:
    if isinstance(task, str):
        return {"kind": "text", "text": task}
    return {"kind": "data", "data": task if isinstance(task, dict) else {"value": task}}
