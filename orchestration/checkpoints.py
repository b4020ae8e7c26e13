"""Checkpoints: how DBOS is configured here, and how what it stores is written and read.

Before each step DBOS asks the database whether the step was made before. A workflow that is done
by the very call that has made its row has no steps there: its steps are kept as DBOS keeps them,
and not asked for (`made`).

Nothing stored is ever unpickled: DBOS picks the codec by the row, so its default one is replaced by
a refusal, for the whole process.
"""

import asyncio
import sqlite3
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

from dbos import DBOS, DBOSConfig, Serializer, _serialization
from dbos._dbos import _get_dbos_instance

from gateway.runs.run import place_of
from orchestration.errors import EngineRefused, SealBroken
from orchestration.seal import NAME, Seal
from orchestration.store import Store

T = TypeVar("T")

SEMANTICS = "1"
"""Raised whenever a flow would make its steps in another order: older runs are then not resumed."""

_THREADS = 8  # for the database alone: steps wait on the event loop
_TASK, _ERROR = "task:", "error:"


def configuration(store: Store, executor: str, seal: Seal, *, makes_schema: bool) -> DBOSConfig:
    """How DBOS is opened over a store.

    executor      the name of this process, never that of another one, dead or alive
    makes_schema  it may change the tables; else they must be there
    """
    config: DBOSConfig = {
        "name": "passavant",
        "system_database_url": store.url,
        "executor_id": executor,
        "application_version": SEMANTICS,
        "serializer": Sealed(seal),
        "run_migrations": makes_schema,
        "log_level": "CRITICAL",  # it would print values; what matters is told by whoever runs it
        "max_executor_threads": _THREADS,
        "scheduler_polling_interval_sec": 3600.0,
        "notification_listener_polling_interval_sec": 0.25,  # nothing listens; closing waits for it
    }
    if store.file is None:
        return {**config, "dbos_system_schema": store.schema}
    # A connection to a file does not go stale: it need not be tried before each use.
    engine = {"creator": partial(_connected, store.file), "pool_pre_ping": False}
    return {**config, "db_engine_kwargs": engine}


def _connected(file: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(file, timeout=30, check_same_thread=False)
    # A crash of the machine may lose the last checkpoints; the log still has those steps.
    connection.execute("PRAGMA synchronous=NORMAL")
    return connection


async def made(step_id: int, name: str, do: Callable[[], Awaitable[T]]) -> T:
    """Make a step of a workflow of which nothing is stored, and keep what it gave or raised.

    step_id  drawn before (`DBOS.reserve_step`)

    Raises whatever `do` does. Where somebody else has the workflow by now, DBOS ends it here.
    """
    began_ms = time.time_ns() // 1_000_000
    try:
        value = await do()
    except Exception as error:
        await asyncio.to_thread(_keep, step_id, name, began_ms, error=error)
        raise
    await asyncio.to_thread(_keep, step_id, name, began_ms, output=value)
    return value


def _keep(step_id: int, name: str, began_ms: int, **gave: object) -> None:
    """Write the row of a step, in the thread of a database."""
    dbos = _get_dbos_instance()
    codec = dbos._serializer  # noqa: SLF001 - DBOS has no way to keep a step without looking for it
    stored = {what: codec.serialize(value) for what, value in gave.items()}
    dbos._sys_db.record_operation_result(  # noqa: SLF001 - see above
        {
            "workflow_uuid": str(DBOS.workflow_id),
            "function_id": step_id,
            "function_name": name,
            "output": stored.get("output"),
            "error": stored.get("error"),
            "serialization": codec.name(),
            "started_at_epoch_ms": began_ms,
            "child_workflow_id": None,
        }
    )


@dataclass(frozen=True, slots=True)
class Closed:
    """The sealed text of a workflow's result, made while its key was there.

    DBOS stores a result when the workflow is over; a worker has no key of a run that has ended.
    """

    text: str


class Sealed(Serializer):
    """The codec of all rows.

    A task is sealed before it comes here, since it is opened by who is admitted to its run; of an
    error no more is kept than that there was one, which is an end of the run whatever it says.
    """

    def __init__(self, seal: Seal) -> None:
        self._seal = seal

    def name(self) -> str:
        """Stands beside each row."""
        return NAME

    def serialize(self, data: object) -> str:
        """What is stored."""
        if isinstance(data, Closed):
            return data.text
        if isinstance(data, BaseException):
            return f"{_ERROR}{type(data).__name__}"
        members = cast("dict[str, Any]", data)
        if members.keys() == {"args", "kwargs"}:
            (task,) = members["args"]
            return f"{_TASK}{task}"
        return self._seal.close(place_of(members["at"])[0], data)

    def deserialize(self, serialized_data: str) -> object:
        """The inverse. Raises SealBroken."""
        if serialized_data.startswith(_ERROR):  # DBOS raises what it gets for one
            return EngineRefused(f"recorded: {serialized_data.removeprefix(_ERROR)[:80]}")
        if serialized_data.startswith(_TASK):
            return {"args": (serialized_data.removeprefix(_TASK),), "kwargs": {}}
        return self._seal.open(serialized_data)


def _refuse(*_: object) -> object:
    raise SealBroken("a stored value is not sealed")


# Rows say themselves how they are to be read: neither pickle nor plain JSON is an answer.
for _codec in (_serialization.DefaultSerializer, _serialization.DBOSPortableJSONSerializer):
    setattr(_codec, "serialize", _refuse)  # noqa: B010 - a method, to the type checker
    setattr(_codec, "deserialize", _refuse)  # noqa: B010
