"""A gateway process that runs a flow, and is killed when a chosen call reaches its upstream.

Agents of the flow are tools of an upstream that survives: it answers by their script, and notes
all that ever reached it. A call is noted before the process is killed, so the kill lies between
what was sent and what was recorded of it: the hardest place of every step.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.gateway.links.http_upstream import Heard, answer
from tests.harness.child import Child, child
from tests.harness.upstream import Desk, tool

Says = Callable[[Any], Any]


class Stage(Desk):
    """An upstream whose tools answer by a script; `asked` is what reached it, in order."""

    def __init__(self, says: Mapping[str, Says]) -> None:
        super().__init__(*(tool(name, "task", task={}) for name in says))
        self._says = says
        self.asked: list[tuple[str, Any]] = []
        self.kill_at: int | None = None
        self.kill: Callable[[], None] = lambda: None

    async def _called(self, heard: Heard, writer: asyncio.StreamWriter) -> None:
        params = json.loads(heard.body)["params"]
        name, task = params["name"], params["arguments"]["task"]
        self.asked.append((name, task))
        if len(self.asked) == self.kill_at:
            self.kill()
            return
        said = self._says[name](task)
        result: dict[str, Any] = {
            "content": [{"type": "text", "text": json.dumps(said)}],
            "structuredContent": {"result": said},
            "isError": False,
            "resultType": "complete",
        }
        writer.write(answer(heard, result))
        await writer.drain()


def policy(names: list[str], risk: str) -> str:
    tools = "".join(f"  stage.{name}: {{risk: {risk}, emits: []}}\n" for name in names)
    reached = ", ".join(f"stage.{name}" for name in names)
    return f"""\
apiVersion: passavant/v1
kind: Policy
name: stage
default: deny
users: {{default: unrestricted}}
agents: {{job: {{}}}}
tools:
{tools}rules:
  - {{id: plays, agents: [job], tools: [{reached}], effect: allow}}
"""


def on_stage(node: Any) -> Any:  # noqa: ANN401 - as written
    """A node whose agents are tools of the stage: names become calls of them."""
    if isinstance(node, str):
        return {"tool": {"name": f"stage.{node}", "args": {"task": {"from": ""}}}}
    if isinstance(node, list | tuple):
        return [on_stage(each) for each in node]
    ((kind, members),) = node.items()
    if kind == "emit":
        return node
    if isinstance(members, list):
        return {kind: on_stage(members)}
    names = {"each", "manager", "maker", "checker", "moderator", "classifier", "branches"}
    names |= {"of", "checks"}
    groups = {"workers", "team", "members", "agents", "routes"}
    written = dict(members)
    for name in names & members.keys():
        written[name] = on_stage(members[name])
    for name in groups & members.keys():
        written[name] = {each: on_stage(inner) for each, inner in members[name].items()}
    return {kind: written}


def flow_file(folder: Path, node: Any) -> Path:  # noqa: ANN401 - as written
    """The file of a flow named `job`, whose agents are on the stage."""
    file = folder / "job.flow.yaml"
    written = {"apiVersion": "passavant/v1", "kind": "Flow", "name": "job", "flow": on_stage(node)}
    file.write_text(yaml.safe_dump(written))
    return file


@asynccontextmanager
async def played(
    folder: Path,
    node: Any,  # noqa: ANN401 - as written
    says: Mapping[str, Says],
    *,
    risk: str,
) -> AsyncIterator[tuple[Child, Stage]]:
    """A gateway process with this flow, and the stage that its agents are on."""
    file = flow_file(folder, node)
    async with Stage(says) as stage:
        text = policy(list(says), risk)
        settings = {"flows": [str(file)]}
        async with child(folder, text, {"stage": stage}, settings) as gateway:
            yield gateway, stage


async def ended(gateway: Child, run: str) -> dict[str, Any]:
    """The run, when it is over."""
    async with asyncio.timeout(180):
        while True:
            found: dict[str, Any] = (await gateway.operate("GET", f"/api/runs/{run}")).json()
            if found["state"] == "ended":
                output = (await gateway.operate("GET", f"/api/runs/{run}/output")).json()
                return {**found, **output}
            await asyncio.sleep(0.05)  # another process has no event
