"""Parked runs: any number waits for people, and none is lost, denied or asked about twice."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.runs.run import Run
from tests.orchestration.house import Agents, House, flow, house

NODE = {"sequential": [{"approve": {"by": "editors", "question": "Publish this?"}}, "out"]}


@asynccontextmanager
async def parking(folder: Path, agents: Agents, questions: int) -> AsyncIterator[House]:
    settings = {"guards": {"questions": questions}}
    async with house(folder, [flow(NODE, wall="24h")], agents, settings=settings) as home:
        yield home


def open_questions(home: House) -> list[str]:
    approvals = home.gateway.gateway.services.state.approvals
    return [each.id for each in approvals.all() if each.state == "asked"]


async def answer_all(home: House, runs: list[Run]) -> None:
    """Answer whatever is asked until every run is over."""

    def over() -> bool:
        return all(home.hop.runs.get(run.id).state == "ended" for run in runs)

    while not over():
        await home.gateway.until(lambda: over() or bool(open_questions(home)))
        for request in open_questions(home):
            await home.gateway.answer(request)


@pytest.mark.parametrize(
    "count", [pytest.param(60, id="60"), pytest.param(1000, id="1000", marks=pytest.mark.long)]
)
async def test_all_are_parked_again_after_a_restart(tmp_path: Path, count: int) -> None:
    agents = Agents(out=lambda _: "out")
    async with parking(tmp_path, agents, count) as home:
        runs = [await home.start(given=number) for number in range(count)]
        await home.gateway.until(lambda: len(open_questions(home)) == count)
    async with parking(tmp_path, agents, count) as home:
        await answer_all(home, runs)
        assert {home.hop.runs.get(run.id).result for run in runs} == {"done"}
        assert len(home.gateway.entries("approval.asked")) == count
        assert home.gateway.entries("alarm.raised") == []
    assert len(agents.asked) == count


async def test_more_than_people_are_asked_about_wait_for_their_turn(tmp_path: Path) -> None:
    agents = Agents(out=lambda _: "out")
    async with parking(tmp_path, agents, 3) as home:
        runs = [await home.start(given=number) for number in range(12)]
        await home.gateway.until(lambda: len(open_questions(home)) == 3)
        await answer_all(home, runs)
        assert {home.hop.runs.get(run.id).result for run in runs} == {"done"}
        assert home.gateway.entries("alarm.raised") == []
    assert len(agents.asked) == 12


async def test_people_are_never_asked_more_at_once_than_the_guard_says(tmp_path: Path) -> None:
    agents = Agents(out=lambda _: "out")
    async with parking(tmp_path, agents, 2) as home:
        runs = [await home.start(given=number) for number in range(6)]
        await home.gateway.until(lambda: len(open_questions(home)) == 2)
        await answer_all(home, runs)
        waiting = most = 0
        for body in home.gateway.entries():
            waiting += (body["kind"] == "approval.asked") - (body["kind"] == "approval.decided")
            most = max(most, waiting)
        assert most == 2


async def test_a_run_that_is_cancelled_in_the_line_keeps_nobody_waiting(tmp_path: Path) -> None:
    agents = Agents(out=lambda _: "out")
    async with parking(tmp_path, agents, 1) as home:
        first, second, third = [await home.start(given=number) for number in range(3)]
        await home.gateway.until(lambda: len(home.hop.runs.steps(third.id)) == 1)
        await home.service.cancel(second.id, by="operator:ana")
        assert (await home.ended(second)).result == "cancelled"
        await answer_all(home, [first, third])
    assert len(agents.asked) == 2


async def test_a_run_does_not_wait_in_the_line_beyond_its_time(tmp_path: Path) -> None:
    settings, agents = {"guards": {"questions": 1}}, Agents(out=str)
    async with house(tmp_path, [flow(NODE, wall="1s")], agents, settings=settings) as home:
        runs = [await home.start(given=number) for number in range(2)]
        assert {(await home.ended(run)).result for run in runs} == {"denied"}
    assert agents.asked == []
