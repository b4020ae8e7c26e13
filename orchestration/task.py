"""Tasks: what an engine is given to do, and how several processes share the doing."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from gateway.runs.run import Json, request_id


@dataclass(frozen=True, slots=True)
class Task:
    """One node of a run that has steps of its own.

    path   its place in the run; "": the run itself
    what   everything else that it needs; JSON
    """

    run: str
    path: str
    what: Json

    @property
    def id(self) -> str:
        """Its name in the database: the run's, for the run itself."""
        return request_id(self.run, self.path) if self.path else self.run


@dataclass(frozen=True, slots=True)
class Queued:
    """Where a run waits for a worker.

    priority  1 comes first
    starter   who is treated alike with the other starters
    """

    pool: str
    priority: int
    starter: str


@dataclass(frozen=True, slots=True)
class Places:
    """How many runs of a pool one worker carries at once, in all and of one starter."""

    at_once: int
    per_starter: int


@dataclass(frozen=True, slots=True)
class Share:
    """How a process shares the database with others.

    executor  its name, never that of another process, dead or alive
    own       the queue of what it alone goes on with
    pools     those that it makes, with the places that workers have for them
    serves    those whose runs it carries
    admit     is waited for before anything of a run is opened; raises CancelledError where it is
              not this process that carries the run
    """

    executor: str
    own: str
    pools: Mapping[str, Places] = field(default_factory=dict)
    serves: tuple[str, ...] = ()
    admit: Callable[[str], Awaitable[None]] | None = None


def own_queue(executor: str) -> str:
    """The queue of what one worker alone goes on with."""
    return f"worker.{executor}"  # no pool has a dot in its name
