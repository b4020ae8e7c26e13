"""Agents of flows: what they are to the catalogue, and how they answer.

To the gate an agent is a tool of the server `agents`: calling it is an action that a rule must
allow, with its arguments on record. An agent that answers in one piece does so behind that call.
One that has steps of its own (a flow, or a model with tools) is only announced by it: what it then
does crosses the gate in its own name, step by step.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from gateway.links.link import Answered, Permit
from gateway.links.local import Handler, LocalLink, OwnTool
from gateway.runs.run import Json

Answer = Callable[[Json], Awaitable[Json]]
"""What an agent makes of its task. Raises AgentFailed where it says itself that it failed."""

ANNOUNCED: dict[str, Json] = {
    "content": [{"type": "text", "text": "accepted"}],
    "structuredContent": {"accepted": True},
    "isError": False,
}


_ALONE: dict[str, Json] = {
    "content": [{"type": "text", "text": "This goes by agents__invoke. Nothing was done."}],
    "isError": True,
}


class AgentFailed(Exception):
    """An agent says that it failed; the message is its own and goes to the run."""


@dataclass(frozen=True, slots=True)
class LocalAgent:
    """An agent that is a function of this process, brought by the program and never by a file.

    schema  of its task (JSON Schema); {}: anything
    """

    name: str
    answer: Answer = field(repr=False)
    description: str = "An agent of this gateway."
    schema: Mapping[str, Json] = field(default_factory=dict)


def agents_link(
    locals_: Iterable[LocalAgent],
    remote: Mapping[str, Handler] = MappingProxyType({}),
    announced: Mapping[str, str] = MappingProxyType({}),
    *,
    is_run: Callable[[str], bool],
) -> LocalLink:
    """The server `agents`.

    remote     agents that are reached over the network, by what reaches them
    announced  agents that have steps of their own, with what they are said to do
    is_run     whether a run acts in a session: nobody else can wait for what those do
    """
    tools = {each.name: OwnTool(_definition(each), _answering(each)) for each in locals_}
    for name, handle in remote.items():
        tools[name] = OwnTool(_described(name, f"The agent {name}.", {}), handle)
    for name, description in announced.items():
        tools[name] = OwnTool(_described(name, description, {}), _announced(is_run))
    return LocalLink("agents", tools)


def people_link(names: Iterable[str], *, is_run: Callable[[str], bool]) -> LocalLink:
    """The server `approvals`: one tool for each group of people that flows ask.

    Its calls do nothing; what they are for is the question that a rule makes of them.
    """
    announced = _announced(is_run)
    return LocalLink("approvals", {name: OwnTool(_question(name), announced) for name in names})


def _definition(agent: LocalAgent) -> dict[str, Json]:
    return _described(agent.name, agent.description, dict(agent.schema))


def _described(name: str, description: str, schema: dict[str, Json]) -> dict[str, Json]:
    return {
        "name": name,
        "description": description,
        "inputSchema": {"type": "object", "properties": {"task": schema}, "required": ["task"]},
    }


def _question(name: str) -> dict[str, Json]:
    return {
        "name": name,
        "description": f"A question of a flow to {name}.",
        "inputSchema": {
            "type": "object",
            "properties": {"question": {"type": "string"}, "about": {}},
            "required": ["question", "about"],
        },
    }


def _answering(agent: LocalAgent) -> Callable[[dict[str, Json], Permit], Awaitable[Answered]]:
    async def handle(args: dict[str, Json], _: Permit) -> Answered:
        try:
            answer = await agent.answer(args["task"])
        except AgentFailed as error:
            return Answered({"content": [{"type": "text", "text": str(error)}], "isError": True})
        return Answered({"content": [], "structuredContent": {"result": answer}, "isError": False})

    return handle


def _announced(is_run: Callable[[str], bool]) -> Handler:
    async def handle(_args: dict[str, Json], permit: Permit) -> Answered:
        return Answered(ANNOUNCED if is_run(permit.session) else _ALONE)

    return handle
