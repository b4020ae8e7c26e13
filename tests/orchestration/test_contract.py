"""Contracts: work counts when it keeps its terms, and has no rights but those that it was lent."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.canonical import Json
from gateway.identity import scopes
from orchestration.errors import FlowInvalid
from orchestration.files import read_flow
from orchestration.lease import Lease
from orchestration.parts import Agent
from orchestration.spec import Contract
from orchestration.terms import Bound
from tests.harness.upstream import Desk
from tests.orchestration.house import Agents, House, flow, house, policy

LOOK = {"tool": {"name": "desk.look", "args": {}}}
PAY = {"tool": {"name": "desk.pay", "args": {"to": "ana", "amount": 1}}}
NUMBER: dict[str, Json] = {
    "type": "object",
    "properties": {"n": {"type": "integer"}},
    "required": ["n"],
}


def stubborn(result: Json) -> Any:  # noqa: ANN401 - a script
    return lambda _: result


def told(agents: Agents, name: str) -> list[Any]:
    return [task for who, task in agents.told if who == name]


async def only(home: House) -> Any:  # noqa: ANN401 - JSON
    """The one member of what a run gives."""
    answers = await home.result()
    assert isinstance(answers, list)
    assert len(answers) == 1
    return answers[0]


async def test_a_worker_is_told_its_contract(tmp_path: Path) -> None:
    agents = Agents(web=stubborn({"n": 1}))
    node = {"contract": {"of": "web", "goal": "Count.", "result": NUMBER, "calls": 3, "wall": "5m"}}
    async with house(tmp_path, [flow(node)], agents) as home:
        assert await home.result(given="pages") == {"n": 1}
    terms = {"goal": "Count.", "result": NUMBER, "calls": 3, "wall_s": 300}
    assert told(agents, "web") == [{"contract": terms, "input": "pages"}]


async def test_what_does_not_fit_is_given_back_once_with_the_reason(tmp_path: Path) -> None:
    agents = Agents(web=lambda task: {"n": 2} if "objection" in task else {"n": "two"})
    async with house(
        tmp_path, [flow({"contract": {"of": "web", "result": NUMBER}})], agents
    ) as home:
        assert await home.result() == {"n": 2}
    first, second = told(agents, "web")
    assert "objection" not in first
    assert (second["objection"], second["before"]) == ("/value/n: expected integer", {"n": "two"})


@pytest.mark.parametrize(
    ("terms", "result", "complaint"),
    [
        pytest.param({"result": NUMBER}, {"n": "two"}, "/value/n: expected integer", id="schema"),
        pytest.param({"result": NUMBER}, {"n": 1, "also": 2}, "unknown field also", id="more"),
        pytest.param({"result": NUMBER}, None, "expected object", id="nothing"),
        pytest.param({"result": NUMBER}, '{"n": "two"}', "expected object", id="text"),
        pytest.param({"accept": "args.n > 1"}, {"n": 1}, "args.n > 1", id="condition"),
        pytest.param({"accept": "args.m > 1"}, {"n": 1}, "args.m > 1", id="no-such-member"),
    ],
)
async def test_what_still_does_not_fit_ends_with_a_named_reason(
    tmp_path: Path, terms: dict[str, Any], result: Json, complaint: str
) -> None:
    agents = Agents(web=stubborn(result))
    async with house(tmp_path, [flow({"contract": {"of": "web", **terms}})], agents) as home:
        said = await home.stopped()
    assert said.startswith("failed: what came of it does not keep the contract")
    assert complaint in said
    assert agents.asked == ["web", "web"]


async def test_a_model_may_say_it_as_text(tmp_path: Path) -> None:
    agents = Agents(web=stubborn('{"n": 4}'))
    node = {"contract": {"of": "web", "result": NUMBER}}
    async with house(tmp_path, [flow(node)], agents) as home:
        assert await home.result() == {"n": 4}


async def test_a_tool_is_not_called_again_for_an_answer_that_does_not_fit(tmp_path: Path) -> None:
    async with Desk() as desk:
        node = {"contract": {"of": PAY, "result": NUMBER}}
        async with house(tmp_path, [flow(node)], servers={"desk": desk}) as home:
            assert "does not keep the contract" in await home.stopped()
            assert len(desk.calls) == 1


@pytest.mark.parametrize(
    ("verdict", "said"),
    [
        pytest.param({"approved": False, "feedback": "too thin"}, "contract: too thin", id="no"),
        pytest.param({"approved": False}, "it was not approved", id="no-and-no-reason"),
        pytest.param({"approved": "yes"}, "did not say whether", id="neither"),
        pytest.param("fine", "did not say whether", id="text"),
    ],
)
async def test_a_check_that_does_not_approve_is_the_end(
    tmp_path: Path, verdict: Json, said: str
) -> None:
    agents = Agents(web=stubborn({"n": 1}), critic=stubborn(verdict))
    node = {"contract": {"of": "web", "checks": ["critic"]}}
    async with house(tmp_path, [flow(node)], agents) as home:
        assert said in await home.stopped()


async def test_a_check_sees_the_contract_and_what_came_of_it(tmp_path: Path) -> None:
    agents = Agents(web=stubborn({"n": 1}), critic=stubborn({"approved": True}))
    node = {"contract": {"of": "web", "goal": "Count.", "checks": ["critic"]}}
    async with house(tmp_path, [flow(node)], agents) as home:
        await home.result(given="x")
    shown = {"contract": {"goal": "Count."}, "input": "x", "result": {"n": 1}}
    assert told(agents, "critic") == [shown]


def test_python_and_yaml_are_two_spellings() -> None:
    built = Contract(of=Agent(name="web"), goal="Count.", tools=("desk.look",), wall="5m")
    written = {"of": "web", "goal": "Count.", "tools": ["desk.look"], "wall": "5m"}
    assert flow({"contract": written}).flow == built


@pytest.mark.parametrize(
    ("terms", "complaint"),
    [
        pytest.param({"accept": "agent == 'x'"}, "knows nothing but args", id="condition"),
        pytest.param({"accept": "args.n >"}, "accept", id="no-condition"),
        pytest.param({"result": {"type": "nothing"}}, "no schema", id="no-schema"),
        pytest.param({"result": {"$ref": "file:///etc/passwd"}}, "leads to its", id="elsewhere"),
        pytest.param({"checks": ["web"]}, "nobody checks their own work", id="checks-itself"),
        pytest.param({"refer_above": 10}, "refer_above", id="refers-to-everything"),
        pytest.param({"tools": ["*"]}, "tools", id="a-pattern"),
        pytest.param({"grant": ""}, "grant", id="what-there-is-not"),
    ],
)
def test_a_flow_with_a_contract_that_cannot_be_is_refused(
    terms: dict[str, Any], complaint: str
) -> None:
    node = {"contract": {"of": "web", **terms}}
    text = {"apiVersion": "passavant/v1", "kind": "Flow", "name": "job", "flow": node}
    with pytest.raises(FlowInvalid, match=complaint):
        read_flow("job.yaml", yaml.safe_dump(text).encode())


# -- rights -------------------------------------------------------------------------------------


async def test_a_tool_that_was_not_lent_is_not_reached(tmp_path: Path) -> None:
    async with Desk() as desk:
        node = {"contract": {"of": {"sequential": [LOOK, PAY]}, "tools": ["desk.look"]}}
        async with house(tmp_path, [flow(node)], servers={"desk": desk}) as home:
            run = await home.ended(await home.start())
            assert (run.result, "desk.pay" in run.detail) == ("denied", True)
            assert [call.tool for call in desk.calls] == ["look"]


async def test_an_inner_contract_gives_back_nothing_that_an_outer_one_took(tmp_path: Path) -> None:
    inner = {"contract": {"of": PAY, "tools": ["desk.pay"]}}
    async with Desk() as desk:
        node = {"contract": {"of": {"sequential": [inner]}, "tools": ["desk.look"]}}
        async with house(tmp_path, [flow(node)], servers={"desk": desk}) as home:
            assert (await home.stopped()).startswith("denied")
            assert not desk.calls


async def test_what_comes_after_a_contract_has_the_rights_of_the_run_again(tmp_path: Path) -> None:
    node = {"sequential": [{"contract": {"of": LOOK, "tools": ["desk.look"]}}, PAY]}
    async with Desk() as desk, house(tmp_path, [flow(node)], servers={"desk": desk}) as home:
        await home.result()
        assert [call.tool for call in desk.calls] == ["look", "pay"]
        given = home.gateway.entries("run.granted")
        assert [each["scope"] for each in given] == ["desk.look"]


async def test_guards_look_at_what_is_done_within_a_contract(tmp_path: Path) -> None:
    agents = Agents(check=stubborn({"tripped": True, "reason": "no payments today"}))
    bound = {"contract": {"of": {"sequential": [LOOK, PAY]}, "tools": ["desk.look", "desk.pay"]}}
    node = {"guard": {"of": bound, "tools": ["check"]}}
    async with Desk() as desk, house(tmp_path, [flow(node)], agents, servers={"desk": desk}) as h:
        assert (await h.stopped()).startswith("tripped: no payments today")
        assert not desk.calls


@pytest.mark.parametrize("tools", [[], ["desk.wipe"]])
async def test_a_contract_that_lends_nothing_there_is_ends_before_anything_is_done(
    tmp_path: Path, tools: list[str]
) -> None:
    async with Desk() as desk:
        node = {"contract": {"of": LOOK, "tools": tools}}
        async with house(tmp_path, [flow(node)], servers={"desk": desk}) as home:
            assert (await home.stopped()).startswith("denied")
            assert not desk.calls


async def test_a_tool_that_no_rule_allows_is_not_lent_by_a_contract(tmp_path: Path) -> None:
    rules = policy().replace("tools: [desk.look, desk.pay], effect", "tools: [desk.look], effect")
    async with Desk() as desk:
        node = {"contract": {"of": PAY, "tools": ["desk.pay"]}}
        async with house(tmp_path, [flow(node)], rules=rules, servers={"desk": desk}) as home:
            assert (await home.stopped()).startswith("denied")
            assert not desk.calls


async def test_calls_within_a_contract_end_where_it_says(tmp_path: Path) -> None:
    agents = Agents(a=stubborn(1))
    node = {"contract": {"of": {"sequential": ["a"] * 4}, "calls": 2}}
    async with house(tmp_path, [flow(node)], agents) as home:
        assert "no calls left" in await home.stopped()
    assert agents.asked == ["a", "a"]


async def test_what_a_contract_leaves_is_there_for_what_follows(tmp_path: Path) -> None:
    agents = Agents(a=stubborn(1))
    node = {"sequential": [{"contract": {"of": "a", "calls": 3}}, "a", "a", "a"]}
    async with house(tmp_path, [flow(node, calls=4)], agents) as home:
        assert await home.result() == 1


async def test_the_time_of_a_contract_ends_before_that_of_the_run(tmp_path: Path) -> None:
    agents = Agents(a=stubborn(1))
    node = {"contract": {"of": {"sequential": [{"wait": "1h"}, "a"]}, "wall": "1s"}}
    async with house(tmp_path, [flow(node, wall="2h")], agents) as home:
        assert (await home.stopped()).startswith("exhausted")
    assert not agents.asked


amounts = st.none() | st.integers(0, 50)


@given(has=st.tuples(*[st.integers(0, 50)] * 3), stated=st.lists(st.tuples(*[amounts] * 3)))
def test_contracts_within_each_other_never_come_to_more_than_there_is(
    has: tuple[int, int, int], stated: list[tuple[int | None, int | None, int | None]]
) -> None:
    whole = Lease(*has)
    left, parts = whole, []
    for calls, tokens, cost in stated:
        parts.append((left, left.part(calls=calls, tokens=tokens, cost=cost)))
        assert all(
            most is None or got <= most
            for got, most in zip(
                (parts[-1][1].calls, parts[-1][1].tokens, parts[-1][1].cost),
                (calls, tokens, cost),
                strict=True,
            )
        )
        left = parts[-1][1]
    for outer, inner in reversed(parts):
        outer.give_back(inner)
    assert (whole.calls, whole.tokens, whole.cost) == has


names = st.sampled_from(["desk.look", "desk.pay", "crm.find", "crm.list"])
patterns = st.lists(names | st.sampled_from(["desk.*", "*"]), unique=True)


@given(before=patterns, stated=st.lists(st.lists(names, unique=True), min_size=1, max_size=4))
def test_rights_never_widen_by_a_contract(before: list[str], stated: list[list[str]]) -> None:
    node: Any = Agent(name="web")
    for tools in stated:
        node = Contract(of=node, tools=tuple(tools))
    lent = Bound.of(node).tools
    assert lent is not None
    had = scopes.parse(" ".join(before)) if before else ()
    has = scopes.intersect(had, tuple(sorted(lent)))
    for tool in ("desk.look", "desk.pay", "crm.find", "crm.list"):
        server, _, name = tool.partition(".")
        if scopes.allows(has, server, name):
            assert scopes.allows(had, server, name)
            assert all(tool in tools for tools in stated)


# -- what a manager states ----------------------------------------------------------------------


def lead(contract: Json, worker: str = "web") -> Any:  # noqa: ANN401 - a script
    def says(asked: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
        if asked["results"]:
            return {"answer": asked["results"]}
        return {"tasks": [{"worker": worker, "input": 1, "contract": contract}]}

    return says


def supervised(**workers: Any) -> Any:  # noqa: ANN401 - as written
    return {"supervisor": {"manager": "lead", "workers": workers}}


@pytest.mark.parametrize(
    "contract",
    [
        pytest.param({"tools": ["no tool"]}, id="no-tool"),
        pytest.param({"tools": [f"desk.t{n}" for n in range(25)]}, id="too-many-tools"),
        pytest.param({"calls": 0}, id="no-calls"),
        pytest.param({"calls": True}, id="a-truth-for-a-number"),
        pytest.param({"wall": "1ms"}, id="no-time"),
        pytest.param({"result": {"type": "nothing"}}, id="no-schema"),
        pytest.param({"result": {"$ref": "https://evil.example/s"}}, id="a-schema-elsewhere"),
        pytest.param({"result": {"$ref": "#"}}, id="a-schema-of-itself"),
        pytest.param({"result": {"enum": ["x" * 20_000]}}, id="a-long-schema"),
        pytest.param({"checks": ["web"]}, id="a-node"),
        pytest.param({"grant": ""}, id="what-there-is-not"),
        pytest.param({"check": "web"}, id="checks-itself"),
        pytest.param({"check": "nobody"}, id="checked-by-nobody"),
        pytest.param(["calls"], id="a-list"),
    ],
)
async def test_a_contract_that_cannot_be_is_told_to_the_manager(
    tmp_path: Path, contract: Json
) -> None:
    agents = Agents(lead=lead(contract), web=stubborn(1))
    async with house(tmp_path, [flow(supervised(web="web"))], agents) as home:
        answer = await only(home)
    assert answer["stopped"]["code"] == "run.contract"
    assert "web" not in agents.asked


async def test_a_manager_takes_away_and_gives_nothing(tmp_path: Path) -> None:
    contract: Json = {"tools": ["desk.pay"], "calls": 50}
    agents = Agents(lead=lead(contract))
    bound = {"contract": {"of": PAY, "tools": ["desk.look"], "calls": 2}}
    async with Desk() as desk:
        node = supervised(web=bound)
        async with house(tmp_path, [flow(node)], agents, servers={"desk": desk}) as home:
            answer = await only(home)
            assert answer["stopped"]["reason"] == "denied"
            assert not desk.calls


async def test_a_manager_names_another_worker_to_check(tmp_path: Path) -> None:
    contract: Json = {"goal": "Count.", "check": "critic"}
    agents = Agents(
        lead=lead(contract),
        web=lambda task: 2 if "objection" in task else 1,
        critic=lambda task: {"approved": task["result"] == 2, "feedback": "one more"},
    )
    node = supervised(web="web", critic="critic")
    async with house(tmp_path, [flow(node)], agents) as home:
        assert await home.result() == [{"worker": "web", "input": 1, "result": 2}]
    assert agents.asked == ["lead", "web", "critic", "web", "critic", "lead"]


async def test_a_worker_has_no_more_than_its_contract_however_many_there_are(
    tmp_path: Path,
) -> None:
    def says(asked: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
        if asked["results"]:
            return {"answer": [each["stopped"]["code"] for each in asked["results"]]}
        task = {"worker": "web", "input": 1, "contract": {"calls": 2}}
        return {"tasks": [task, task, task]}

    agents = Agents(lead=says, a=stubborn(1))
    node = supervised(web={"sequential": ["a"] * 5})
    async with house(tmp_path, [flow(node)], agents) as home:
        assert await home.result() == ["run.calls"] * 3
    assert agents.asked.count("a") == 6


@settings(max_examples=50)
@given(
    value=st.recursive(
        st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
        max_leaves=8,
    )
)
def test_any_value_fits_a_contract_that_asks_for_nothing(value: Json) -> None:
    assert Bound.of(Contract(of=Agent(name="web"))).fitting(value) == (value, None)
    assert Bound.of(Contract(of=Agent(name="web"), result={})).fitting(value) == (value, None)
