"""Steps of a run: each crosses the gate once, whatever happens in between."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.runs.errors import RunRefused
from gateway.runs.run import ROOT
from tests.gateway.runs.hopping import POLICY, begin, hopping, step
from tests.harness.gateway import Clock, Running
from tests.harness.upstream import Turnstile, desk

PAY: dict[str, Any] = {"amount": 40, "to": "paper"}
MUCH: dict[str, Any] = {"amount": 400, "to": "paper"}


async def asked(gateway: Running, times: int = 1) -> list[str]:
    """Ids of the requests, when there are so many."""
    await gateway.until(lambda: len(gateway.entries("approval.asked")) >= times)
    return [body["approval"] for body in gateway.entries("approval.asked")]


# -- what a step is


async def test_a_step_is_decided_recorded_and_forwarded_once(tmp_path: Path) -> None:
    async with desk() as upstream, hopping(tmp_path, {"desk": upstream}) as (gateway, hop):
        run = await begin(hop)
        outcomes = [await hop.deliver(step(run, "r/1:pay", "pay", **PAY)) for _ in range(2)]
        assert [outcome.status for outcome in outcomes] == ["done", "done"]
        assert outcomes[0].result == outcomes[1].result
        assert upstream.paid == [40]
        (decision,) = gateway.entries("decision")
        assert decision["req"] == {"face": "run", "id": f"{run.id}/r/1:pay", "trace": None}
        assert decision["actor"] == {"agent": "flow", "chain": [], "sub": None}
        assert hop.runs.steps(run.id)["r/1:pay"].status == "done"


async def test_equal_calls_of_two_steps_are_two_calls(tmp_path: Path) -> None:
    async with desk() as upstream, hopping(tmp_path, {"desk": upstream}) as (_, hop):
        run = await begin(hop)
        await asyncio.gather(*(hop.deliver(step(run, f"r/{n}", "pay", **PAY)) for n in range(3)))
        assert upstream.paid == [40] * 3


@pytest.mark.parametrize(
    ("tool", "args", "code"),
    [
        pytest.param("wipe", {"what": "all"}, "policy.denied", id="no-rule"),
        pytest.param("pay", {"amount": 4000, "to": "x"}, "policy.denied", id="too-much"),
        pytest.param("pay", {"amount": "40"}, "args.invalid", id="wrong-type"),
        pytest.param("nothing", {}, "policy.denied", id="no-such-tool"),
    ],
)
async def test_what_may_not_be_done_reaches_nobody(
    tmp_path: Path, tool: str, args: dict[str, Any], code: str
) -> None:
    async with desk() as upstream, hopping(tmp_path, {"desk": upstream}) as (_, hop):
        run = await begin(hop)
        outcome = await hop.deliver(step(run, "r/1", tool, **args))
        assert outcome.code == code
        assert upstream.calls == []


async def test_a_step_is_not_made_twice_at_once(tmp_path: Path) -> None:
    async with desk() as upstream, hopping(tmp_path, {"desk": upstream}) as (_, hop):
        run = await begin(hop)
        upstream.then = turnstile = Turnstile()
        first = asyncio.create_task(hop.deliver(step(run, "r/1", "pay", **PAY)))
        await upstream.called(1)
        with pytest.raises(RunRefused, match="under way"):
            await hop.deliver(step(run, "r/1", "pay", **PAY))
        turnstile.open.set()
        assert (await first).status == "done"
        assert upstream.paid == [40]


# -- after a restart


async def test_a_restart_finds_what_a_step_gave_back(tmp_path: Path) -> None:
    async with desk() as upstream:
        async with hopping(tmp_path, {"desk": upstream}) as (_, hop):
            run = await begin(hop)
            before = await hop.deliver(step(run, "r/1", "pay", **PAY))
        async with hopping(tmp_path, {"desk": upstream}) as (_, hop):
            assert hop.kept.input(hop.runs.get(run.id)) == {"order": 17}
            after = await hop.deliver(step(run, "r/1", "pay", **PAY))
            assert after.result == before.result
            assert upstream.paid == [40]
            assert (await hop.deliver(step(run, "r/2", "pay", **PAY))).status == "done"


async def test_what_was_recorded_is_withheld_from_who_has_lost_their_rights(
    tmp_path: Path,
) -> None:
    async with desk() as upstream, hopping(tmp_path, {"desk": upstream}) as (gateway, hop):
        run = await begin(hop)
        await hop.deliver(step(run, "r/1", "pay", **PAY))
        await gateway.operate("POST", "/api/agents/flow/suspend", {"reason": "odd"}, check=False)
        await gateway.operate("POST", f"/api/sessions/{run.session}/end")
        outcome = await hop.deliver(step(run, "r/1", "pay", **PAY))
        assert (outcome.code, outcome.result) == ("auth.revoked", None)


# -- people


async def test_a_step_waits_for_people_and_goes_on(tmp_path: Path) -> None:
    async with desk() as upstream, hopping(tmp_path, {"desk": upstream}) as (gateway, hop):
        run = await begin(hop)
        made = asyncio.create_task(hop.deliver(step(run, "r/1", "pay", **MUCH)))
        (request,) = await asked(gateway)
        assert not made.done()
        await gateway.answer(request)
        assert (await made).status == "done"
        assert upstream.paid == [400]


async def test_a_no_ends_the_step(tmp_path: Path) -> None:
    async with desk() as upstream, hopping(tmp_path, {"desk": upstream}) as (gateway, hop):
        run = await begin(hop)
        made = asyncio.create_task(hop.deliver(step(run, "r/1", "pay", **MUCH)))
        (request,) = await asked(gateway)
        await gateway.answer(request, "deny")
        assert (await made).code == "approval.denied"
        again = await hop.deliver(step(await begin(hop), "r/9", "pay", **MUCH))
        assert again.code == "approval.denied"
        assert upstream.calls == []


async def test_each_step_needs_an_answer_of_its_own(tmp_path: Path) -> None:
    async with desk() as upstream, hopping(tmp_path, {"desk": upstream}) as (gateway, hop):
        run = await begin(hop)
        both = [
            asyncio.create_task(hop.deliver(step(run, f"r/{n}", "pay", **MUCH))) for n in (1, 2)
        ]
        first, _ = await asked(gateway, 2)
        await gateway.answer(first)
        done, pending = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        assert (len(done), len(pending)) == (1, 1)
        assert upstream.paid == [400]
        await hop.cancel(run.id, by="test")
        assert {(await each).code for each in pending} == {"run.cancelled"}


async def test_a_restart_takes_up_the_question_that_was_asked(tmp_path: Path) -> None:
    async with desk() as upstream:
        async with hopping(tmp_path, {"desk": upstream}) as (gateway, hop):
            run = await begin(hop)
            made = asyncio.create_task(hop.deliver(step(run, "r/1", "pay", **MUCH)))
            (request,) = await asked(gateway)
            made.cancel()
        async with hopping(tmp_path, {"desk": upstream}) as (gateway, hop):
            made = asyncio.create_task(hop.deliver(step(run, "r/1", "pay", **MUCH)))
            await gateway.until(lambda: len(hop.runs.steps(run.id)) == 1)
            await gateway.answer(request)
            assert (await made).status == "done"
            assert upstream.paid == [400]


async def test_no_step_is_made_when_the_time_of_its_run_is_up(tmp_path: Path) -> None:
    clock = Clock()
    async with (
        desk() as upstream,
        hopping(tmp_path, {"desk": upstream}, clock=clock) as (
            gateway,
            hop,
        ),
    ):
        run = await begin(hop)
        clock.pass_s(3700)
        outcome = await hop.deliver(step(run, "r/1", "pay", **MUCH))
        assert outcome.status == "denied"
        assert upstream.calls == []
        del gateway


# -- pause and cancel


async def test_a_paused_run_makes_no_further_step(tmp_path: Path) -> None:
    async with desk() as upstream, hopping(tmp_path, {"desk": upstream}) as (_, hop):
        run = await begin(hop)
        await hop.runs.move(run.id, "run.paused", by="operator:ana")
        made = asyncio.create_task(hop.deliver(step(run, "r/1", "pay", **PAY)))
        done, _ = await asyncio.wait([made], timeout=0.05)
        assert not done
        assert upstream.calls == []
        await hop.runs.move(run.id, "run.resumed", by="operator:ana")
        assert (await made).status == "done"


async def test_cancelling_cuts_short_what_runs_and_lets_nothing_begin(tmp_path: Path) -> None:
    async with desk() as upstream, hopping(tmp_path, {"desk": upstream}) as (_, hop):
        run = await begin(hop)
        upstream.then = Turnstile()
        made = asyncio.create_task(hop.deliver(step(run, "r/1", "pay", **PAY)))
        await upstream.called(1)
        await hop.cancel(run.id, by="operator:ana")
        assert (await made).status == "unknown"
        assert (await hop.deliver(step(run, "r/2", "pay", **PAY))).code == "run.cancelled"
        assert len(upstream.calls) == 1


@pytest.mark.parametrize(
    ("first", "then"),
    [
        pytest.param("run.paused", "run.paused", id="paused-twice"),
        pytest.param(None, "run.resumed", id="resumed-unpaused"),
        pytest.param("run.cancelled", "run.paused", id="paused-after-cancel"),
        pytest.param("run.cancelled", "run.cancelled", id="cancelled-twice"),
    ],
)
async def test_a_run_goes_only_where_it_can(tmp_path: Path, first: str | None, then: str) -> None:
    async with desk() as upstream, hopping(tmp_path, {"desk": upstream}) as (_, hop):
        run = await begin(hop)
        if first is not None:
            await hop.runs.move(run.id, first, by="test")
        with pytest.raises(RunRefused, match="this run is"):
            await hop.runs.move(run.id, then, by="test")


# -- beginning and end


async def test_the_same_start_is_the_same_run(tmp_path: Path) -> None:
    async with desk() as upstream, hopping(tmp_path, {"desk": upstream}) as (gateway, hop):
        first, again = await begin(hop, "order-17"), await begin(hop, "order-17")
        other = await begin(hop, "order-18")
        assert first.id == again.id != other.id
        assert len(gateway.entries("run.started")) == 2


@pytest.mark.parametrize(
    ("change", "code"),
    [
        pytest.param(lambda hop: begin(hop, agent="nobody"), "run.agent", id="unknown-agent"),
    ],
)
async def test_a_run_that_cannot_be_is_not_begun(
    tmp_path: Path, change: Callable[..., object], code: str
) -> None:
    async with desk() as upstream, hopping(tmp_path, {"desk": upstream}) as (gateway, hop):
        with pytest.raises(RunRefused) as refused:
            await change(hop)  # type: ignore[misc]  # a coroutine
        assert refused.value.code == code
        assert gateway.entries("session.open") == []


async def test_an_ended_run_does_nothing_more(tmp_path: Path) -> None:
    async with desk() as upstream, hopping(tmp_path, {"desk": upstream}) as (gateway, hop):
        run = await begin(hop)
        for _ in range(2):
            await hop.end(run.id, "done", "", {"report": "x"})
        assert hop.kept.output(hop.runs.get(run.id)) == {"report": "x"}
        outcome = await hop.deliver(step(run, "r/1", "pay", **PAY))
        assert outcome.status == "denied"
        assert upstream.calls == []
        assert len(gateway.entries("run.ended")) == 1
        session = gateway.gateway.services.state.sessions.get(run.session)
        assert session is not None
        assert session.ended


async def test_the_end_of_a_run_disturbs_nobody_else(tmp_path: Path) -> None:
    async with desk() as upstream, hopping(tmp_path, {"desk": upstream}) as (gateway, hop):
        first, second = await begin(hop), await begin(hop)
        before = gateway.gateway.services.epoch.value
        await hop.end(first.id, "done", "", None)
        assert gateway.gateway.services.epoch.value == before
        assert (await hop.deliver(step(second, "r/1", "pay", **PAY))).status == "done"


# -- handing on


async def test_work_that_is_handed_on_is_done_with_what_the_edge_lends(tmp_path: Path) -> None:
    async with desk() as upstream, hopping(tmp_path, {"desk": upstream}) as (gateway, hop):
        run = await begin(hop)
        for _ in range(2):
            await hop.hand_on(run.id, ROOT, "r/1:helper", "helper")
        looked = await hop.deliver(step(run, "r/1:helper/1", "look", "r/1:helper", at="x"))
        paid = await hop.deliver(step(run, "r/1:helper/2", "pay", "r/1:helper", **PAY))
        assert (looked.status, paid.status) == ("done", "denied")
        assert [call.tool for call in upstream.calls] == ["look"]
        assert gateway.entries("decision")[0]["actor"] == {
            "agent": "helper",
            "chain": ["flow"],
            "sub": None,
        }
        assert len(gateway.entries("run.granted")) == 1


@pytest.mark.parametrize(
    ("grant", "to", "why"),
    [
        pytest.param(ROOT, "clerk-1", "delegation.edge", id="no-edge"),
        pytest.param(ROOT, "flow", "delegation.cycle", id="to-itself"),
        pytest.param("r/1", "flow", "delegation.cycle", id="back"),
        pytest.param("r/1", "clerk-1", "delegation.edge", id="on-from-there"),
    ],
)
async def test_work_is_not_handed_to_whom_no_edge_leads(
    tmp_path: Path, grant: str, to: str, why: str
) -> None:
    async with desk() as upstream, hopping(tmp_path, {"desk": upstream}) as (_, hop):
        run = await begin(hop)
        await hop.hand_on(run.id, ROOT, "r/1", "helper")
        refused = await hop.hand_on(run.id, grant, "r/2", to)
        assert refused is not None
        assert (refused.status, refused.code) == ("denied", why)
        assert "r/2" not in hop.runs.get(run.id).grants


async def test_a_run_has_no_more_sessions_than_the_policy_says(tmp_path: Path) -> None:
    async with desk() as upstream, hopping(tmp_path, {"desk": upstream}) as (_, hop):
        run = await begin(hop)
        for number in range(3):
            await hop.hand_on(run.id, ROOT, f"r/{number}", "helper")
        refused = await hop.hand_on(run.id, ROOT, "r/4", "helper")
        assert refused is not None
        assert refused.code == "delegation.fan-out"


async def test_cancelling_stops_those_who_work_was_handed_to(tmp_path: Path) -> None:
    async with desk() as upstream, hopping(tmp_path, {"desk": upstream}, POLICY) as (_, hop):
        run = await begin(hop)
        await hop.hand_on(run.id, ROOT, "r/1", "helper")
        upstream.then = Turnstile()
        made = asyncio.create_task(hop.deliver(step(run, "r/1/1", "look", "r/1", at="x")))
        await upstream.called(1)
        await hop.cancel(run.id, by="operator:ana")
        assert (await made).status == "unknown"
