"""The context: what a pattern is given, and everything that it can do.

A pattern calls (`call`), calls several at once and waits for all (`fan`) or for enough of them
(`race`), asks people (`human`) and lets time pass (`wait`).
Each call is one checkpoint, whose body crosses the gate; a branch that has steps of its own is a
task of its own, so that no two of them draw checkpoints from one sequence. Everything else that a
pattern does must follow from what these gave it: after a crash it is done again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from typing import cast

from gateway.links.jsonrpc import dump
from gateway.runs.run import Json
from gateway.runs.step import Step
from orchestration.around import Around
from orchestration.lease import Lease
from orchestration.parts import Agent, Approve, Part, Prompt, Tool
from orchestration.place import Place
from orchestration.race import Enough, verdict
from orchestration.reach import Told, addressed, opened, reached
from orchestration.spec import Guard
from orchestration.stop import Stopped
from orchestration.tripwires import checked

_SHORT = frozenset({"run.calls", "run.tokens", "run.cost"})
"""Codes of stops for which nothing was set aside."""


@dataclass(frozen=True, slots=True)
class Job:
    """One branch: a node, what it is given, and its name among the others."""

    node: Part
    value: Json
    label: str


class Context:
    """What can be done at one place in a run."""

    def __init__(self, around: Around, place: Place) -> None:
        self.around = around
        self.place = place
        self._made = 0

    @property
    def path(self) -> str:
        """Where it is."""
        return self.place.path

    async def call(self, node: Part, value: Json, label: str | None = None) -> Json:
        """Have one node done. Raises Stopped."""
        path = self._next(label or label_of(node))
        if not isinstance(node, Agent | Tool | Approve):
            return await self.around.perform(self._below(path), node, value)
        value = self.around.instead.get(path, value)
        if isinstance(node, Tool):
            await self._check(node, path, value)
        answer = opened(await self._step(node, path, value))
        inside = self.around.inside.get(node.name) if isinstance(node, Agent) else None
        if inside is None:
            return answer
        return await self.around.perform(self._below(path, grant=path), inside, value)

    async def fan(self, jobs: Sequence[Job], *, max_parallel: int) -> list["Json | Stopped"]:
        """Have several nodes done at once; what each gave, in their order."""
        told = await asyncio.gather(*self._branches(jobs, max_parallel).values())
        self._take_back(told)
        results = [_given(each) for each in told]
        for result in results:
            if isinstance(result, Stopped) and result.reason == "tripped":
                raise result  # it halts the run, whatever is done with branches that stop
        return results

    async def race(self, jobs: Sequence[Job], enough: Enough, *, max_parallel: int) -> list[Json]:
        """Have several nodes done at once until enough have succeeded; what these gave, in order.

        The others are cut: what they have under way is let end, and no further step of theirs is
        made. Nothing comes back of what was set aside for them, since how much that would be is
        not the same after a crash; so as much as for each stays here. Raises Stopped.
        """
        if len(jobs) < enough.count:
            raise self.failed("enough", f"{enough.count} are to succeed, of {len(jobs)}")
        aside, hop, run = self.around.aside, self.around.hop, self.around.run
        assert aside is not None, "whoever performs a task holds its races"
        branches = self._branches(jobs, max_parallel, shares_kept=1)
        tasks = {path: aside.create_task(branch) for path, branch in branches.items()}
        place = self._next("enough")

        async def over() -> Json:
            return await verdict(hop, run, place, tasks, enough)

        # In a task too: its checkpoint is then drawn behind those of all branches.
        given: Json = [*tasks, enough.count, enough.accept]
        said = await aside.create_task(self._checkpoint(place, given, over))
        won = opened(cast("Told", said))
        told = [await tasks[path] for path in cast("list[str]", won)]
        self._take_back(told)
        return [opened(each) for each in told]

    def guarded(self, guard: Guard) -> "Context":
        """A place below in which every tool has to pass the checks of a guard, too."""
        guards = (*self.place.guards, guard) if guard.tools else self.place.guards
        path = self._next("guarded")
        return Context(self.around, replace(self.place, path=path, guards=guards))

    def checking(self) -> "Context":
        """A place below for a check, which is not checked itself."""
        return Context(self.around, replace(self.place, path=self._next("check"), guards=()))

    async def human(self, by: str, question: str, about: Json) -> bool:
        """Ask people; whether they agree. Raises Stopped for anything but a yes or a no."""
        node = Approve(by=by, question=question, otherwise="go-on")
        answer = opened(await self._step(node, self._next(f"ask-{by}"), about))
        return cast("dict[str, bool]", answer)["approved"]

    async def tools(self, names: Sequence[str]) -> dict[str, Json]:
        """Those of the tools that may be used here, by the name a model knows them by."""
        hop, run = self.around.hop, self.around.run

        async def found() -> Json:
            return cast("Json", await hop.tools(run, self.place.grant, names))

        told = await self._checkpoint(self._next("tools"), list[Json](names), found)
        return cast("dict[str, Json]", told)

    async def ask(
        self, node: Prompt, messages: Sequence[Json], tools: Sequence[Json]
    ) -> dict[str, Json]:
        """Ask a model once; its message. Raises Stopped.

        What it can use at most is set aside before: a token is a byte at least.
        """
        path = self._next(f"model.{node.model}")
        args: dict[str, Json] = {
            "messages": [*messages],
            "tools": [*tools],
            "max_tokens": node.max_output,
        }
        most = len(dump(args)) + node.max_output
        dearest = max(node.price_read, node.price_written)
        cost = -(-most * dearest // 1_000_000)
        told = await self._step(
            Tool(name=f"model.{node.model}"), path, args, tokens=most, cost=cost
        )
        try:
            answer = cast("dict[str, Json]", opened(told))
        except Stopped as stopped:
            if stopped.reason != "unknown" and stopped.code not in _SHORT:
                self._settle(path, tokens=most, cost=cost)
            raise
        used, paid = cast("int", answer["tokens"]), cast("int", answer["cost"])
        self._settle(path, tokens=max(0, most - used), cost=max(0, cost - paid))
        return cast("dict[str, Json]", answer["message"])

    async def wait(self, seconds: int) -> None:
        """Let time pass; after a crash no more than is left of it. Raises Stopped."""
        hop, run, path = self.around.hop, self.around.run, self._next("wait")

        async def until() -> Json:
            return hop.now_s + seconds

        ends = cast("int", await self._checkpoint(f"{path}/until", seconds, until))

        async def slept() -> Json:
            return await hop.sleep(run, path, min(ends, self.around.until_s))

        if not await self._checkpoint(f"{path}/slept", ends, slept):
            raise Stopped("cancelled", "the wait was cut short", at=path, code="run.cancelled")
        if ends > self.around.until_s:
            raise self.exhausted("wall", "the time of the run is up")

    def exhausted(self, what: str, detail: str) -> Stopped:
        """A bound of this place is reached; to be raised."""
        return Stopped("exhausted", detail, at=self.path, code=f"run.{what}")

    def failed(self, what: str, detail: str) -> Stopped:
        """An answer that makes no sense; to be raised."""
        return Stopped("failed", detail, at=self.path, code=f"run.{what}")

    def tripped(self, what: str, detail: str) -> Stopped:
        """Something of the flow says stop; to be raised."""
        return Stopped("tripped", detail, at=self.path, code=f"run.{what}")

    async def _check(self, node: Tool, path: str, value: Json) -> None:
        """Let the guards look at a call before it is made. Raises Stopped."""
        for guard in self.place.guards:
            _, _, args = addressed(node, value, at=path)
            await checked(
                self, guard, guard.tools, {"check": "tool", "tool": node.name, "args": args}
            )

    # -- one step ---------------------------------------------------------------------------

    async def _step(
        self,
        node: Part,
        path: str,
        value: Json,
        turn: asyncio.Semaphore | None = None,
        *,
        tokens: int = 0,
        cost: int = 0,
    ) -> Told:
        """Make one step as a checkpoint, which is drawn before anything is waited for."""
        value = self.around.instead.get(path, value)
        try:
            server, tool, args = addressed(node, value, at=path)
            if not self._reuses(path):  # what is taken over was paid for there
                self.place.lease.take(at=path, tokens=tokens, cost=cost)
        except Stopped as stopped:
            return {"stopped": stopped.to_json()}
        hop, inside = self.around.hop, self.around.inside
        run, grant = self.around.run, self.place.grant
        step = Step(run, grant, path, server, tool, args, self.around.until_s)
        hand_to = node.name if isinstance(node, Agent) and node.name in inside else None

        async def made() -> Json:
            return await reached(hop, step, node, value, hand_to=hand_to)

        given: Json = [grant, server, tool, args]
        return cast("Told", await self._checkpoint(path, given, made, turn))

    def _reuses(self, path: str) -> bool:
        return self.around.hop.reuses(self.around.run, path)

    def _settle(self, path: str, *, tokens: int, cost: int) -> None:
        """Take back what was set aside for a step and not used, where anything was."""
        if not self._reuses(path):
            self.place.lease.settle(tokens=tokens, cost=cost)

    async def _checkpoint(
        self,
        path: str,
        given: Json,
        do: Callable[[], Awaitable[Json]],
        turn: asyncio.Semaphore | None = None,
    ) -> Json:
        reserved = self.around.engine.reserve()  # no await lies between the caller and this
        async with turn or asyncio.Semaphore():
            return await reserved.step(self.around.run, path, given, do)

    # -- parts ------------------------------------------------------------------------------

    def _branches(
        self, jobs: Sequence[Job], max_parallel: int, *, shares_kept: int = 0
    ) -> dict[str, Coroutine[None, None, Told]]:
        """What is to be done at once, by path; of a part it says what that has left.

        shares_kept  how many as large as that of a part stay here
        """
        turn = asyncio.Semaphore(max_parallel)
        parts = sum(not self._is_single(job.node) for job in jobs)
        leases = self._shares(parts, len(jobs) - parts, shares_kept) if parts else []
        branches: dict[str, Coroutine[None, None, Told]] = {}
        for job in jobs:
            path = self._next(job.label)
            if self._is_single(job.node):
                branches[path] = self._step(job.node, path, job.value, turn)
            else:
                branches[path] = self._part(job, path, turn, leases.pop())
        return branches

    def _shares(self, parts: int, calls_kept: int, shares_kept: int) -> list[Lease]:
        shares = self.place.lease.split(parts + shares_kept, keep=calls_kept)
        for share in shares[parts:]:
            self.place.lease.give_back(share)
        return shares[:parts]

    def _take_back(self, told: Sequence[Told]) -> None:
        for each in told:
            if "left" in each:
                self.place.lease.give_back(Lease.from_json(each["left"]))

    async def _part(self, job: Job, path: str, turn: asyncio.Semaphore, lease: Lease) -> Told:
        if self.place.depth < 1:
            return {"stopped": self._too_deep(path).to_json(), "left": lease.to_json()}
        place = replace(self.place, path=path, lease=lease, depth=self.place.depth - 1)
        task = self.around.task(place, job.node, job.value)

        async def ended() -> Json:
            return await self.around.engine.end_of(task)

        return cast("Told", await self._checkpoint(path, task.what, ended, turn))

    def _is_single(self, node: Part) -> bool:
        if isinstance(node, Agent):
            return node.name not in self.around.inside
        return isinstance(node, Approve) or (isinstance(node, Tool) and not self.place.guards)

    def _below(self, path: str, *, grant: str | None = None) -> "Context":
        if self.place.depth < 1:
            raise self._too_deep(path)
        grant = self.place.grant if grant is None else grant
        place = replace(self.place, path=path, grant=grant, depth=self.place.depth - 1)
        return Context(self.around, place)

    def _too_deep(self, path: str) -> Stopped:
        detail = "agents and parts lie too deep in each other"
        return Stopped("exhausted", detail, at=path, code="run.depth")

    def _next(self, label: str) -> str:
        self._made += 1
        place = f"{self._made}:{label}"
        return f"{self.path}/{place}" if self.path else place


def _given(told: Told) -> "Json | Stopped":
    try:
        return opened(told)
    except Stopped as stopped:
        return stopped


def label_of(node: Part) -> str:
    """How a node is called in paths where it has no name of its own there."""
    if isinstance(node, Agent | Tool):
        return node.name
    return str(getattr(node, "kind", "node"))
