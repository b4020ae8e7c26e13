"""Runs: people in them, flows in flows, what bounds them, and what a restart makes of them."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from gateway.runs.errors import RunRefused
from gateway.runs.run import Json, Run
from orchestration.engine import Engine
from orchestration.errors import FlowInvalid
from orchestration.service import Flows
from tests.harness.gateway import Clock
from tests.orchestration.house import Agents, House, flow, house, policy

ASK = {"approve": {"by": "editors", "question": "Publish this?"}}


def says(word: str) -> Any:  # noqa: ANN401 - an agent
    return lambda _: word


async def asked(home: House, times: int = 1) -> list[str]:
    """Ids of the requests, when there are so many."""
    await home.gateway.until(lambda: len(home.gateway.entries("approval.asked")) >= times)
    return [body["approval"] for body in home.gateway.entries("approval.asked")]


# -- people


@pytest.mark.parametrize(
    ("otherwise", "verdict", "ends"),
    [
        pytest.param("stop", "approve", "['draft', 'out']", id="yes"),
        pytest.param("stop", "deny", "denied: Denied: a person refused", id="no"),
        pytest.param("go-on", "deny", "[{'approved': False", id="no-and-on"),
        pytest.param("go-on", "approve", "[{'approved': True", id="yes-and-on"),
    ],
)
async def test_people_decide_whether_a_run_goes_on(
    tmp_path: Path, otherwise: str, verdict: str, ends: str
) -> None:
    agents = Agents(draft=says("draft"), out=lambda task: [task, "out"])
    node = {"sequential": ["draft", {"approve": {**ASK["approve"], "otherwise": otherwise}}, "out"]}
    async with house(tmp_path, [flow(node)], agents) as home:
        run = await home.start()
        (request,) = await asked(home)
        assert agents.asked == ["draft"]
        await home.gateway.answer(request, verdict)
        ended = await home.ended(run)
        came = (
            home.hop.kept.output(ended)
            if ended.result == "done"
            else f"{ended.result}: {ended.detail}"
        )
        assert str(came).startswith(ends)


async def test_a_rule_that_lets_a_question_pass_is_no_persons_yes(tmp_path: Path) -> None:
    agents = Agents(out=says("out"))
    lax = policy("out").replace("effect: ask, approval: one-person", "effect: allow")
    async with house(tmp_path, [flow({"sequential": [ASK, "out"]})], agents, rules=lax) as home:
        assert (await home.stopped()).startswith("refused: the policy lets approvals.editors pass")
        assert agents.asked == []


async def test_a_yes_to_one_run_is_none_to_another(tmp_path: Path) -> None:
    agents = Agents(out=says("out"))
    async with house(tmp_path, [flow({"sequential": [ASK, "out"]})], agents) as home:
        first, second = await home.start(), await home.start()
        requests = await asked(home, 2)
        assert len(set(requests)) == 2
        await home.gateway.answer(requests[0])
        done = home.ended(first), home.ended(second)
        one = await next(asyncio.as_completed(list(done)))
        assert one.result == "done"
        assert agents.asked == ["out"]
        other = second if one.id == first.id else first
        await home.service.cancel(other.id, by="test")
        assert (await home.ended(other)).result == "cancelled"


async def test_branches_are_asked_about_one_by_one(tmp_path: Path) -> None:
    node = {"parallel": [ASK, ASK, ASK]}
    async with house(tmp_path, [flow(node)]) as home:
        run = await home.start(given="x")
        for request in await asked(home, 3):
            await home.gateway.answer(request)
        assert home.hop.kept.output(await home.ended(run)) == ["x", "x", "x"]


async def test_a_plan_waits_for_people(tmp_path: Path) -> None:
    turns = [{"done": True}]
    agents = Agents(
        manager=lambda told: turns[0] if told["do"] == "progress" else told["do"],
        web=says("found"),
    )
    node = {"magentic": {"manager": "manager", "team": {"web": "web"}, "review": "editors"}}
    async with house(tmp_path, [flow(node)], agents) as home:
        run = await home.start()
        (request,) = await asked(home)
        await home.gateway.answer(request, "deny")
        assert (await home.ended(run)).result == "tripped"


# -- a restart


async def test_parked_runs_are_parked_again_after_a_restart(tmp_path: Path) -> None:
    agents = Agents(draft=says("draft"), out=says("out"))
    node = flow({"sequential": ["draft", ASK, "out"]})
    async with house(tmp_path, [node], agents) as home:
        runs = [await home.start() for _ in range(5)]
        requests = await asked(home, 5)
    async with house(tmp_path, [node], agents) as home:
        for request in requests:
            await home.gateway.answer(request)
        for run in runs:
            ended = await home.ended(run)
            assert (ended.result, ended.detail) == ("done", "")
        assert len(home.gateway.entries("approval.asked")) == 5
    assert agents.asked.count("draft") == agents.asked.count("out") == 5


async def test_a_lost_database_costs_no_step(tmp_path: Path) -> None:
    agents = Agents(draft=says("draft"), out=says("out"))
    node = flow({"sequential": ["draft", ASK, "out"]})
    async with house(tmp_path, [node], agents) as home:
        run = await home.start()
        (request,) = await asked(home)
    for file in (tmp_path / "home").glob("runs.db*"):
        file.unlink()
    async with house(tmp_path, [node], agents) as home:
        await home.gateway.answer(request)
        assert (await home.ended(run)).result == "done"
    assert agents.asked == ["draft", "out"]


async def test_a_run_keeps_the_flow_that_it_began_with(tmp_path: Path) -> None:
    agents = Agents(a=says("a"), b=says("b"), c=says("c"))
    async with house(tmp_path, [flow({"sequential": ["a", ASK, "b"]})], agents) as home:
        run = await home.start()
        (request,) = await asked(home)
    changed = flow({"sequential": ["a", ASK, "c"]})
    async with house(tmp_path, [changed], agents) as home:
        await home.gateway.answer(request)
        assert home.hop.kept.output(await home.ended(run)) == "b"
    assert "c" not in agents.asked


async def test_a_flow_that_changed_takes_up_no_run_of_a_lost_database(tmp_path: Path) -> None:
    agents = Agents(a=says("a"), b=says("b"))
    async with house(tmp_path, [flow({"sequential": ["a", ASK]})], agents) as home:
        run = await home.start()
        await asked(home)
    for file in (tmp_path / "home").glob("runs.db*"):
        file.unlink()
    async with house(tmp_path, [flow({"sequential": ["b", ASK]})], agents) as home:
        ended = await home.ended(run)
        assert (ended.result, ended.detail) == ("failed", "the flow is no longer what it was")
    assert agents.asked == ["a"]


async def test_a_run_is_paused_across_a_restart(tmp_path: Path) -> None:
    go = asyncio.Event()

    async def slow(_: Json) -> Json:
        await go.wait()
        return "a"

    agents = Agents(a=slow, b=says("b"))
    node = flow({"sequential": ["a", "b"]})
    async with house(tmp_path, [node], agents) as home:
        run = await home.start()
        await home.gateway.until(lambda: agents.asked == ["a"])
        await home.gateway.operate("POST", f"/api/runs/{run.id}/pause")
        go.set()
        await home.gateway.until(lambda: home.hop.runs.steps(run.id)["1:a"].status == "done")
    async with house(tmp_path, [node], agents) as home:
        assert home.hop.runs.get(run.id).state == "paused"
        assert agents.asked == ["a"]
        await home.gateway.operate("POST", f"/api/runs/{run.id}/resume")
        assert (await home.ended(run)).result == "done"
    assert agents.asked == ["a", "b"]


# -- flows in flows

LENDING = "    - {id: job-inner, from: job, to: inner, tools: [agents.*]}\n"
INNER = "  inner: {}\n"
INNER_RULES = """\
  - {id: hands, agents: [job], tools: [agents.inner], effect: allow}
  - {id: works, agents: [inner], tools: [agents.a, agents.b], effect: allow}
