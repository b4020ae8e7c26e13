"""Doors: the tools by which every client reaches other agents, `agents__list` and its like.

They are called across the gate like any tool, and whatever agent stands behind one is another
action, decided by itself: a door opens nothing that a rule does not let its caller reach directly.
Who was itself reached by another agent goes no further: work goes one hop by default.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import cast

from audit.canonical import Json
from audit.errors import AuditError
from gateway.errors import GatewayError
from gateway.links.jsonrpc import dump
from gateway.links.link import Answered, Permit
from gateway.links.local import Handler, OwnTool
from gateway.principal import Principal
from gateway.runs.run import Run
from gateway.runs.tasks import Progress, Tasks

MOST_WAIT_S = 50
"""How long a call may wait for an agent; clients lose patience before that."""

_WAIT_S = 20
_KEEP_S = 3600

_Door = Callable[[Tasks, Principal, Mapping[str, Json]], Awaitable[dict[str, Json]]]


def doors(tasks: Callable[[], Tasks]) -> dict[str, OwnTool]:
    """The tools, by name; `tasks` is not asked before something is called."""
    return {name: OwnTool(_definition(name), _handler(do, tasks)) for name, do in _DOORS.items()}


def _handler(do: _Door, tasks: Callable[[], Tasks]) -> Handler:
    async def handle(args: dict[str, Json], permit: Permit) -> Answered:
        assert permit.principal is not None, "the gate makes permits, for a principal"
        try:
            told = await do(tasks(), permit.principal, args)
        except (GatewayError, AuditError) as refused:
            return _answered({"code": refused.code, "detail": str(refused)}, failed=True)
        return _answered(told, failed=told.get("state") in {"denied", "failed", "cancelled"})

    return handle


async def _list(tasks: Tasks, who: Principal, _: Mapping[str, Json]) -> dict[str, Json]:
    agents: list[Json] = [
        {"name": name, "description": str(tool.definition.get("description", ""))}
        for name, tool in tasks.agents(who).items()
    ]
    made: list[Json] = [{"name": each.name, "ends": each.ends} for each in tasks.made(who)]
    return {"agents": [*agents, *made]}


async def _invoke(tasks: Tasks, who: Principal, args: Mapping[str, Json]) -> dict[str, Json]:
    run = await tasks.begin(who, cast("str", args["agent"]), args["task"], key=None)
    return await _told(tasks, run, args)


async def _transcript(tasks: Tasks, who: Principal, args: Mapping[str, Json]) -> dict[str, Json]:
    run = tasks.find(who, cast("str", args["task"]))
    told = await _told(tasks, run, {"wait_s": 0, **args})
    return {**told, "steps": tasks.transcript(run)}


async def _create(tasks: Tasks, who: Principal, args: Mapping[str, Json]) -> dict[str, Json]:
    members = {name: value for name, value in args.items() if name != "keep_s"}
    made = await tasks.make(who, members, cast("int", args.get("keep_s", _KEEP_S)))
    return {"agent": made.name, "ends": made.ends}


async def _told(tasks: Tasks, run: Run, args: Mapping[str, Json]) -> dict[str, Json]:
    """How a task stands, when it is over or waits for people, or after the time to wait."""
    wait_s = cast("int", args.get("wait_s", _WAIT_S))
    progress = await tasks.wait(run, lambda p: p.state == "waiting", most_s=wait_s)
    told: dict[str, Json] = {"task": run.id, "state": progress.state, **_why(progress)}
    return told if progress.state != "done" else {**told, "answer": await tasks.answer(run)}


def _why(progress: Progress) -> dict[str, Json]:
    said: dict[str, Json] = {"detail": progress.detail} if progress.detail else {}
    if progress.approval is not None:
        said |= {"approval": progress.approval, "expires": progress.expires}
    return said


def _answered(told: dict[str, Json], *, failed: bool) -> Answered:
    text: Json = {"type": "text", "text": dump(told).decode()}
    return Answered({"content": [text], "structuredContent": told, "isError": failed})


_DOORS: Mapping[str, _Door] = {
    "list": _list,
    "invoke": _invoke,
    "transcript": _transcript,
    "create": _create,
}

_NAME: Json = {"type": "string", "minLength": 1, "maxLength": 80}
_SECONDS: Json = {
    "type": "integer",
    "minimum": 0,
    "maximum": MOST_WAIT_S,
    "description": "How long to wait for an answer. Without one by then: ask for the transcript.",
}
_ABOUT: Mapping[str, tuple[str, dict[str, Json], list[Json]]] = {
    "list": ("The agents that you may have do something.", {}, []),
    "invoke": (
        "Have another agent do something. Its answer, or the id of the task that goes on.",
        {"agent": _NAME, "task": {}, "wait_s": _SECONDS},
        ["agent", "task"],
    ),
    "transcript": (
        "How a task that you gave stands: its steps, and its answer when there is one.",
        {"task": _NAME, "wait_s": _SECONDS},
        ["task"],
    ),
    "create": (
        "Make an agent for a while: a model with instructions, and some of your own tools.",
        {
            "model": _NAME,
            "instructions": {"type": "string", "minLength": 1, "maxLength": 64_000},
            "tools": {"type": "array", "items": {"type": "string"}, "maxItems": 128},
            "max_turns": {"type": "integer", "minimum": 1, "maximum": 100},
            "max_output": {"type": "integer", "minimum": 1, "maximum": 1_000_000},
            "keep_s": {"type": "integer", "minimum": 1, "maximum": 86_400},
        },
        ["model", "instructions"],
    ),
}


def _definition(name: str) -> dict[str, Json]:
    description, properties, required = _ABOUT[name]
    return {
        "name": name,
        "description": description,
        "inputSchema": {
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": False,
        },
    }
