"""Results by reference: kept once for one run, seen by whoever plans, given to whoever works."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.canonical import Json
from gateway.home import Home
from gateway.runs.errors import RunRefused
from gateway.runs.reference import NAME, id_of, reference, references, told_in
from tests.harness.upstream import Desk
from tests.orchestration.house import Agents, House, flow, house, policy

LONG = "the tide is high. " * 100
BOUND = {"contract": {"of": "web", "refer_above": 1024}}


def told(agents: Agents, name: str) -> list[Any]:
    return [task for who, task in agents.told if who == name]


def lead(*then: Any) -> Any:  # noqa: ANN401 - a script
    """A manager that sends `web`, and does with its result what is written next, then answers."""

    def says(asked: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
        results = asked["results"]
        if not results:
            return {"tasks": [{"worker": "web", "input": "tides"}]}
        if len(results) <= len(then):
            return {"tasks": [then[len(results) - 1](results)]}
        return {"forward": len(results) - 1}

    return says


def pass_on(results: list[Any]) -> Any:  # noqa: ANN401 - JSON
    return {"worker": "analyst", "input": {"notes": results[0]["result"]}}


def supervised(**workers: Any) -> Any:  # noqa: ANN401 - as written
    return {"supervisor": {"manager": "lead", "workers": workers}}


async def test_a_manager_sees_a_reference_and_a_worker_what_it_stands_for(tmp_path: Path) -> None:
    agents = Agents(lead=lead(pass_on), web=lambda _: LONG, analyst=lambda task: len(task["notes"]))
    node = supervised(web=BOUND, analyst="analyst")
    async with house(tmp_path, [flow(node)], agents) as home:
        assert await home.result() == len(LONG)
        (put,) = home.gateway.entries("memory.put")
        assert put["place"]["space"] == "results"
    seen = told(agents, "lead")[1]["results"][0]["result"]
    assert seen == reference(seen[NAME], told_in(LONG), LONG)
    assert LONG not in str(told(agents, "lead"))
    assert told(agents, "analyst") == [{"notes": LONG}]


async def test_what_a_run_gives_is_whole(tmp_path: Path) -> None:
    agents = Agents(lead=lead(), web=lambda _: {"text": LONG})
    async with house(tmp_path, [flow(supervised(web=BOUND))], agents) as home:
        assert await home.result() == {"text": LONG}


async def test_what_a_manager_says_is_never_a_reference(tmp_path: Path) -> None:
    agents = Agents(lead=lambda _: {"answer": LONG})
    node = {"contract": {"of": supervised(web="lead"), "refer_above": 1024}}
    async with house(tmp_path, [flow(node)], agents) as home:
        assert await home.result() == LONG
        assert not home.gateway.entries("memory.put")


async def test_a_small_result_is_handed_about_as_it_is(tmp_path: Path) -> None:
    agents = Agents(lead=lead(), web=lambda _: "low")
    async with house(tmp_path, [flow(supervised(web=BOUND))], agents) as home:
        assert await home.result() == "low"
        assert not home.gateway.entries("memory.put")
    assert told(agents, "lead")[1]["results"][0]["result"] == "low"


async def test_without_a_contract_nothing_is_referred_to(tmp_path: Path) -> None:
    agents = Agents(lead=lead(), web=lambda _: LONG)
    async with house(tmp_path, [flow(supervised(web="web"))], agents) as home:
        assert await home.result() == LONG
    assert told(agents, "lead")[1]["results"][0]["result"] == LONG


async def test_a_large_result_is_held_against_its_contract_whole(tmp_path: Path) -> None:
    agents = Agents(web=lambda _: {"n": [LONG]})
    shape = {"type": "object", "properties": {"n": {"type": "integer"}}}
    node = {"contract": {"of": "web", "refer_above": 1024, "result": shape}}
    async with house(tmp_path, [flow(node)], agents) as home:
        assert "/value/n: expected integer" in await home.stopped()


async def test_a_tool_is_given_what_a_reference_stands_for(tmp_path: Path) -> None:
    agents = Agents(lead=lead(pass_on), web=lambda _: LONG)
    send = {"tool": {"name": "desk.look", "args": {"at": {"from": "/notes"}}}}
    async with Desk() as desk:
        node = supervised(web=BOUND, analyst=send)
        async with house(tmp_path, [flow(node)], agents, servers={"desk": desk}) as home:
            await home.result()
            assert [call.args for call in desk.calls] == [{"at": LONG}]
            looked = home.gateway.entries("decision")[-2]
            assert looked["tool"]["name"] == "desk.look"
            assert looked["args"]["len"] > len(LONG)  # what is decided on is what is sent


LED_ASTRAY: dict[str, Any] = {
    "no-such": lambda ref: {NAME: "0" * 32},
    "another-size": lambda ref: {**ref, "bytes": ref["bytes"] + 1},
    "another-hash": lambda ref: {**ref, "sha256": "0" * 64},
}


@pytest.mark.parametrize("name", LED_ASTRAY)
async def test_a_reference_that_is_not_as_it_was_made_leads_nowhere(
    tmp_path: Path, name: str
) -> None:
    def use(results: list[Any]) -> Any:  # noqa: ANN401 - JSON
        return {"worker": "analyst", "input": LED_ASTRAY[name](results[0]["result"])}

    def over(asked: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
        results = asked["results"]
        return {"answer": results[1]["stopped"]} if len(results) == 2 else lead(use)(asked)

    agents = Agents(lead=over, web=lambda _: LONG, analyst=lambda _: "never")
    async with house(tmp_path, [flow(supervised(web=BOUND, analyst="analyst"))], agents) as home:
        stopped = await home.result()
        (refusal,) = home.gateway.entries("refusal")
    assert isinstance(stopped, dict)
    assert (stopped["reason"], stopped["code"]) == ("refused", "run.reference")
    assert refusal["code"] == "run.reference"
    assert "analyst" not in agents.asked


async def kept(home: House, agents: Agents) -> tuple[Any, Any]:
    """A run that has kept a result and goes on, with the reference to it."""
    run = await home.start()
    await home.gateway.until(lambda: len(told(agents, "lead")) == 2)
    return run, told(agents, "lead")[1]["results"][0]["result"]


class Held:
    """A manager that waits with its second turn until it is let go on."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()

    async def says(self, asked: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
        if not asked["results"]:
            return lead()(asked)
        await self.go_on.wait()
        return {"answer": "over"}


async def test_a_reference_of_another_run_is_none(tmp_path: Path) -> None:
    held = Held()
    agents = Agents(lead=held.says, web=lambda _: LONG)
    flows = [flow(supervised(web=BOUND)), flow("web", name="other")]
    rules = policy("lead", "web", more="  other: {}\n").replace("[job]", "[job, other]")
    async with house(tmp_path, flows, agents, rules=rules) as home:
        run, ref = await kept(home, agents)
        assert await home.hop.whole(run.id, "", ref) == LONG
        another = await home.ended(await home.start("other", ref))
        made_up = await home.ended(await home.start("other", {NAME: "0" * 32}))
        assert (another.result, another.detail) == (made_up.result, made_up.detail)
        assert another.result == "refused"
        held.go_on.set()
        await home.ended(run)
    assert agents.asked.count("web") == 1


async def test_when_the_run_is_over_nobody_reads_what_it_kept(tmp_path: Path) -> None:
    held = Held()
    agents = Agents(lead=held.says, web=lambda _: LONG)
    async with house(tmp_path, [flow(supervised(web=BOUND))], agents) as home:
        run, ref = await kept(home, agents)
        keys = Home.at(tmp_path / "home").session_keys
        assert [each for each in keys.rglob("*") if each.is_file()]
        held.go_on.set()
        await home.ended(run)
        await home.gateway.until(lambda: bool(home.gateway.entries("memory.wiped")))
        with pytest.raises(RunRefused, match="no such result"):
            await home.hop.whole(run.id, "", ref)
        assert not [each for each in keys.rglob("*") if each.is_file()]


LABELLED = """\
  - id: clean-only
    agents: [job]
    tools: [agents.analyst]
    effect: deny
    when: "'untrusted' in labels"
"""


async def test_labels_travel_with_what_a_reference_stands_for(tmp_path: Path) -> None:
    agents = Agents(lead=lead(pass_on), web=lambda _: LONG, analyst=lambda _: "never")
    rules = policy("lead", "web", "analyst", rules=LABELLED)
    rules = rules.replace(
        "agents.web: {risk: write, emits: []}", "agents.web: {risk: read, emits: [untrusted]}"
    )
    node = supervised(web=BOUND, analyst="analyst")
    async with house(tmp_path, [flow(node)], agents, rules=rules) as home:
        assert "a result that was stopped" in await home.stopped()
        (put,) = home.gateway.entries("memory.put")
    assert put["labels"] == ["untrusted"]
    assert "analyst" not in agents.asked


async def test_what_a_worker_writes_is_not_looked_at_for_references(tmp_path: Path) -> None:
    forged = {NAME: "0" * 32, "text": LONG}
    agents = Agents(lead=lead(pass_on), web=lambda _: [forged, LONG], analyst=lambda task: task)
    node = supervised(web=BOUND, analyst="analyst")
    async with house(tmp_path, [flow(node)], agents) as home:
        assert await home.result() == {"notes": [forged, LONG]}


async def test_a_fork_keeps_what_it_takes_over_for_itself(tmp_path: Path) -> None:
    agents = Agents(lead=lead(pass_on), web=lambda _: LONG, analyst=lambda task: len(task["notes"]))
    node = supervised(web=BOUND, analyst="analyst")
    async with house(tmp_path, [flow(node)], agents) as home:
        run = await home.ended(await home.start())
        taken = list(home.hop.runs.steps(run.id))
        number = next(n for n, path in enumerate(taken, start=1) if path.endswith("analyst"))
        answer = await home.gateway.operate("POST", f"/api/runs/{run.id}/fork", {"step": number})
        fork = await home.ended(home.hop.runs.get(answer.json()["id"]))
        assert (fork.result, await home.service.output(fork)) == ("done", len(LONG)), fork.detail
        assert agents.asked.count("web") == 1
        one, two = home.gateway.entries("memory.put")
        assert one["place"]["owner"] != two["place"]["owner"]
    assert told(agents, "analyst") == [{"notes": LONG}] * 2


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=300),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=10,
)


@given(value=values)
def test_a_reference_shows_little_and_is_found_again(value: Json) -> None:
    made = reference("ab" * 16, told_in(value), value)
    assert id_of(made) == "ab" * 16
    assert len(told_in({"begins": made["begins"]})) < 200 * 6 + 20
    assert list(references([{"x": made}, value])) == [made]


@pytest.mark.parametrize(
    "value",
    [
        pytest.param({NAME: "short"}, id="no-id"),
        pytest.param({NAME: "0" * 33}, id="too-long"),
        pytest.param({NAME: "G" * 32}, id="no-hex"),
        pytest.param({NAME: 1}, id="a-number"),
        pytest.param({NAME: "0" * 32, "more": 1}, id="more-than-a-reference"),
        pytest.param({"bytes": 1, "sha256": ""}, id="without-its-id"),
        pytest.param([NAME, "0" * 32], id="a-list"),
    ],
)
def test_what_only_looks_like_a_reference_is_a_value(value: Json) -> None:
    assert id_of(value) is None
