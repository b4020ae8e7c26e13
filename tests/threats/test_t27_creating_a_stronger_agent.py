"""T27: an agent that a run hands work to has no right, no time and no clean slate of its own."""

from pathlib import Path

import pytest

from gateway.session.session import Session
from tests.orchestration.house import HEAD, Agents, House, flow, house

TOOLS = ("agents.a", "agents.b", "agents.c")
POLICY = (
    HEAD
    + """\
agents: {job: {}, inner: {}}
tools:
  agents.inner: {risk: write, emits: []}
  agents.a: {risk: write, emits: []}
  agents.b: {risk: write, emits: [web]}
  agents.c: {risk: write, emits: []}
guardrails:
  - {id: no-c-after-web, why: Strangers steer nothing., tools: [agents.c], when: "'web' in labels"}
rules:
  - {id: job-may, agents: [job], tools: [agents.inner, agents.a, agents.b], effect: allow}
  - {id: inner-may, agents: [inner], tools: [agents.b, agents.c], effect: allow}
delegation:
  max_hops: 2
  edges:
    - {id: lends, from: job, to: inner, tools: [agents.a, agents.b]}
"""
)
TAINTED = POLICY.replace("agents.a, agents.b], effect", "agents.a, agents.b, agents.c], effect")
TAINTED = TAINTED.replace("to: inner, tools: [agents.a, agents.b]", "to: inner, tools: [agents.*]")


def says() -> Agents:
    return Agents(a=lambda _: "a", b=lambda _: "b", c=lambda _: "c")


@pytest.mark.parametrize(
    ("tool", "may"),
    [
        pytest.param("a", False, id="lent-and-not-its-own"),
        pytest.param("b", True, id="lent-and-its-own"),
        pytest.param("c", False, id="its-own-and-not-lent"),
    ],
)
async def test_t27_who_is_handed_work_may_do_what_both_may(
    tmp_path: Path, tool: str, *, may: bool
) -> None:
    agents = says()
    flows = [flow("inner"), flow(tool, name="inner")]
    async with house(tmp_path, flows, agents, rules=POLICY) as home:
        run = await home.ended(await home.start())
        assert (run.result == "done") is may
        assert agents.asked == ([tool] if may else [])


async def test_t27_what_is_handed_on_ends_with_what_it_was_handed_on_from(tmp_path: Path) -> None:
    flows = [flow("inner", wall="2m"), flow("b", name="inner", wall="8h")]
    async with house(tmp_path, flows, says(), rules=POLICY) as home:
        run = await home.ended(await home.start())
        outer, inner = (session(home, grant.session) for grant in run.grants.values())
        assert inner.parent == outer.id
        assert inner.ends <= outer.ends == run.started + 120


async def test_t27_no_agent_that_is_handed_work_is_clean_where_the_run_is_not(
    tmp_path: Path,
) -> None:
    agents = says()
    flows = [flow({"sequential": ["b", "inner"]}), flow("c", name="inner")]
    async with house(tmp_path, flows, agents, rules=TAINTED) as home:
        ended = await home.stopped()
        assert "no-c-after-web" in ended
        assert agents.asked == ["b"]


async def test_t27_what_it_touches_falls_back_on_the_run(tmp_path: Path) -> None:
    agents = says()
    flows = [flow({"sequential": ["inner", "c"]}), flow("b", name="inner")]
    async with house(tmp_path, flows, agents, rules=TAINTED) as home:
        assert "no-c-after-web" in await home.stopped()
        assert agents.asked == ["b"]


async def test_t27_nothing_is_left_of_it_when_the_run_is_over(tmp_path: Path) -> None:
    flows = [flow("inner"), flow("b", name="inner")]
    async with house(tmp_path, flows, says(), rules=POLICY) as home:
        run = await home.ended(await home.start())
        assert all(session(home, grant.session).ended for grant in run.grants.values())


def session(home: House, session_id: str) -> Session:
    found = home.gateway.gateway.services.state.sessions.get(session_id)
    assert found is not None
    return found
