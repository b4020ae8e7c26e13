"""Workers: runs go on wherever one is, and each step is made once, whoever carries the run."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.faces import listener
from tests.harness.postgres import postgres
from tests.orchestration.crew import Crew, carried, crew
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


async def test_a_run_that_is_cancelled_before_anybody_has_it_ends(tmp_path: Path) -> None:
    database, agents = f"sqlite:///{tmp_path}/runs.db", Agents(a=lambda task: [task, "a"])
    async with crew(tmp_path, database, carried("a"), agents) as home:
        left, stays = await home.start(given="left"), await home.start(given="stays")
        await home.service.cancel(left.id, by="operator:ana")
        assert (await home.ended(left)).result == "cancelled"
        await home.hire("one")
        assert (await home.ended(stays)).result == "done"
        assert agents.told == [("a", "stays")]
        assert [entry["run"] for entry in home.gateway.entries("run.carried")] == [stays.id]
        assert [entry["run"] for entry in home.gateway.entries("run.ended")] == [left.id, stays.id]


async def test_a_run_that_was_given_back_can_be_cancelled_without_a_worker(tmp_path: Path) -> None:
    go, database = asyncio.Event(), f"sqlite:///{tmp_path}/runs.db"
    agents = Agents(held=held_up(go), b=lambda task: [task, "b"])
    async with crew(tmp_path, database, carried({"sequential": ["held", "b"]}), agents) as home:
        await home.hire("one")
        run = await home.start(given=1)
        await home.gateway.until(lambda: agents.asked == ["held"])
        home.kill("one")
        await home.workers["one"].wait()
        await home.service.cancel(run.id, by="operator:ana")
        assert (await home.ended(run)).result == "cancelled"
        assert agents.asked == ["held"]


async def test_what_comes_first_is_carried_first(tmp_path: Path) -> None:
    database, agents = f"sqlite:///{tmp_path}/runs.db", Agents(a=lambda task: [task, "a"])
    job, urgent = carried("a", priority=7), carried("a", priority=2, name="urgent")
    one = crew(tmp_path, database, job, agents, beside=urgent, at_once=1, per_starter=1)
    async with one as home:
        runs = [await home.start(given=f"job {number}") for number in range(3)]
        runs += [await home.start("urgent", given=f"urgent {number}") for number in range(2)]
        await home.hire("one")
        for run in runs:
            assert (await home.ended(run)).result == "done"
        order = [task for _, task in agents.told]
        assert order == ["urgent 0", "urgent 1", "job 0", "job 1", "job 2"]


async def test_one_starters_runs_keep_no_other_waiting(tmp_path: Path) -> None:
    """With every place that one starter may have taken, and more of it waiting."""
    go, database = asyncio.Event(), f"sqlite:///{tmp_path}/runs.db"
    agents = Agents(held=held_up(go))
    places = crew(tmp_path, database, carried("held"), agents, at_once=3, per_starter=2)
    async with places as home:
        many = [await home.start(given="ana") for _ in range(6)]
        await home.hire("one")
        await home.gateway.until(lambda: len(agents.told) == 2)
        single = await home.service.start("job", "ben", by="operator:ben", key=None)
        await home.gateway.until(lambda: ("held", "ben") in agents.told)
        assert Counter(task for _, task in agents.told) == {"ana": 2, "ben": 1}
        go.set()
        for run in (*many, single):
            assert (await home.ended(run)).result == "done"


async def test_a_gateway_is_started_again_under_its_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What they wait for is answered at once when it ends, and asked for again by themselves."""
    monkeypatch.setattr(listener, "GRACE_S", 3600)
    database, agents = f"sqlite:///{tmp_path}/runs.db", Agents(out=lambda task: [task, "out"])
    flow = carried({"sequential": [{"approve": {"by": "editors", "question": "Go on?"}}, "out"]})
    async with crew(tmp_path, database, flow, agents) as home:
        await home.hire("one")
        runs = [await home.start(given=number) for number in range(3)]
        await home.gateway.until(lambda: len(questions(home)) == 3)
        one, at = home.workers.pop("one"), home.gateway.url.removeprefix("http://")
        executors = {entry["by"] for entry in home.gateway.entries("run.carried")}
    async with crew(tmp_path, database, flow, agents, at=at) as home:
        home.workers["one"] = one
        for request in questions(home):
            await home.gateway.answer(request)
        for run in runs:
            assert (await home.ended(run)).result == "done"
        assert one.returncode is None
        assert {entry["by"] for entry in home.gateway.entries("run.carried")} == executors
    assert sorted(task for _, task in agents.told) == [0, 1, 2]


async def test_a_result_too_long_for_the_log_is_had_from_what_a_worker_stored(
    tmp_path: Path, database: str
) -> None:
    """It gives the run's key up when it has said that the run is over, and stores that before."""
    long = "high water " * 10_000
    agents = Agents(web=lambda _: long)
    async with crew(tmp_path, database, carried("web"), agents) as home:
        await home.hire("one")
        run = await home.ended(await home.start())
        assert home.hop.kept.output(run) is None
        assert await home.service.output(run) == long
        assert long[:22] not in home.said("one")


def questions(home: Crew) -> list[str]:
    approvals = home.gateway.gateway.services.state.approvals
    return [each.id for each in approvals.all() if each.state == "asked"]


async def test_contracts_references_and_rounds_are_the_same_with_a_worker(tmp_path: Path) -> None:
    """What is lent and what is kept is the gateway's; whoever carries the run has neither."""
    long, database = "high water " * 200, f"sqlite:///{tmp_path}/runs.db"

    def lead(asked: Any) -> Any:  # noqa: ANN401 - JSON
        results = asked["results"]
        if not results:
            return {"tasks": [{"worker": "web", "contract": {"tools": [], "calls": 3}}]}
        if len(results) == 1:
            return {"tasks": [{"worker": "reader", "input": results[0]["result"]}]}
        return {"answer": results[1]["result"]}

    agents = Agents(lead=lead, web=lambda _: long, reader=lambda task: task == long)
    workers = {"web": {"contract": {"of": "web", "refer_above": 1024}}, "reader": "reader"}
    node = {"supervisor": {"manager": "lead", "workers": workers}}
    async with crew(tmp_path, database, carried(node), agents) as home:
        await home.hire("one")
        run = await home.ended(await home.start())
        assert (run.result, await home.service.output(run)) == ("done", True), run.detail
        (lent,) = home.gateway.entries("run.granted")
        assert lent["scope"] == "agents.web"
        assert len(home.gateway.entries("memory.put")) == 1
        rounds = [each.facts["round"] for each in home.hop.runs.progress.of(run.id)]
        assert rounds == [1, 2, 3]
