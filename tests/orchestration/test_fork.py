"""Forks: a run that goes on from a step of another, as whoever forks it and as nobody else."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.runs.run import Forked
from gateway.runs.runs import Runs
from tests.harness.upstream import desk
from tests.orchestration.house import Agents, House, flow, house, policy

ASK = {"approve": {"by": "editors", "question": "Publish this?"}}


def steps(word: str) -> Any:  # noqa: ANN401 - an agent
    return lambda task: [*(task or []), word]


async def forked(home: House, run: str, step: int, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """The fork as its forker ordered it, once it has ended."""
    body = {"step": step, **more}
    answer = await home.gateway.operate("POST", f"/api/runs/{run}/fork", body, check=False)
    found: dict[str, Any] = answer.json()
    if answer.status_code == 200:
        ended = await home.ended(home.hop.runs.get(found["id"]))
        found |= {"result": ended.result, "output": home.hop.kept.output(ended)}
    return found


async def test_what_was_done_before_is_taken_over_and_not_made_again(tmp_path: Path) -> None:
    agents = Agents(a=steps("a"), b=steps("b"), c=steps("c"))
    async with house(tmp_path, [flow({"sequential": ["a", "b", "c"]})], agents) as home:
        run = await home.ended(await home.start())
        fork = await forked(home, run.id, 3)
        assert (fork["result"], fork["output"]) == ("done", ["a", "b", "c"])
        assert agents.asked == ["a", "b", "c", "c"]
        assert fork["forked"]["run"] == run.id
        assert home.hop.runs.get(run.id).result == "done"
        again = await forked(home, fork["id"], 1)  # its only own step
        assert again["output"] == ["a", "b", "c"]
        assert agents.asked == ["a", "b", "c", "c", "c"]


async def test_a_step_is_given_what_the_forker_says(tmp_path: Path) -> None:
    agents = Agents(a=steps("a"), b=steps("b"), c=steps("c"))
    async with house(tmp_path, [flow({"sequential": ["a", "b", "c"]})], agents) as home:
        run = await home.ended(await home.start())
        fork = await forked(home, run.id, 2, instead=["z"])
        assert fork["output"] == ["z", "b", "c"]
        assert agents.asked == ["a", "b", "c", "b", "c"]


async def test_a_fork_is_a_run_of_who_forks_with_rights_of_its_own(tmp_path: Path) -> None:
    agents = Agents(a=steps("a"), b=steps("b"))
    async with house(tmp_path, [flow({"sequential": ["a", "b"]})], agents) as home:
        run = await home.ended(await home.start())
        await forked(home, run.id, 2)
        first, second = home.gateway.entries("run.started")
        assert (first["by"], second["by"]) == ("operator:ana", "operator:adam")
        assert first["session"] != second["session"]
        assert second["actor"] == {"agent": "job", "chain": [], "sub": None}
        mine = [b for b in home.gateway.entries("decision") if b["session"] == second["session"]]
        assert [body["req"]["id"] for body in mine] == [f"{second['run']}/2:b"]


async def test_what_the_forks_agent_may_do_no_more_is_not_taken_over(tmp_path: Path) -> None:
    agents = Agents(a=steps("a"), b=steps("b"))
    text = policy("a", "b")
    async with house(tmp_path, [flow({"sequential": ["a", "b"]})], agents, rules=text) as home:
        run = await home.ended(await home.start())
        narrow = "\n".join(line for line in text.split("\n") if "desk" not in line)
        await home.gateway.apply(narrow.replace("tools: [agents.a, agents.b]", "tools: [agents.b]"))
        fork = await forked(home, run.id, 2)
        assert fork["result"] == "denied"
        assert agents.asked == ["a", "b"]


async def test_labels_come_along_with_what_is_taken_over(tmp_path: Path) -> None:
    text = policy("a", "b").replace("agents.a: {risk: write, emits: []}", "agents.a: {risk: write}")
    agents = Agents(a=steps("a"), b=steps("b"))
    async with house(tmp_path, [flow({"sequential": ["a", "b"]})], agents, rules=text) as home:
        run = await home.ended(await home.start())
        await forked(home, run.id, 2)
        assert home.gateway.entries("session.open")[-1]["labels"] == ["private", "untrusted"]


async def test_a_yes_to_a_run_is_none_to_its_fork(tmp_path: Path) -> None:
    agents = Agents(a=steps("a"), b=steps("b"))
    async with house(tmp_path, [flow({"sequential": ["a", ASK, "b"]})], agents) as home:
        run = await home.start()
        await home.gateway.until(lambda: bool(home.gateway.entries("approval.asked")))
        await home.gateway.answer(home.gateway.entries("approval.asked")[0]["approval"])
        await home.ended(run)
        await home.gateway.operate("POST", f"/api/runs/{run.id}/fork", {"step": 3})
        await home.gateway.until(lambda: len(home.gateway.entries("approval.asked")) == 2)
        assert agents.asked == ["a", "b"]
        await home.gateway.answer(home.gateway.entries("approval.asked")[1]["approval"])
        await home.gateway.until(lambda: agents.asked == ["a", "b", "b"])


async def test_a_fork_has_its_whole_budget(tmp_path: Path) -> None:
    agents = Agents(a=steps("a"), b=steps("b"), c=steps("c"))
    tight = flow({"sequential": ["a", "b", "c"]}, calls=2)
    async with house(tmp_path, [tight], agents) as home:
        run = await home.ended(await home.start())
        assert run.result == "exhausted"
        fork = await forked(home, run.id, 2)
        assert (fork["result"], fork["output"]) == ("done", ["a", "b", "c"])


async def test_forks_survive_a_restart(tmp_path: Path) -> None:
    agents = Agents(a=steps("a"), b=steps("b"))
    node = flow({"sequential": ["a", ASK, "b"]})
    async with house(tmp_path, [node], agents) as home:
        run = await home.start()
        await home.gateway.until(lambda: bool(home.gateway.entries("approval.asked")))
        await home.gateway.operate(
            "POST", f"/api/runs/{run.id}/fork", {"step": 1, "instead": ["z"]}
        )
        await home.gateway.until(lambda: len(home.gateway.entries("approval.asked")) == 2)
    for file in (tmp_path / "home").glob("runs.db*"):
        file.unlink()
    async with house(tmp_path, [node], agents) as home:
        asked = home.gateway.entries("approval.asked")[1]
        await home.gateway.answer(asked["approval"])
        fork = home.hop.runs.all()[-1]
        assert home.hop.kept.output(await home.ended(fork)) == ["z", "a", "b"]
        assert agents.asked == ["a", "a", "b"]


async def test_a_step_that_may_have_acted_is_not_made_again_by_a_fork(tmp_path: Path) -> None:
    async with desk() as upstream:
        agents = Agents(a=steps("a"))
        pay = {"tool": {"name": "desk.pay", "args": {"amount": 4}}}
        node = flow({"sequential": [{"parallel": {"branches": [pay], "on_error": "keep"}}, "a"]})
        servers = {"desk": upstream}
        async with house(tmp_path, [node], agents, rules=policy("a"), servers=servers) as home:
            upstream.then = _loses
            run = await home.ended(await home.start())
            assert run.result == "done"
            fork = await forked(home, run.id, 2)
            assert fork["result"] == "done"
            assert len(upstream.calls) == 1


async def _loses(_: object, writer: Any) -> None:  # noqa: ANN401 - a stream
    writer.close()


@pytest.mark.parametrize("step", [0, 3, -1], ids=["none", "beyond", "negative"])
async def test_a_step_that_was_not_made_is_no_place_to_fork(tmp_path: Path, step: int) -> None:
    agents = Agents(a=steps("a"), b=steps("b"))
    async with house(tmp_path, [flow({"sequential": ["a", "b"]})], agents) as home:
        run = await home.ended(await home.start())
        assert (await forked(home, run.id, step))["code"] in {"run.fork", "operator.body"}
        assert len(home.gateway.entries("run.started")) == 1


async def test_a_changed_flow_is_not_forked(tmp_path: Path) -> None:
    agents = Agents(a=steps("a"), b=steps("b"))
    async with house(tmp_path, [flow({"sequential": ["a", "b"]})], agents) as home:
        run = await home.ended(await home.start())
    async with house(tmp_path, [flow({"sequential": ["a", "b", "b"]})], agents) as home:
        assert (await forked(home, run.id, 2))["code"] == "run.fork"


# -- a property: whose a fork is follows from its own start and from nothing of the other run

NAMES = st.sampled_from(["ana", "ben", "mallory"])
AGENTS = st.sampled_from(["job", "other"])


def started(run: str, by: str, agent: str, session: str, **more: Any) -> Mapping[str, Any]:  # noqa: ANN401 - JSON
    return {
        "run": run,
        "flow": "job",
        "digest": "ab",
        "by": f"operator:{by}",
        "key": None,
        "ts": 1_000_000,
        "actor": {"agent": agent, "chain": [], "sub": None},
        "session": session,
        "scope": "*",
        "hops": 1,
        **more,
    }


@settings(deadline=None)
@given(NAMES, AGENTS, NAMES, AGENTS, st.integers(0, 20), st.lists(st.integers(1, 19), unique=True))
def test_a_fork_is_never_anybody_elses(
    by: str, agent: str, forker: str, as_agent: str, before: int, made: list[int]
) -> None:
    runs = Runs(None)  # type: ignore[arg-type]  # nothing is written
    runs.started(started("r1", by, agent, "s1"), 0)
    for index in made:
        body: dict[str, Any] = {
            "id": f"c{index}",
            "ts": 1,
            "req": {"face": "run", "id": f"r1/{index}"},
            "decision": {"effect": "allow"},
            "tool": {"name": "desk.pay"},
            "actor": {"agent": agent},
            "approval": None,
        }
        runs.decided(body, index, authorised=True)
    where = Forked("r1", "x", before)
    runs.started(started("r2", forker, as_agent, "s2", forked=where.to_json()), 30)
    fork = runs.get("r2")
    assert (fork.by, fork.grants[""].agent, fork.session) == (f"operator:{forker}", as_agent, "s2")
    assert set(fork.grants) == {""}
    assert set(runs.reused("r2")) == {str(index) for index in made if index < before}
    assert runs.get("r1").by == f"operator:{by}"
