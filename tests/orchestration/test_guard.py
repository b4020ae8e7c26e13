"""Tripwires: a check that says stop halts the run before anything is done, and few may override."""

from pathlib import Path
from typing import Any

import pytest

from orchestration.flow import Flow
from tests.harness.upstream import desk
from tests.orchestration.house import Agents, flow, house, policy

PAY = {"tool": {"name": "desk.pay", "args": {"amount": {"from": "/amount"}}}}
TRIP = {"tripped": True, "reason": "too much"}
FINE = {"tripped": False}


def guarded(of: Any, **options: Any) -> Flow:  # noqa: ANN401 - as written
    return flow({"guard": {"of": of, **options}})


def says(*answers: Any) -> Any:  # noqa: ANN401 - an agent
    left = list(answers)
    return lambda _: left.pop(0) if len(left) > 1 else left[0]


async def test_what_no_check_objects_to_is_done(tmp_path: Path) -> None:
    agents = Agents(a=lambda task: [task, "a"], check=says(FINE))
    node = guarded("a", input=["check"], output=["check"])
    async with house(tmp_path, [node], agents) as home:
        assert await home.result(given="x") == ["x", "a"]
        assert agents.told == [
            ("check", {"check": "input", "value": "x"}),
            ("a", "x"),
            ("check", {"check": "output", "value": ["x", "a"]}),
        ]


@pytest.mark.parametrize(
    ("options", "answers", "asked"),
    [
        pytest.param({"input": ["check"]}, [TRIP], ["check"], id="input"),
        pytest.param({"output": ["check"]}, [TRIP], ["a", "check"], id="output"),
        pytest.param({"input": ["check", "check"]}, [FINE, TRIP], ["check", "check"], id="second"),
    ],
)
async def test_a_check_that_says_stop_halts_the_run(
    tmp_path: Path, options: dict[str, Any], answers: list[Any], asked: list[str]
) -> None:
    agents = Agents(a=lambda task: task, check=says(*answers))
    async with house(tmp_path, [guarded("a", **options)], agents) as home:
        assert (await home.stopped(given="x")).startswith("tripped: too much")
        assert agents.asked == asked


@pytest.mark.parametrize(
    "answer",
    [None, "fine", [], {}, {"tripped": "no"}, {"tripped": 0}, {"tripped": None}, {"ok": True}],
    ids=str,
)
async def test_a_check_that_says_nothing_clear_says_stop(tmp_path: Path, answer: Any) -> None:  # noqa: ANN401 - JSON
    agents = Agents(a=lambda task: task, check=says(answer))
    async with house(tmp_path, [guarded("a", input=["check"])], agents) as home:
        assert (await home.stopped()).startswith("tripped: a check did not say")
        assert "a" not in agents.asked


@pytest.mark.parametrize(
    "of",
    [
        pytest.param(PAY, id="the-tool-itself"),
        pytest.param({"sequential": ["a", PAY]}, id="below"),
        pytest.param({"parallel": {"branches": [PAY, "a"], "on_error": "keep"}}, id="a-branch"),
        pytest.param({"map": {"each": PAY, "over": "/all", "on_error": "drop"}}, id="each-of-many"),
    ],
)
async def test_no_tool_is_called_that_a_check_objects_to(tmp_path: Path, of: Any) -> None:  # noqa: ANN401 - as written
    agents = Agents(a=lambda task: task, check=says(TRIP))
    given: Any = {"amount": 4, "all": [{"amount": 4}, {"amount": 5}]}
    async with (
        desk() as upstream,
        house(
            tmp_path,
            [guarded(of, tools=["check"])],
            agents,
            rules=policy("a", "check"),
            servers={"desk": upstream},
        ) as home,
    ):
        assert (await home.stopped(given=given)).startswith("tripped: too much")
        assert upstream.calls == []
        checked = [told for name, told in agents.told if name == "check"]
        assert {"check": "tool", "tool": "desk.pay", "args": {"amount": 4}} in checked


async def test_a_trip_in_a_branch_is_not_kept_for_later(tmp_path: Path) -> None:
    agents = Agents(a=lambda task: task, check=says(TRIP))
    inner = {"guard": {"of": "a", "input": ["check"]}}
    node = flow({"sequential": [{"parallel": {"branches": [inner], "on_error": "keep"}}, "a"]})
    async with house(tmp_path, [node], agents) as home:
        assert (await home.stopped()).startswith("tripped")
        assert "a" not in agents.asked


@pytest.mark.parametrize("verdict", ["approve", "deny"])
async def test_only_whom_the_policy_names_may_override(tmp_path: Path, verdict: str) -> None:
    agents = Agents(a=lambda task: [task, "a"], check=says(TRIP))
    node = guarded("a", input=["check"], override="editors")
    async with house(tmp_path, [node], agents) as home:
        run = await home.start(given="x")
        await home.gateway.until(lambda: bool(home.gateway.entries("approval.asked")))
        assert agents.asked == ["check"]
        (asked,) = home.gateway.entries("approval.asked")
        await home.gateway.answer(asked["approval"], verdict)
        ended = await home.ended(run)
        assert ended.result == ("done" if verdict == "approve" else "tripped")
        assert agents.asked == (["check", "a"] if verdict == "approve" else ["check"])
        assert home.gateway.entries("approval.decided")[0]["by"] == "omar"


async def test_a_rule_that_lets_it_pass_is_no_override(tmp_path: Path) -> None:
    agents = Agents(a=lambda task: task, check=says(TRIP))
    lax = policy("a", "check").replace("effect: ask, approval: one-person", "effect: allow")
    node = guarded("a", input=["check"], override="editors")
    async with house(tmp_path, [node], agents, rules=lax) as home:
        assert (await home.stopped()).startswith("refused: the policy lets approvals.editors pass")
        assert "a" not in agents.asked


async def test_a_check_that_may_not_be_asked_stops_the_run(tmp_path: Path) -> None:
    agents = Agents(a=lambda task: task, check=says(FINE))
    async with house(tmp_path, [guarded("a", input=["check"])], agents, rules=policy("a")) as home:
        assert (await home.stopped()).startswith("denied")
        assert agents.asked == []


def test_a_guard_without_a_check_is_none() -> None:
    with pytest.raises(ValueError, match="what is checked"):
        guarded("a")
