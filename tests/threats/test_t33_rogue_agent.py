"""T33: a kill switch stops everything at once, also what runs, and a restart does not undo it."""

import asyncio
from pathlib import Path

import pytest

from tests.harness.agent import Agent, Answer
from tests.harness.gateway import Running, running
from tests.harness.policy import AGENTS
from tests.harness.upstream import Desk, Turnstile, desk

CALLS = 50
WHY = {"reason": "the agents have gone rogue"}

STOPS = {
    "everything": "/api/stop",
    "server": "/api/servers/desk/suspend",
    "tool": "/api/tools/desk.pay/suspend",
    "user": "/api/users/ana/suspend",
}


async def crowd(gateway: Running) -> list[Agent]:
    return list(await asyncio.gather(*(gateway.agent(name, user="ana") for name in AGENTS[:10])))


def calls(agents: list[Agent], count: int) -> list["asyncio.Task[Answer]"]:
    return [
        asyncio.create_task(agents[n % len(agents)].call("desk.pay", amount=n % 100 + 1, to=str(n)))
        for n in range(count)
    ]


@pytest.mark.parametrize("stop", STOPS)
async def test_t33_a_kill_switch_during_50_running_calls_lets_no_further_call_start(
    tmp_path: Path, stop: str
) -> None:
    async with desk() as upstream, running(tmp_path, servers={"desk": upstream}) as gateway:
        agents = await crowd(gateway)
        upstream.then = Turnstile()
        under_way = calls(agents, CALLS)
        await upstream.called(CALLS)
        await gateway.operate("POST", STOPS[stop], WHY)
        begun = len(upstream.calls)
        answered = await asyncio.gather(*under_way)
        later = await asyncio.gather(*calls(agents, CALLS))
        assert {answer.code for answer in answered} == {"stopped"}
        assert all(answer.code is not None for answer in later)
        assert len(upstream.calls) == begun == CALLS
        outcomes = {(entry["status"], entry["code"]) for entry in gateway.entries("outcome")}
        assert outcomes == {("unknown", "stopped")}


async def test_t33_calls_that_are_just_starting_when_the_switch_is_thrown_start_no_more(
    tmp_path: Path,
) -> None:
    """Whatever had not left when the stop was recorded never leaves."""
    async with desk() as upstream, running(tmp_path, servers={"desk": upstream}) as gateway:
        agents = await crowd(gateway)
        upstream.then = Turnstile()
        under_way = calls(agents, CALLS)
        await upstream.called(1)
        await gateway.operate("POST", "/api/stop", WHY)
        await asyncio.gather(*under_way)
        begun = len(upstream.calls)
        stopped = next(i for i, e in enumerate(gateway.entries()) if e["kind"] == "gateway.stopped")
        authorised = [
            entry["id"]
            for entry in gateway.entries("decision")
            if entry["decision"]["effect"] == "allow"
        ]
        ends = {entry["call"]: entry["status"] for entry in gateway.entries("outcome")}
        assert ends.keys() == set(authorised)
        assert sum(status == "unknown" for status in ends.values()) >= begun
        assert set(ends.values()) <= {"unknown", "refused"}
        assert all(entry["kind"] != "decision" for entry in gateway.entries(since=stopped + 1))
        await gateway.operate("POST", "/api/go", WHY)
        assert len(upstream.calls) == begun


async def test_t33_a_stopped_gateway_starts_stopped(tmp_path: Path) -> None:
    async with desk() as upstream:
        async with running(tmp_path, servers={"desk": upstream}) as gateway:
            await gateway.operate("POST", "/api/stop", WHY)
        async with running(tmp_path, servers={"desk": upstream}) as gateway:
            assert (await gateway.operate("GET", "/api/stops")).json()["everything"] is True
            await refused_by(gateway, upstream)
            await gateway.operate("POST", "/api/go", WHY)
        async with running(tmp_path, servers={"desk": upstream}) as gateway:
            clerk = await gateway.agent()
            assert (await clerk.call("desk.pay", amount=1, to="paper")).done


async def test_t33_calls_cut_short_by_a_stop_are_not_taken_up_by_a_restart(tmp_path: Path) -> None:
    async with desk() as upstream:
        async with running(tmp_path, servers={"desk": upstream}) as gateway:
            agents = await crowd(gateway)
            upstream.then = Turnstile()
            under_way = calls(agents, 10)
            await upstream.called(10)
            await gateway.operate("POST", "/api/stop", WHY)
            await asyncio.gather(*under_way)
        async with running(tmp_path, servers={"desk": upstream}) as gateway:
            await gateway.operate("POST", "/api/go", WHY)
            assert len(gateway.entries("outcome")) == len(upstream.calls) == 10


async def refused_by(gateway: Running, upstream: Desk) -> None:
    clerk = await gateway.agent()
    answered = await clerk.call("desk.pay", amount=1, to="paper")
    assert answered.code == "gateway.stopped"
    assert upstream.calls == []
