"""The context: what a pattern is given, and everything that it can do.

A pattern calls (`call`), calls several at once and waits for all (`fan`) or for enough of them
(`race`), asks people (`human`) and tells whoever watches (`emit`).
Each call is one checkpoint, whose body crosses the gate; a branch that has steps of its own is a
task of its own, so that no two of them draw checkpoints from one sequence. Everything else that a
pattern does must follow from what these gave it: after a crash it is done again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from typing import cast

from gateway.runs.errors import RunRefused
from gateway.runs.progress import Saying
from gateway.runs.reference import references
from gateway.runs.run import Json
from gateway.runs.step import Step
from orchestration.around import Around
from orchestration.lease import Lease
from orchestration.parts import Agent, Approve, Part, Tool
from orchestration.place import Place
from orchestration.race import Enough, verdict
from orchestration.reach import Told, addressed, narrowed, opened, reached
from orchestration.spec import Guard
from orchestration.stop import Stopped
from orchestration.tripwires import checked


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
        self._said = 0

    @property
    def path(self) -> str:
        """Where it is."""
        return self.place.path

    async def call(
        self, node: Part, value: Json, label: str | None = None, *, opens: bool | None = None
    ) -> Json:
        """Have one node done. Raises Stopped.

        opens  whether references are what they stand for, to whoever does it; None: as here
        """
        opens = self.place.opens if opens is None else opens
        path = self.next(label or label_of(node))
        if not isinstance(node, Agent | Tool | Approve):
            return await self.around.perform(self._below(path, opens=opens), node, value)
        value = self.around.instead.get(path, value)
        if isinstance(node, Tool):
            await self._check(node, path, value)
        answer = opened(await self.step(node, path, value, opens=opens))
        inside = self.around.inside.get(node.name) if isinstance(node, Agent) else None
        if inside is None:
            return answer
        return await self.around.perform(self._below(path, grant=path, opens=opens), inside, value)

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
        place = self.next("enough")

        async def over() -> Json:
            return await verdict(hop, run, place, tasks, enough)

        # In a task too: its checkpoint is then drawn behind those of all branches.
        given: Json = [*tasks, enough.count, enough.accept]
        said = await aside.create_task(self.checkpoint(place, given, over))
        won = opened(cast("Told", said))
        told = [await tasks[path] for path in cast("list[str]", won)]
        self._take_back(told)
        return [opened(each) for each in told]

    def guarded(self, guard: Guard) -> "Context":
        """A place below in which every tool has to pass the checks of a guard, too."""
        guards = (*self.place.guards, guard) if guard.tools else self.place.guards
        path = self.next("guarded")
        return Context(self.around, replace(self.place, path=path, guards=guards))

    def checking(self) -> "Context":
        """A place below for a check, which is not checked itself."""
        return Context(self.around, replace(self.place, path=self.next("check"), guards=()))

    async def whole(self, value: Json) -> Json:
        """A value with what its references stand for. Raises Stopped.

        What a run is given by this is held while it goes on, and stored nowhere.
        """
        if next(references(value), None) is None:
            return value
        try:
            return await self.around.hop.whole(self.around.run, self.place.grant, value)
        except RunRefused as refused:
            raise Stopped("refused", str(refused), at=self.path, code=refused.code) from refused

    async def bounded(self, lease: Lease, wall_s: int | None, refers: int) -> "Context":
        """This place with a lease and a time of its own; to be used in its stead from now on.

        wall_s  how long it has from the first time on, in seconds; None: as long as here
        refers  bytes from which on results are referred to
        """
        around = self.around
        if wall_s is not None:
            hop, most = around.hop, around.until_s

            async def until() -> Json:
                return min(hop.now_s + wall_s, most)

            ends = await self.checkpoint(f"{self.path}/until", wall_s, until)
            around = replace(around, until_s=cast("int", ends))
        return Context(around, replace(self.place, lease=lease, refers=refers))

    async def lent(self, tools: Sequence[str]) -> "Context":
        """A place below, in whose name nothing but these may be used. Raises Stopped."""
        hop, run, grant, path = (
            self.around.hop,
            self.around.run,
            self.place.grant,
            self.next("work"),
        )

        async def made() -> Json:
            return await narrowed(hop, run, grant, path, tools)

        opened(cast("Told", await self.checkpoint(path, [grant, *tools], made)))
        return Context(self.around, replace(self.place, path=path, grant=path))

    async def human(self, by: str, question: str, about: Json) -> bool:
        """Ask people; whether they agree. Raises Stopped for anything but a yes or a no."""
        node = Approve(by=by, question=question, otherwise="go-on")
        answer = opened(await self.step(node, self.next(f"ask-{by}"), about))
        return cast("dict[str, bool]", answer)["approved"]

    async def tools(self, names: Sequence[str]) -> dict[str, Json]:
        """Those of the tools that may be used here, by the name a model knows them by."""
        hop, run = self.around.hop, self.around.run

        async def found() -> Json:
            return cast("Json", await hop.tools(run, self.place.grant, names))

        told = await self.checkpoint(self.next("tools"), list[Json](names), found)
        return cast("dict[str, Json]", told)

    async def emit(self, event: str, *, data: Json = None, **facts: int | str) -> None:
        """Let whoever watches the run know something. Raises Stopped.

        facts  small numbers, and names that the flow itself gives
        """
        self._said += 1
        saying = Saying(path=self.path, number=self._said, event=event, facts=facts, data=data)
        try:
            await self.around.hop.say(self.around.run, saying)
        except RunRefused as refused:
            raise Stopped("failed", str(refused), at=self.path, code=refused.code) from refused

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

    async def step(
        self,
        node: Part,
        path: str,
        value: Json,
        turn: asyncio.Semaphore | None = None,
        *,
        tokens: int = 0,
        cost: int = 0,
        opens: bool = True,
    ) -> Told:
        """Make one step as a checkpoint, which is drawn before anything is waited for."""
        value = self.around.instead.get(path, value)
        try:
            server, tool, args = addressed(node, value, at=path)
            if not self.reuses(path):  # what is taken over was paid for there
                self.place.lease.take(at=path, tokens=tokens, cost=cost)
        except Stopped as stopped:
            return {"stopped": stopped.to_json()}
        hop, inside = self.around.hop, self.around.inside
        run, grant, until_s = self.around.run, self.place.grant, self.around.until_s
        refers = self.place.refers if opens else None  # what who plans says is to be read here
        step = Step(run, grant, path, server, tool, args, until_s, refers, opens)
        hand_to = node.name if isinstance(node, Agent) and node.name in inside else None

        async def made() -> Json:
            return await reached(hop, step, node, value, hand_to=hand_to)

        given: Json = [grant, server, tool, args]
        return cast("Told", await self.checkpoint(path, given, made, turn))

    def reuses(self, path: str) -> bool:
        """Whether a step is taken over by a fork, which has paid for it elsewhere."""
        return self.around.hop.reuses(self.around.run, path)

    async def checkpoint(
        self,
        path: str,
        given: Json,
        do: Callable[[], Awaitable[Json]],
        turn: asyncio.Semaphore | None = None,
    ) -> Json:
        """What `do` gave when it was first done at this path, with what is `given`."""
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
            path = self.next(job.label)
            if self._is_single(job.node):
                opens = self.place.opens
                branches[path] = self.step(job.node, path, job.value, turn, opens=opens)
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

        return cast("Told", await self.checkpoint(path, task.what, ended, turn))

    def _is_single(self, node: Part) -> bool:
        if isinstance(node, Agent):
            return node.name not in self.around.inside
        return isinstance(node, Approve) or (isinstance(node, Tool) and not self.place.guards)

    def _below(self, path: str, *, opens: bool, grant: str | None = None) -> "Context":
        if self.place.depth < 1:
            raise self._too_deep(path)
        below = replace(self.place, path=path, depth=self.place.depth - 1, opens=opens)
        return Context(self.around, below if grant is None else replace(below, grant=grant))

    def _too_deep(self, path: str) -> Stopped:
        detail = "agents and parts lie too deep in each other"
        return Stopped("exhausted", detail, at=path, code="run.depth")

    def next(self, label: str) -> str:
        """The path of what is done next here."""
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
