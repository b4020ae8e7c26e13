"""What runs say on the way: told to whoever watches, once, and never more than that."""

from pathlib import Path
from typing import Any

import pytest

from audit.canonical import Json
from gateway.runs import progress
from gateway.runs.run import ROOT
from orchestration.parts import Emit
from orchestration.spec import Sequential
from tests.orchestration.house import Agents, House, flow, house

NUMBER = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
SECRET = "nobody but operators"


async def said(home: House, run: str) -> list[dict[str, Any]]:
    """What a run has said, as operators are told it."""
    shown: list[dict[str, Any]] = (await home.gateway.operate("GET", f"/api/runs/{run}")).json()[
        "progress"
    ]
    return shown


async def test_a_step_tells_something_and_hands_its_value_on(tmp_path: Path) -> None:
    agents = Agents(draft=lambda _: {"n": 3, "text": SECRET}, out=lambda task: task)
    data = {"emit": {"event": "drafted", "data": {"n": {"from": "/n"}}, "shape": NUMBER}}
    async with house(tmp_path, [flow({"sequential": ["draft", data, "out"]})], agents) as home:
        run = await home.ended(await home.start())
        assert await home.service.output(run) == {"n": 3, "text": SECRET}
        (entry,) = home.gateway.entries("run.progress")
        assert (entry["path"], entry["event"], entry["data"]["kept"]) == ("2:emit", "drafted", True)
        (told,) = await said(home, run.id)
    assert told.keys() == {"path", "number", "event", "facts", "index", "at"}


@pytest.mark.parametrize(
    ("written", "given", "complaint"),
    [
        pytest.param({"data": {"n": {"from": "/n"}}}, {"m": 1}, "nothing at /n", id="nothing"),
        pytest.param({"data": {"from": ""}, "shape": NUMBER}, {"n": "x"}, "/value/n", id="shape"),
        pytest.param({"shape": NUMBER}, {"n": 1}, "expected object", id="no-data"),
        pytest.param({"data": {"from": ""}}, ["x" * 4096], "more than 4096 bytes", id="long"),
    ],
)
async def test_what_is_told_has_the_shape_that_it_must(
    tmp_path: Path, written: dict[str, Any], given: Json, complaint: str
) -> None:
    async with house(tmp_path, [flow({"emit": {"event": "drafted", **written}})]) as home:
        run = await home.ended(await home.start(given=given))
        assert (run.result, complaint in run.detail) == ("failed", True), run.detail
        assert not home.gateway.entries("run.progress")


@pytest.mark.parametrize(
    "written",
    [
        pytest.param({"event": "Not A Name"}, id="name"),
        pytest.param({"event": "x", "shape": {"type": "nothing"}}, id="no-schema"),
        pytest.param({"event": "x", "shape": {"$ref": "https://evil.example"}}, id="elsewhere"),
        pytest.param({"event": "x", "facts": {"n": 1}}, id="facts"),
        pytest.param({}, id="nothing"),
    ],
)
def test_a_flow_that_tells_what_cannot_be_told_is_refused(written: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        flow({"emit": written})


def test_python_and_yaml_are_two_spellings() -> None:
    built = Sequential(steps=(Emit(event="begun"), Emit(event="over", data={"n": 1})))
    assert flow({"sequential": [{"emit": "begun"}, {"emit": built.steps[1].model_dump()}]}) == (
        flow(built)
    )


async def test_patterns_say_in_which_round_they_are(tmp_path: Path) -> None:
    agents = Agents(
        maker=lambda asked: f"draft, {asked['feedback']}",
        checker=lambda asked: {"approved": "longer" in asked["draft"], "feedback": "longer"},
    )
    node = {"maker_checker": {"maker": "maker", "checker": "checker"}}
    async with house(tmp_path, [flow(node)], agents) as home:
        run = await home.ended(await home.start())
        told = await said(home, run.id)
    assert [(each["event"], each["facts"], each["number"]) for each in told] == [
        ("round", {"round": 1, "of": 3}, 1),
        ("round", {"round": 2, "of": 3}, 2),
    ]
    assert {each["path"] for each in told} == {ROOT}


async def test_a_contract_says_that_its_work_was_given_back(tmp_path: Path) -> None:
    agents = Agents(web=lambda task: 1 if "objection" in task else "one")
    node = {"contract": {"of": "web", "result": {"type": "integer"}}}
    async with house(tmp_path, [flow(node)], agents) as home:
        run = await home.ended(await home.start())
        assert [each["event"] for each in await said(home, run.id)] == ["given-back"]


async def test_a_plan_and_its_stalls_are_told(tmp_path: Path) -> None:
    def manager(asked: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
        return {"stuck": True} if asked["do"] == "progress" else asked["do"]

    node = {
        "magentic": {"manager": "manager", "team": {"a": "a"}, "max_stalls": 0, "max_resets": 1}
    }
    agents = Agents(manager=manager, a=lambda _: "a")
    async with house(tmp_path, [flow(node)], agents) as home:
        run = await home.ended(await home.start())
        facts = [each["facts"] for each in await said(home, run.id)]
    assert facts == [
        {"round": 1, "of": 20, "stalls": 0, "plan": 1},
        {"round": 2, "of": 20, "stalls": 0, "plan": 2},
    ]


async def test_a_run_that_says_much_is_not_held_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "MOST", 2)
    agents = Agents(a=lambda _: 1)
    node = {"sequential": [*({"emit": f"e{n}"} for n in range(5)), "a", {"emit": "last"}]}
    async with house(tmp_path, [flow(node)], agents) as home:
        run = await home.ended(await home.start())
        assert run.result == "done"
        assert [each["event"] for each in await said(home, run.id)] == ["e0", "e1"]


async def test_a_restart_knows_what_was_said_and_says_it_no_second_time(tmp_path: Path) -> None:
    asks = {"approve": {"by": "editors", "question": "Out?"}}
    node = {"sequential": [{"emit": "begun"}, asks, {"emit": "agreed"}]}
    async with house(tmp_path, [flow(node)]) as home:
        run = await home.start()
        await home.gateway.until(lambda: bool(home.gateway.entries("approval.asked")))
        before = await said(home, run.id)
        assert [each["event"] for each in before] == ["begun"]
    async with house(tmp_path, [flow(node)]) as home:
        await home.gateway.until(lambda: bool(home.gateway.entries("approval.asked")))
        (request,) = (await home.gateway.operate("GET", f"/api/runs/{run.id}")).json()["waiting"]
        await home.gateway.answer(request)
        await home.ended(run)
        after = await said(home, run.id)
        assert after[:1] == before
        assert [each["event"] for each in after] == ["begun", "agreed"]
        assert len(home.gateway.entries("run.progress")) == 2