"""


def nested(**changes: str) -> str:
    given = {"more": INNER, "rules": INNER_RULES, "edges": LENDING} | changes
    text = policy("a", "b", **given)
    return text.replace("tools:\n", "tools:\n  agents.inner: {risk: write, emits: []}\n", 1)


async def test_a_flow_calls_another_in_its_own_name(tmp_path: Path) -> None:
    agents = Agents(a=says("a"), b=lambda task: [task, "b"])
    flows = [flow({"sequential": ["inner", "b"]}), flow({"sequential": ["a", "b"]}, name="inner")]
    async with house(tmp_path, flows, agents, rules=nested()) as home:
        assert await home.result() == [["a", "b"], "b"]
        actors = [
            (body["actor"]["agent"], body["actor"]["chain"], body["tool"]["name"])
            for body in home.gateway.entries("decision")
        ]
        assert actors == [
            ("job", [], "agents.inner"),
            ("inner", ["job"], "agents.a"),
            ("inner", ["job"], "agents.b"),
            ("job", [], "agents.b"),
        ]


async def test_several_flows_at_once_are_handed_on_each_by_itself(tmp_path: Path) -> None:
    agents = Agents(a=lambda task: [task], b=lambda task: [*task, "b"])
    flows = [flow({"map": {"each": "inner"}}), flow({"sequential": ["a", "b"]}, name="inner")]
    async with house(tmp_path, flows, agents, rules=nested()) as home:
        assert await home.result(given=[1, 2, 3]) == [[1, "b"], [2, "b"], [3, "b"]]
        assert len(home.gateway.entries("run.granted")) == 3


@pytest.mark.parametrize(
    ("changes", "stop"),
    [
        pytest.param({"edges": ""}, "denied: inner cannot be handed the work", id="no-edge"),
        pytest.param(
            {"rules": INNER_RULES.split("\n", 1)[1]}, "denied: ", id="no-rule-to-reach-it"
        ),
        pytest.param(
            {"rules": INNER_RULES.split("\n", 1)[0] + "\n"}, "denied: ", id="no-rule-of-its-own"
        ),
        pytest.param({"edges": LENDING.replace("agents.*", "agents.b")}, "denied: ", id="not-lent"),
    ],
)
async def test_work_is_not_handed_on_beyond_the_policy(
    tmp_path: Path, changes: dict[str, str], stop: str
) -> None:
    agents = Agents(a=says("a"), b=says("b"))
    flows = [flow("inner"), flow("a", name="inner")]
    async with house(tmp_path, flows, agents, rules=nested(**changes)) as home:
        assert (await home.stopped()).startswith(stop)
        assert agents.asked == []


# -- bounds


@pytest.mark.parametrize(
    ("node", "limits", "stop", "calls"),
    [
        pytest.param({"sequential": ["a"] * 5}, {"calls": 3}, "no calls left", 3, id="calls"),
        pytest.param({"parallel": ["a"] * 5}, {"calls": 3}, "no calls left", 3, id="fan"),
        pytest.param(
            {"parallel": [{"sequential": ["a"] * 3}] * 2},
            {"calls": 4},
            "no calls left",
            4,
            id="parts",
        ),
        pytest.param(
            {"sequential": [{"sequential": [{"sequential": ["a"]}]}]},
            {"depth": 1},
            "lie too deep",
            0,
            id="depth",
        ),
        pytest.param(
            {"parallel": [{"sequential": [{"sequential": ["a"]}]}]},
            {"depth": 1},
            "lie too deep",
            0,
            id="depth-of-parts",
        ),
    ],
)
async def test_a_run_uses_no_more_than_its_limits(
    tmp_path: Path,
    node: Any,  # noqa: ANN401 - as written
    limits: dict[str, Any],
    stop: str,
    calls: int,
) -> None:
    agents = Agents(a=says("a"))
    async with house(tmp_path, [flow(node, **limits)], agents) as home:
        ended = await home.stopped()
        assert ended.startswith("exhausted: ")
        assert stop in ended
        assert len(agents.asked) == calls


async def test_nothing_begins_when_the_time_is_up(tmp_path: Path) -> None:
    clock = Clock()

    def slow(_: Json) -> str:
        clock.pass_s(61)
        return "a"

    agents = Agents(a=slow, b=says("b"))
    node = flow({"sequential": ["a", "b"]}, wall="1m")
    async with house(tmp_path, [node], agents, clock=clock) as home:
        run = await home.ended(await home.start())
        assert run.result in {"exhausted", "denied"}
        assert agents.asked == ["a"]


async def test_a_wait_ends_by_itself_or_with_the_run(tmp_path: Path) -> None:
    node = flow({"sequential": [{"wait": "1s"}, "a"]})
    agents = Agents(a=says("a"))
    async with house(tmp_path, [node, flow({"wait": "30m"}, name="long")], agents) as home:
        assert await home.result() == "a"
        with pytest.raises(RunRefused) as refused:
            await home.start("long")  # no policy names it
        assert refused.value.code == "run.agent"


async def test_a_waiting_run_can_be_cancelled(tmp_path: Path) -> None:
    async with house(
        tmp_path, [flow({"sequential": [{"wait": "30m"}, "a"]})], Agents(a=says("a"))
    ) as home:
        run = await home.start()
        await home.service.cancel(run.id, by="operator:ana")
        assert (await home.ended(run)).result == "cancelled"


@pytest.mark.parametrize("given", ["x" * 70_000], ids=["too-long"])
async def test_an_input_that_the_log_cannot_keep_is_refused(tmp_path: Path, given: Json) -> None:
    async with house(tmp_path, [flow("a")], Agents(a=says("a"))) as home:
        with pytest.raises(RunRefused) as refused:
            await home.start(given=given)
        assert refused.value.code == "run.input"


def test_two_flows_have_two_names() -> None:
    with pytest.raises(FlowInvalid):
        Flows([flow("a"), flow("b")])


async def test_a_run_that_nobody_looks_up_any_more_leaves_nothing_behind(tmp_path: Path) -> None:
    clock = Clock()
    node = flow({"parallel": ["a", {"sequential": ["a", "a"]}]})
    async with house(tmp_path, [node], Agents(a=says("a")), clock=clock) as home:
        run = await home.ended(await home.start())
    clock.pass_s(25 * 3600)
    async with house(tmp_path, [node], Agents(a=says("a")), clock=clock) as home:
        await home.gateway.until(lambda: run.id not in {each.id for each in home.hop.runs.all()})
    async with house(tmp_path, [node], Agents(a=says("a")), clock=clock) as home:
        engine = Engine._open
        assert engine is not None
        async with asyncio.timeout(20):
            while await engine.held():  # noqa: ASYNC110 - there is no event to wait for
                await asyncio.sleep(0.05)


async def test_a_run_that_begins_while_others_are_looked_up_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    homes: list[House] = []
    begun: list[Run] = []
    held = Engine.held

    async def slowly(engine: Engine) -> frozenset[str]:
        if homes and not begun:
            begun.append(await homes[0].start())
            await homes[0].gateway.until(lambda: agents.asked == ["waits"])
        return await held(engine)

    go_on = asyncio.Event()
    agents = Agents(waits=lambda _: go_on.wait(), out=says("out"))
    monkeypatch.setattr(Engine, "held", slowly)
    monkeypatch.setattr("orchestration.service.FORGET_EVERY_S", 0.05)
    async with house(tmp_path, [flow({"sequential": ["waits", "out"]})], agents) as home:
        homes.append(home)
        await home.gateway.until(lambda: bool(begun))
        go_on.set()
        assert (await home.ended(begun[0])).result == "done"


async def test_nobody_but_a_run_has_a_flow_announced(tmp_path: Path) -> None:
    agents = Agents(a=says("a"), b=says("b"))
    flows = [flow("inner"), flow("a", name="inner")]
    async with house(tmp_path, flows, agents, rules=nested()) as home:
        job = await home.gateway.agent("job")
        answered = await job.call("agents.inner", task=1)
        assert "This goes by agents__invoke" in str(answered.result)
        assert (await job.call("agents.b", task=1)).done
        assert await home.result() == "a"
