"""The engine: what is done once stays done, and no row of its database is believed by itself."""

import asyncio
import base64
import pickle
import sqlite3
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from dbos import DBOS
from dbos._sys_db import SystemDatabase

from gateway.runs.run import Json
from orchestration.engine import Body, Engine
from orchestration.errors import EngineRefused, SealBroken
from orchestration.seal import derived
from orchestration.store import Store
from orchestration.task import Task
from tests.harness.postgres import postgres

KEY = derived(bytes(32))
CANARY = "canary-4711"


def steps(done: list[str], stop_at: str | None = None) -> Body:
    """A task of three steps, the second of which waits for ever where it is told to."""

    async def body(engine: Engine, task: Task) -> Json:
        made: list[Json] = []
        for name in ("one", "two", "three"):

            async def do(name: str = name) -> Json:
                if name == stop_at:  # what was done before is kept by now
                    done.append("stopped")
                    await asyncio.Event().wait()
                done.append(name)
                return f"{name} {CANARY}"

            made.append(await engine.reserve().step(task.run, f"r/{name}", name, do))
        return made

    return body


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.005)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with postgres(tmp_path_factory.mktemp("server")) as url:
        yield url


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.long)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """A store that nobody has used before."""
    if request.param == "sqlite":
        return Store.at(tmp_path / "runs.db")
    return Store.parse(request.getfixturevalue("server"), origin=str(tmp_path))


async def test_what_was_done_is_not_done_again(store: Store) -> None:
    done: list[str] = []
    async with Engine.opened(store, KEY, steps(done, stop_at="two")) as engine:
        await engine.begin(Task("run", "", None))
        await until(lambda: done == ["one", "stopped"])
    async with Engine.opened(store, KEY, steps(done)) as engine:  # takes it up by itself
        await until(lambda: done[-1] == "three")
        ended = await engine.end_of(Task("run", "", None))
    assert done == ["one", "stopped", "two", "three"]
    assert ended == [f"{name} {CANARY}" for name in ("one", "two", "three")]


