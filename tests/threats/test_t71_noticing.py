"""T71: bursts of denials, repetitions and first uses are noticed, told, and stopped where asked."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.harness.agent import Agent
from tests.harness.gateway import Running, running
from tests.harness.policy import DESK
from tests.harness.upstream import desk


def guards(**rules: Any) -> dict[str, Any]:  # noqa: ANN401 - settings
    return {"guards": rules}


def burst(then: str) -> dict[str, Any]:
    return {"most": 5, "window": "10m", "then": then}


async def probe(agent: Agent, times: int) -> list[str | None]:
    """Denials of any kind."""
    ways = (
        lambda: agent.call("desk.hidden"),
        lambda: agent.call("desk.open", path="/etc/passwd"),
        lambda: agent.call("desk.pay", amount="all"),
        lambda: agent.call("nowhere.at-all"),
    )
    return [(await ways[n % 4]()).code for n in range(times)]


async def test_t71_a_burst_of_denials_is_told_in_log_metric_and_status(tmp_path: Path) -> None:
    settings = guards(denials=burst("alarm"))
    async with (
        desk() as upstream,
        running(tmp_path, DESK, {"desk": upstream}, settings=settings) as gateway,
    ):
        clerk = await gateway.agent()
        await probe(clerk, 30)
        (alarm,) = gateway.entries("alarm.raised")
        assert (alarm["alarm"], alarm["agent"], alarm["count"]) == ("denials", clerk.name, 6)
        (told,) = (await gateway.operate("GET", "/api/status")).json()["alarms"]
        assert (told["alarm"], told["agent"]) == ("denials", clerk.name)
        scraped = (await gateway.operate("GET", "/metrics")).text
        assert 'passavant_alarms_total{alarm="denials"} 1.0' in scraped
        assert (await clerk.call("desk.look")).done


async def test_t71_an_agent_that_probes_is_held_up_also_in_new_sessions_and_by_other_ways(
    tmp_path: Path,
) -> None:
    settings = guards(denials=burst("throttle"))
    async with desk() as upstream:
        servers = {"desk": upstream}
        async with running(tmp_path, DESK, servers, settings=settings) as gateway:
            clerk, other = await gateway.agent(), await gateway.agent()
            await probe(clerk, 8)
            for way in ("2026-07-28", "2025-11-25", "rest"):
                again = await gateway.agent(clerk.name, way=way)
                assert (await again.call("desk.look")).code == "guard.throttled"
            assert (await other.call("desk.look")).done
        async with running(tmp_path, DESK, servers, settings=settings) as gateway:
            again = await gateway.agent(clerk.name)
            assert (await again.call("desk.look")).code == "guard.throttled"
            gateway.clock.pass_s(601)
            assert (await again.call("desk.look")).done
        assert len(upstream.calls) == 2


async def test_t71_an_agent_that_probes_is_suspended_until_a_person_resumes_it(
    tmp_path: Path,
) -> None:
    settings = guards(denials=burst("suspend"))
    async with (
        desk() as upstream,
        running(tmp_path, DESK, {"desk": upstream}, settings=settings) as gateway,
    ):
        clerk = await gateway.agent()
        await probe(clerk, 6)
        await gateway.until(lambda: bool(gateway.entries("agent.suspended")))
        assert (await clerk.call("desk.look")).code == "auth.revoked"
        (entry,) = gateway.entries("agent.suspended")
        assert (entry["agent"], entry["by"]) == (clerk.name, "guard:denials")
        stops = (await gateway.operate("GET", "/api/stops")).json()
        assert stops["agents"] == [clerk.name]
        why = {"reason": "it was a mistake in its prompt"}
        await gateway.operate("POST", f"/api/agents/{clerk.name}/resume", why)
        assert (await clerk.call("desk.look")).done


async def test_t71_a_call_that_is_repeated_for_ever_is_stopped(tmp_path: Path) -> None:
    settings = guards(repeats=burst("throttle"))
    async with (
        desk() as upstream,
        running(tmp_path, DESK, {"desk": upstream}, settings=settings) as gateway,
    ):
        clerk = await gateway.agent()
        same = {"amount": 1, "to": "paper"}
        codes = [(await clerk.call("desk.pay", **same)).code for _ in range(9)]
        assert codes == [None] * 5 + ["guard.repeats"] * 4
        again = await gateway.agent(clerk.name)
        assert (await again.call("desk.pay", **same)).code == "guard.repeats"
        assert (await clerk.call("desk.pay", amount=2, to="paper")).done
        assert len(upstream.paid) == 6
        (alarm,) = gateway.entries("alarm.raised")
        assert (alarm["alarm"], alarm["tool"]) == ("repeats", "desk.pay")


async def test_t71_repeating_at_once_is_no_way_around(tmp_path: Path) -> None:
    settings = guards(repeats=burst("throttle"))
    async with (
        desk() as upstream,
        running(tmp_path, DESK, {"desk": upstream}, settings=settings) as gateway,
    ):
        name = (await gateway.agent()).name
        agents = [await gateway.agent(name) for _ in range(10)]
        await asyncio.gather(*(agent.call("desk.pay", amount=1) for agent in agents))
        assert len(upstream.paid) == 5


async def test_t71_reading_the_same_again_and_again_is_work(tmp_path: Path) -> None:
    settings = guards(repeats=burst("throttle"))
    async with (
        desk() as upstream,
        running(tmp_path, DESK, {"desk": upstream}, settings=settings) as gateway,
    ):
        clerk = await gateway.agent()
        assert all([(await clerk.call("desk.look", at="state")).done for _ in range(20)])


async def test_t71_the_first_use_of_a_tool_is_noticed_once(tmp_path: Path) -> None:
    settings = guards(first_use="alarm")
    async with desk() as upstream:
        servers = {"desk": upstream}
        async with running(tmp_path, DESK, servers, settings=settings) as gateway:
            clerk = await gateway.agent()
            for _ in range(3):
                await clerk.call("desk.look")
            await probe(clerk, 4)  # nothing of it is a use
            await clerk.call("desk.pay", amount=1)
            assert _uses(gateway) == [(clerk.name, "desk.look"), (clerk.name, "desk.pay")]
        async with running(tmp_path, DESK, servers, settings=settings) as gateway:
            again = await gateway.agent(clerk.name)
            await again.call("desk.look")
            assert len(_uses(gateway)) == 2


def _uses(gateway: Running) -> list[tuple[str, str]]:
    return [(entry["agent"], entry["tool"]) for entry in gateway.entries("alarm.raised")]


@pytest.mark.parametrize("times", [1, 25])
async def test_t71_what_strangers_do_holds_up_no_agent(tmp_path: Path, times: int) -> None:
    settings = guards(denials=burst("suspend"))
    async with (
        desk() as upstream,
        running(tmp_path, DESK, {"desk": upstream}, settings=settings) as gateway,
    ):
        clerk = await gateway.agent()
        stranger = Agent(clerk.http, clerk.url, "no-token-of-ours", clerk.name)
        for _ in range(times):
            assert (await stranger.call("desk.look")).http == 401
        assert not gateway.entries("alarm.raised")
        assert (await clerk.call("desk.look")).done


async def test_t71_an_agent_that_is_suspended_and_goes_on_is_no_news(tmp_path: Path) -> None:
    settings = guards(denials=burst("suspend"))
    async with (
        desk() as upstream,
        running(tmp_path, DESK, {"desk": upstream}, settings=settings) as gateway,
    ):
        clerk = await gateway.agent()
        await gateway.operate("POST", f"/api/agents/{clerk.name}/suspend", {"reason": "leave"})
        for _ in range(20):
            assert (await clerk.call("desk.look")).code == "auth.revoked"
        assert not gateway.entries("alarm.raised")
        assert len(gateway.entries("agent.suspended")) == 1
