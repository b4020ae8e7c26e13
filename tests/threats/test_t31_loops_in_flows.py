"""T31: flows that call each other, or many, end at their bounds, and refusals are on record."""

from pathlib import Path

from tests.orchestration.house import HEAD, Agents, flow, house

POLICY = (
    HEAD
    + """\
agents: {job: {}, inner: {}}
tools:
  agents.job: {risk: write, emits: []}
  agents.inner: {risk: write, emits: []}
  agents.worker: {risk: write, emits: []}
limits:
  few: {per: agent, rate: 5/h}
rules:
  - {id: calls, agents: [job, inner], tools: [agents.job, agents.inner], effect: allow}
  - {id: works, agents: [job, inner], tools: [agents.worker], effect: allow, limits: [few]}
delegation:
  max_hops: 8
  max_children: 4
  edges:
    - {id: out, from: job, to: inner, tools: [agents.*]}
    - {id: back, from: inner, to: job, tools: [agents.*]}
"""
)


INNER = flow("worker", name="inner")


def one_worker() -> Agents:
    return Agents(worker=lambda _: "done")


async def test_t31_flows_that_call_each_other_are_stopped_at_the_circle(tmp_path: Path) -> None:
    flows = [flow("inner"), flow("job", name="inner")]
    async with house(tmp_path, flows, one_worker(), rules=POLICY) as home:
        ended = await home.stopped()
        assert ended.startswith("denied: job cannot be handed the work")
        assert len(home.gateway.entries("run.granted")) == 1


async def test_t31_a_flow_has_as_many_sessions_as_one_request_may_lead_to(tmp_path: Path) -> None:
    flows = [
        flow({"map": {"each": "inner", "on_error": "keep"}}),
        flow("worker", name="inner"),
    ]
    agents = one_worker()
    async with house(tmp_path, flows, agents, rules=POLICY) as home:
        results = await home.result(given=list(range(10)))
        assert isinstance(results, list)
        stopped = [each["stopped"] for each in results if isinstance(each, dict)]
        codes = {each["code"] for each in stopped if isinstance(each, dict)}
        assert len(home.gateway.entries("run.granted")) == 4
        assert codes == {"delegation.fan-out"}


async def test_t31_a_flow_over_a_thousand_items_is_bounded_by_its_lease(tmp_path: Path) -> None:
    node = flow({"map": {"each": "worker", "max_items": 1000, "on_error": "keep"}}, calls=3)
    agents = one_worker()
    async with house(tmp_path, [node, INNER], agents, rules=POLICY) as home:
        results = await home.result(given=list(range(1000)))
        assert isinstance(results, list)
        assert results.count("done") == len(agents.asked) == 3
        assert len(home.gateway.entries("decision")) == 3


async def test_t31_limits_of_the_policy_hold_for_all_branches_together(tmp_path: Path) -> None:
    node = flow({"map": {"each": "worker", "on_error": "keep"}})
    agents = one_worker()
    async with house(tmp_path, [node, INNER], agents, rules=POLICY) as home:
        results = await home.result(given=list(range(12)))
        assert isinstance(results, list)
        assert results.count("done") == len(agents.asked) == 5
        refused = [
            body
            for body in home.gateway.entries("decision")
            if body["decision"]["effect"] == "deny"
        ]
        assert {rule for body in refused for rule in body["decision"]["rules"]} == {"limit:few"}