async def test_only_what_was_taken_up_is_asked_for(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    check = SystemDatabase.check_operation_execution

    def spy(self: SystemDatabase, run: str, number: int, name: str) -> object:
        asked.append(name)
        return check(self, run, number, name)

    monkeypatch.setattr(SystemDatabase, "check_operation_execution", spy)
    done: list[str] = []
    async with Engine.opened(store, KEY, steps(done, stop_at="two")) as engine:
        await engine.begin(Task("run", "", None))
        await until(lambda: done == ["one", "stopped"])
        assert asked == []
    async with Engine.opened(store, KEY, steps(done)) as engine:
        await engine.begin(Task("run", "", None))  # once more, by whoever lost the first answer
        await engine.end_of(Task("run", "", None))
    assert asked == ["r/one", "r/two", "r/three"]
    assert done == ["one", "stopped", "two", "three"]


async def test_a_step_that_broke_is_not_done_again(store: Store) -> None:
    found: list[Exception] = []

    async def body(engine: Engine, task: Task) -> Json:
        async def do() -> Json:
            raise ValueError(CANARY)

        try:
            await engine.reserve().step(task.run, "r/1", None, do)
        except Exception as error:  # noqa: BLE001 - whatever it is
            found.append(error)
        return await asyncio.Event().wait()

    async with Engine.opened(store, KEY, body) as engine:
        await engine.begin(Task("run", "", None))
        await until(lambda: len(found) == 1)
    async with Engine.opened(store, KEY, body):
        await until(lambda: len(found) == 2)
    assert isinstance(found[0], ValueError)
    assert str(found[1]) == "recorded: ValueError"  # neither done again nor told what it was


async def test_who_has_lost_a_run_keeps_nothing_of_it(tmp_path: Path) -> None:
    file = tmp_path / "runs.db"
    found: list[str] = []

    async def body(engine: Engine, task: Task) -> Json:
        async def do() -> Json:
            with sqlite3.connect(file) as database:
                database.execute("update workflow_status set owner_xid = 'another'")
            database.close()
            return None

        try:
            await engine.reserve().step(task.run, "r/1", None, do)
        except BaseException as error:
            found.append(type(error).__name__)
            raise
        return None

    async with Engine.opened(Store.at(file), KEY, body) as engine:
        await engine.begin(Task("run", "", None))
        await until(lambda: len(found) == 1)
    with sqlite3.connect(file) as database:
        kept = database.execute("select count(*) from operation_outputs").fetchone()
    database.close()
    assert (found, kept) == (["DBOSWorkflowConflictIDError"], (0,))


async def test_a_step_at_another_place_than_before_is_refused(tmp_path: Path) -> None:
    found: list[str] = []

    def named(name: str, *, stops: bool) -> Body:
        async def body(engine: Engine, task: Task) -> Json:
            async def do() -> Json:
                return name

            try:
                await engine.reserve().step(task.run, name, name, do)
            except Exception as error:  # noqa: BLE001 - whatever it is
                found.append(type(error).__name__)
                return None
            if stops:
                found.append("made")
                await asyncio.Event().wait()
            return None

        return body

    file = tmp_path / "runs.db"
    async with Engine.opened(Store.at(file), KEY, named("r/1:a", stops=True)) as engine:
        await engine.begin(Task("run", "", None))
        await until(lambda: found == ["made"])
    async with Engine.opened(Store.at(file), KEY, named("r/1:b", stops=False)):
        await until(lambda: len(found) == 2)
    assert found[1] == "DBOSUnexpectedStepError"


async def test_a_result_for_other_arguments_is_refused(tmp_path: Path) -> None:
    found: list[object] = []

    def given(value: Json, *, stops: bool) -> Body:
        async def body(engine: Engine, task: Task) -> Json:
            async def do() -> Json:
                return "made"

            try:
                found.append(await engine.reserve().step(task.run, "r/1", value, do))
            except SealBroken as error:
                found.append(error)
            if stops:
                await asyncio.Event().wait()
            return None

        return body

    file = tmp_path / "runs.db"
    async with Engine.opened(Store.at(file), KEY, given({"amount": 1}, stops=True)) as engine:
        await engine.begin(Task("run", "", None))
        await until(lambda: len(found) == 1)
    async with Engine.opened(Store.at(file), KEY, given({"amount": 2}, stops=False)):
        await until(lambda: len(found) == 2)
    assert isinstance(found[1], SealBroken)


async def test_nothing_that_is_stored_can_be_read_without_the_key(tmp_path: Path) -> None:
    file = tmp_path / "runs.db"
    async with Engine.opened(Store.at(file), KEY, steps([])) as engine:
        await engine.end_of(Task("run", "", {"input": CANARY}))
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert not any(CANARY.encode() in raw for raw in contents(tmp_path))


def contents(folder: Path) -> list[bytes]:
    return [each.read_bytes() for each in folder.iterdir()]


class Evil:
    """Runs code where it is unpickled."""

    ran: list[str] = []  # noqa: RUF012 - filled by whoever unpickles

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return Evil.ran.append, ("code",)


@pytest.mark.parametrize("codec", ["py_pickle", "portable_json"])
async def test_a_row_is_never_read_in_another_way_than_sealed(tmp_path: Path, codec: str) -> None:
    done: list[str] = []
    file = tmp_path / "runs.db"
    async with Engine.opened(Store.at(file), KEY, steps(done, stop_at="two")) as engine:
        await engine.begin(Task("run", "", None))
        await until(lambda: done == ["one", "stopped"])
    planted = base64.b64encode(pickle.dumps(Evil())).decode()
    with sqlite3.connect(file) as database:
        database.execute(
            "update operation_outputs set output = ?, serialization = ?",
            (planted if codec == "py_pickle" else '{"value": 1}', codec),
        )
    database.close()
    failed: list[str] = []

    async def body(engine: Engine, task: Task) -> Json:
        try:
            return await steps(done)(engine, task)
        except SealBroken as error:
            failed.append(str(error))
            return None

    async with Engine.opened(Store.at(file), KEY, body):
        await until(lambda: bool(failed))
    assert Evil.ran == []
    assert done == ["one", "stopped"]


async def test_a_process_has_one_engine(tmp_path: Path) -> None:
    async with Engine.opened(Store.at(tmp_path / "a.db"), KEY, steps([])):
        with pytest.raises(EngineRefused):
            async with Engine.opened(Store.at(tmp_path / "b.db"), KEY, steps([])):
                pass


async def test_threads_of_the_event_loop_are_left_as_they_were(tmp_path: Path) -> None:
    async with Engine.opened(Store.at(tmp_path / "runs.db"), KEY, steps([])) as engine:
        await engine.end_of(Task("run", "", None))
    assert await asyncio.to_thread(lambda: 7) == 7


async def test_no_two_starts_have_one_name(tmp_path: Path) -> None:
    names: list[str] = []
    for _ in range(2):
        async with Engine.opened(Store.at(tmp_path / "runs.db"), KEY, steps([])):
            names.append(DBOS.executor_id)
    assert len(set(names)) == 2
    assert "local" not in names


async def test_what_is_forgotten_is_gone_with_all_its_parts(store: Store) -> None:
    async def body(engine: Engine, task: Task) -> Json:
        if task.path:
            return CANARY
        return await engine.reserve().step(
            task.run, "r/1", None, lambda: engine.end_of(Task(task.run, "r/1", None))
        )

    async with Engine.opened(store, KEY, body) as engine:
        for run in ("one", "two"):
            await engine.end_of(Task(run, "", None))
        assert await engine.result("one") == CANARY
        await engine.forget("one")
        assert await engine.held() == {"two"}
        assert await engine.result("one") is None
        assert await engine.result("two") == CANARY


@pytest.mark.long
async def test_gateways_that_share_a_postgres_do_not_see_each_others_runs(server: str) -> None:
    for origin in ("gw.example/one", "gw.example/two"):
        async with Engine.opened(Store.parse(server, origin=origin), KEY, steps([])) as engine:
            assert await engine.held() == frozenset()
            await engine.end_of(Task(origin, "", None))


async def test_a_database_that_does_not_answer_is_named_without_its_password() -> None:
    url = "postgresql://runs:pw-4711@127.0.0.1:1/runs"
    with pytest.raises(EngineRefused) as refused:
        async with Engine.opened(Store.parse(url, origin="gw"), KEY, steps([])):
            pass
    assert "4711" not in str(refused.value)
    async with asyncio.timeout(20):
        assert await asyncio.to_thread(lambda: 7) == 7
