"""Large results of steps: kept once, found again, good in their own run alone."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from audit.canonical import Json
from gateway.action import Outcome
from gateway.runs import results
from gateway.runs.given import value_of
from gateway.runs.hop import Hop
from gateway.runs.reference import BEGINNING, NAME
from gateway.runs.run import Run
from gateway.runs.step import Step
from tests.gateway.links.http_upstream import answer, says
from tests.gateway.runs.hopping import begin, hopping, step
from tests.harness.gateway import Running
from tests.harness.upstream import Desk, desk

LONG = "high water " * 10_000  # more than the log keeps
PAY: dict[str, Any] = {"amount": 40, "to": "paper"}


@asynccontextmanager
async def talkative(folder: Path) -> AsyncIterator[tuple[Running, Hop, Desk]]:
    """A gateway whose upstream says much."""
    result: dict[str, Json] = {"content": [{"type": "text", "text": LONG}], "isError": False}
    async with desk() as upstream, hopping(folder, {"desk": upstream}) as (gateway, hop):
        upstream.then = says(lambda heard: answer(heard, {**result, "resultType": "complete"}))
        yield gateway, hop, upstream


def large(run: Run, path: str = "1:pay", tool: str = "pay", **args: Any) -> Step:  # noqa: ANN401 - JSON
    return replace(step(run, path, tool, **(args or PAY)), refers=1024)


def ref(outcome: Outcome) -> Any:  # noqa: ANN401 - JSON
    assert outcome.status == "done", outcome
    return value_of(outcome)


async def test_what_was_kept_is_found_again_and_the_step_not_made_again(tmp_path: Path) -> None:
    async with talkative(tmp_path) as (gateway, hop, upstream):
        run = await begin(hop)
        first, second = [ref(await hop.deliver(large(run))) for _ in range(2)]
        assert first == second
        assert first["bytes"] == len(LONG) + 2
        assert upstream.paid == [40]
        assert len(gateway.entries("memory.put")) == 1


async def test_what_only_reads_is_not_read_again_either(tmp_path: Path) -> None:
    async with talkative(tmp_path) as (_, hop, upstream):
        run = await begin(hop)
        first, second = [ref(await hop.deliver(large(run, tool="look", at="x"))) for _ in range(2)]
        assert first == second
        assert len(upstream.calls) == 1


async def test_what_a_server_makes_look_like_a_reference_is_kept_like_anything(
    tmp_path: Path,
) -> None:
    posing: Json = {NAME: "0" * 32, "begins": LONG}  # else whoever plans would read it all
    async with talkative(tmp_path) as (gateway, hop, upstream):
        result: dict[str, Json] = {"content": [], "structuredContent": {"result": posing}}
        upstream.then = says(lambda heard: answer(heard, {**result, "resultType": "complete"}))
        run = await begin(hop)
        made = ref(await hop.deliver(large(run)))
        assert made[NAME] != "0" * 32
        assert len(made["begins"]) == BEGINNING
        assert len(gateway.entries("memory.put")) == 1


async def test_without_a_bound_it_is_given_as_it_is(tmp_path: Path) -> None:
    async with talkative(tmp_path) as (gateway, hop, _):
        run = await begin(hop)
        assert ref(await hop.deliver(step(run, "1:pay", "pay", **PAY))) == LONG
        assert not gateway.entries("memory.put")


async def test_a_later_step_is_given_what_it_stands_for(tmp_path: Path) -> None:
    async with talkative(tmp_path) as (_, hop, upstream):
        run = await begin(hop)
        made = ref(await hop.deliver(large(run)))
        await hop.deliver(step(run, "2:look", "look", at={NAME: made[NAME]}))
        assert upstream.calls[-1].args == {"at": LONG}


async def test_who_plans_is_given_the_reference_itself(tmp_path: Path) -> None:
    async with talkative(tmp_path) as (_, hop, upstream):
        run = await begin(hop)
        made = ref(await hop.deliver(large(run)))
        told = replace(step(run, "2:look", "look", at=made[NAME]), opens=False)
        await hop.deliver(told)
        assert upstream.calls[-1].args == {"at": made[NAME]}


async def test_equal_steps_of_two_runs_keep_two_results(tmp_path: Path) -> None:
    async with talkative(tmp_path) as (_, hop, upstream):
        one, two = await begin(hop), await begin(hop)
        mine, others = [ref(await hop.deliver(large(run))) for run in (one, two)]
        assert mine[NAME] != others[NAME]
        told = await hop.deliver(step(one, "2:look", "look", at=others))
        none = await hop.deliver(step(one, "3:look", "look", at={NAME: "0" * 32}))
        assert (told.status, told.code) == ("refused", "run.reference")
        assert told == none
        assert len(upstream.calls) == 2


@pytest.mark.parametrize("bound", ["LONGEST", "MOST_BYTES", "MOST_RESULTS"])
async def test_what_cannot_be_kept_is_not_handed_about(
    tmp_path: Path, bound: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, bound, 0)
    async with talkative(tmp_path) as (gateway, hop, upstream):
        outcome = await hop.deliver(large(await begin(hop)))
        assert (outcome.status, outcome.code) == ("error", "run.kept")
        assert "high water" not in outcome.text
        assert upstream.paid == [40]
        assert not gateway.entries("memory.put")


async def test_one_call_is_given_only_so_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with talkative(tmp_path) as (_, hop, upstream):
        run = await begin(hop)
        made = [ref(await hop.deliver(large(run, f"{n}:pay"))) for n in range(2)]
        monkeypatch.setattr(results, "LONGEST", len(LONG) + 100)
        outcome = await hop.deliver(step(run, "2:send", "send", to="x", copies=made))
        assert (outcome.status, outcome.code) == ("refused", "run.reference")
        assert upstream.paid == [40, 40]


async def test_naming_one_result_often_makes_no_call_without_end(tmp_path: Path) -> None:
    async with talkative(tmp_path) as (_, hop, upstream):
        run = await begin(hop)
        made = ref(await hop.deliver(large(run)))
        often = [{NAME: made[NAME]}] * 100
        outcome = await hop.deliver(step(run, "2:send", "send", to="x", copies=often))
        assert (outcome.status, outcome.code) == ("refused", "run.reference")
        assert upstream.paid == [40]


async def test_a_changed_reference_is_refused_beside_the_right_one(tmp_path: Path) -> None:
    async with talkative(tmp_path) as (_, hop, upstream):
        run = await begin(hop)
        made = ref(await hop.deliver(large(run)))
        both = [made, {**made, "sha256": "0" * 64}]
        outcome = await hop.deliver(step(run, "2:send", "send", to="x", copies=both))
        assert (outcome.status, outcome.code) == ("refused", "run.reference")
        assert upstream.paid == [40]


async def test_after_its_session_a_reference_leads_nowhere(tmp_path: Path) -> None:
    async with talkative(tmp_path) as (_, hop, upstream):
        run = await begin(hop)
        made = ref(await hop.deliver(large(run)))
        await hop.end(run.id, "done", "", None)
        outcome = await hop.deliver(step(run, "2:look", "look", at=made))
        assert outcome.status in {"denied", "refused"}
        assert len(upstream.calls) == 1


async def test_a_restart_finds_what_was_kept(tmp_path: Path) -> None:
    async with talkative(tmp_path) as (_, hop, _):
        run = await begin(hop, key="k")
        made = ref(await hop.deliver(large(run)))
    async with talkative(tmp_path) as (_, hop, upstream):
        assert ref(await hop.deliver(large(run))) == made
        await hop.deliver(step(run, "2:look", "look", at=made))
        assert [call.args for call in upstream.calls] == [{"at": LONG}]
