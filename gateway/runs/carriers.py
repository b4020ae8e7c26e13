"""Carriers: which worker carries which run, for as long as it is heard of.

A worker is an agent that the deployment lets carry the runs of a pool. It has no right of its own
by that: what it may ask for is what the runs it carries ask for, decided like every step of them.
Its lease is renewed by each beat and whatever else it asks; when it has lapsed, nothing of the
worker is listened to any more, and its runs are another's. Time is counted in which the gateway
listened (`Listening`): who could not be heard because it was busy is not gone. Nothing here
outlives the gateway: workers come again.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from gateway.runs.errors import RunRefused

LEASE_S = 5.0
BEAT_S = 0.5
"""How often a worker is to be heard of."""

LOOK_EVERY_S = 0.25
"""How often it is looked who is gone."""

MOST_WORKERS = 256


@dataclass(slots=True)
class Listening:
    """Seconds for which this process has listened; it is told at least every LOOK_EVERY_S."""

    seconds: float = 0.0

    def passed(self, elapsed_s: float) -> None:
        """Time went by since this was told last; what was more than twice the usual was a stall."""
        self.seconds += min(elapsed_s, 2 * LOOK_EVERY_S)


@dataclass(slots=True)
class _Worker:
    agent: str
    until: float
    runs: set[str] = field(default_factory=set)


class Carriers:
    """The workers of one gateway.

    agents   by pool, those that may carry its runs
    clock    seconds that only grow
    waiting  by pool, runs that no worker has yet and the seconds of the oldest, when last counted
    """

    def __init__(self, agents: Mapping[str, frozenset[str]], clock: Callable[[], float]) -> None:
        self.waiting: Mapping[str, tuple[int, float]] = dict.fromkeys(agents, (0, 0.0))
        self._agents = agents
        self._clock = clock
        self._workers: dict[str, _Worker] = {}  # by executor
        self._before: dict[str, float] = {}  # executors of an earlier start, until when to wait

    @property
    def pools(self) -> tuple[str, ...]:
        """The names of all pools."""
        return tuple(self._agents)

    def expect(self, executors: Iterable[str]) -> None:
        """Give workers that carried runs before this start time to come again."""
        until = self._clock() + 2 * LEASE_S
        self._before |= {each: until for each in executors if each not in self._workers}

    def beat(self, agent: str, executor: str, pools: Iterable[str]) -> None:
        """A worker is there. Raises RunRefused where it may not carry what it wants to."""
        if any(agent not in self._agents.get(pool, ()) for pool in pools):
            raise RunRefused("run.pool", f"{agent} carries no runs of this pool")
        worker = self._workers.get(executor)
        if worker is None and len(self._workers) >= MOST_WORKERS:
            raise RunRefused("run.pool", f"there are {MOST_WORKERS} workers")
        if worker is None:
            worker = self._workers[executor] = _Worker(agent, 0.0)
        if worker.agent != agent:
            raise RunRefused("run.not-carried", "this name is another worker's")
        worker.until = self._clock() + LEASE_S
        self._before.pop(executor, None)

    def take(self, agent: str, executor: str, pool: str, run: str) -> None:
        """A worker was given a run by its queue. Raises RunRefused where that cannot be."""
        worker = self._live(agent, executor)
        if agent not in self._agents.get(pool, ()):
            raise RunRefused("run.pool", f"{agent} carries no runs of this pool")
        self.drop(run)  # whoever had it before
        worker.runs.add(run)

    def heard(self, agent: str, executor: str) -> None:
        """A worker asks for something. Raises RunRefused where it was not heard of for too long."""
        self._live(agent, executor).until = self._clock() + LEASE_S

    def check(self, agent: str, executor: str, run: str) -> None:
        """Raise RunRefused unless that worker carries the run now."""
        if run not in self._live(agent, executor).runs:
            raise RunRefused("run.not-carried", "this worker does not carry the run")

    def drop(self, run: str) -> None:
        """Nobody carries this run."""
        for worker in self._workers.values():
            worker.runs.discard(run)

    def leave(self, agent: str, executor: str) -> None:
        """A worker goes away by itself; its runs are another's at once."""
        self._live(agent, executor).until = 0.0

    def lapsed(self) -> tuple[str, ...]:
        """Executors that are gone since this was asked last; nothing of them counts any more."""
        now = self._clock()
        gone = [each for each, worker in self._workers.items() if worker.until <= now]
        missing = [each for each, until in self._before.items() if until <= now]
        for executor in gone:
            del self._workers[executor]
        for executor in missing:
            del self._before[executor]
        return (*gone, *missing)

    def count(self) -> int:
        """How many workers there are."""
        return len(self._workers)

    def _live(self, agent: str, executor: str) -> _Worker:
        worker = self._workers.get(executor)
        if worker is None or worker.agent != agent or worker.until <= self._clock():
            raise RunRefused("run.not-carried", "this worker has not been heard of for too long")
        return worker
