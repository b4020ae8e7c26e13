"""Workers: runs go on wherever one is, and each step is made once, whoever carries the run."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness.postgres import postgres
from tests.orchestration.crew import carried, crew
from tests.orchestration.house import Agents


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with postgres(tmp_path_factory.mktemp("server")) as url:
        yield url


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.long)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/runs.db"
    found: str = request.getfixturevalue("server")
    return found


def held_up(go: asyncio.Event) -> Any:  # noqa: ANN401 - an agent
    async def answer(task: Any) -> Any:  # noqa: ANN401 - JSON
        await go.wait()
        return [task, "held"]

    return answer


async def test_a_killed_workers_runs_go_on_with_another(tmp_path: Path, database: str) -> None:
    go = asyncio.Event()
    agents = Agents(a=lambda task: [task, "a"], held=held_up(go), b=lambda task: [task, "b"])
    node = {"sequential": ["a", {"parallel": ["held", {"sequential": ["a", "b"]}]}, "b"]}
    async with crew(tmp_path, database, carried(node), agents, at_once=4, per_starter=2) as home:
        await home.hire("one", "two")
        runs = [await home.start(given=number) for number in range(4)]
        await home.gateway.until(lambda: agents.asked.count("held") == 4)
        home.kill("one")
        await home.workers["one"].wait()
        go.set()
        for run in runs:
            ended = await home.ended(run)
            assert (ended.result, ended.detail) == ("done", "")
        made = Counter(agents.asked)
        assert made == {"a": 8, "held": 4, "b": 8}


async def test_who_stands_still_too_long_does_nothing_more(tmp_path: Path) -> None:
    """What it asks for when it wakes is another's by then, and is done once all the same."""
    go, database = asyncio.Event(), f"sqlite:///{tmp_path}/runs.db"
    agents = Agents(a=lambda task: [task, "a"], held=held_up(go), b=lambda task: [task, "b"])
    async with crew(tmp_path, database, carried({"sequential": ["held", "b"]}), agents) as home:
        await home.hire("one")
        run = await home.start(given=1)
        await home.gateway.until(lambda: agents.asked == ["held"])
        await home.hire("two")
        home.pause("one")
        await home.gateway.until(lambda: len(home.gateway.entries("run.carried")) == 2)
        go.set()
        ended = await home.ended(run)
        home.wake("one")
        assert (ended.result, ended.detail) == ("done", "")
        again = await home.start(given=2)
        assert (await home.ended(again)).result == "done"
        assert Counter(agents.asked) == {"held": 2, "b": 2}
        carriers = [entry["by"] for entry in home.gateway.entries("run.carried")]
        assert len(set(carriers[:2])) == 2


async def test_a_worker_that_is_stopped_gives_its_runs_back_at_once(tmp_path: Path) -> None:
    go, database = asyncio.Event(), f"sqlite:///{tmp_path}/runs.db"
    agents = Agents(held=held_up(go), b=lambda task: [task, "b"])
    async with crew(tmp_path, database, carried({"sequential": ["held", "b"]}), agents) as home:
        await home.hire("one")
        run = await home.start(given=1)
        await home.gateway.until(lambda: agents.asked == ["held"])
        assert await home.stop("one") == 0
        go.set()
        await home.gateway.until(lambda: home.service.work.carriers.count() == 0)  # type: ignore[union-attr]  # there are pools
        del home.workers["one"]
        await home.hire("two")
        assert (await home.ended(run)).result == "done"
        assert agents.asked == ["held", "b"]
        assert "cannot" not in home.said("two")
