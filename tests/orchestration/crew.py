"""A gateway whose runs are carried by workers, each a process of its own that can be killed."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import yaml

from gateway.runs.spec import PoolSpec
from orchestration.flow import Flow
from orchestration.service import Flows
from orchestration.store import Store
from tests.harness.client import key_of, registered
from tests.harness.gateway import running
from tests.harness.program import Program
from tests.orchestration.house import Agents, House, Kept, policy

ORIGIN = "gw.example/log"
WORKER = "porter"
POOL = "crew"
LONGEST_S = 60


class Crew(House):
    """The gateway, and its workers by name."""

    folder: Path
    database: str

    def __init__(self, *given: Any, folder: Path, database: str) -> None:  # noqa: ANN401 - a House's
        super().__init__(*given)
        self.folder, self.database = folder, database
        self.workers: dict[str, Program] = {}

    async def hire(self, *names: str) -> None:
        """Start workers, and wait until the gateway has heard of each."""
        before = self.service.work
        assert before is not None
        present = before.carriers.count() + len(names)
        for name in names:
            self.workers[name] = self._started(name)
        await self.gateway.until(lambda: before.carriers.count() >= present or self._one_died())
        assert not self._one_died(), self.said(*names)

    def kill(self, name: str) -> None:
        """End a worker as a power cut would."""
        self.workers[name].send_signal(signal.SIGKILL)

    async def stop(self, name: str) -> int:
        """End a worker as an operator would; its exit code."""
        self.workers[name].send_signal(signal.SIGTERM)
        return await self.workers[name].wait()

    def pause(self, name: str) -> None:
        """Let a worker stand still, as a machine that swaps."""
        self.workers[name].send_signal(signal.SIGSTOP)

    def wake(self, name: str) -> None:
        """Let it go on."""
        self.workers[name].send_signal(signal.SIGCONT)

    def said(self, *names: str) -> str:
        """What workers wrote."""
        return "\n".join((self.folder / f"{name}.log").read_text() for name in names)

    def _one_died(self) -> bool:
        return any(each.returncode is not None for each in self.workers.values())

    def _started(self, name: str) -> Program:
        command = ["worker", "--config", str(self._config())]
        command += ["--pools", POOL, "--agent", WORKER, "--key", f"file:{self.folder / 'key.pem'}"]
        said = self.folder / f"{name}.log"
        return Program.start(*command, said=said, environment={"RUNS_DATABASE": self.database})

    def _config(self) -> Path:
        key = self.folder / "key.pem"
        key.touch(mode=0o600)
        key.write_bytes(key_of(WORKER).pem)
        config = self.folder / "worker.yaml"
        written = {
            "apiVersion": "passavant/v1",
            "kind": "Gateway",
            "public_url": self.gateway.url,
            "policy": ["none.yaml"],
            "audit": {"origin": ORIGIN},
            "runs": {"database": "env:RUNS_DATABASE", "pools": {POOL: {"workers": [WORKER]}}},
        }
        config.write_text(yaml.safe_dump(written))
        return config


def carried(node: Any, **more: Any) -> Flow:  # noqa: ANN401 - as written
    """A flow of this node whose runs are carried by the crew."""
    return Flow.model_validate({"name": "job", "flow": node, "pool": POOL, **more})


@asynccontextmanager
async def crew(
    folder: Path,
    database: str,
    flow: Flow,
    agents: Agents,
    *,
    questions: int = 50,
    beside: Flow | None = None,
    at: str = "127.0.0.1:0",
    **places: int,
) -> AsyncIterator[Crew]:
    """A gateway with this flow and no worker yet; those that are hired end with it.

    beside  another flow, which may reach the same agents
    at      its address: that of an earlier start, for workers that still know it
    """
    store = Store.parse(database, origin=ORIGIN)
    pools = {POOL: PoolSpec.model_validate({"workers": [WORKER], **places})}
    flows = [flow] if beside is None else [flow, beside]
    kept = Kept(Flows(flows, agents.local(), store=store, pools=pools))
    more, rule = f"  {WORKER}: {{}}\n", ""
    names = [agent.name for agent in agents.local()]
    if beside is not None:
        more += f"  {beside.name}: {{}}\n"
        reached = ", ".join(f"agents.{name}" for name in names)
        rule = f"  - {{id: beside, agents: [{beside.name}], tools: [{reached}], effect: allow}}\n"
    rules = policy(*names, more=more, rules=rule)
    text = "\n".join(line for line in rules.split("\n") if "desk" not in line)
    settings = {**registered(folder / "clients", [WORKER]), "guards": {"questions": questions}}
    async with running(
        folder / "gw", text, None, orchestration=kept, settings=settings, at=at
    ) as gateway:
        assert kept.service is not None
        assert kept.hop is not None
        found = Crew(gateway, kept.service, kept.hop, folder=folder, database=database)
        try:
            yield found
        finally:
            await _ended(found)


async def _ended(crew: Crew) -> None:
    for process in crew.workers.values():
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGKILL)
    async with asyncio.timeout(LONGEST_S):
        await asyncio.gather(*(each.wait() for each in crew.workers.values()))
