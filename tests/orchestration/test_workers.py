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
