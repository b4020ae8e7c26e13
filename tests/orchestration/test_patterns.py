"""The patterns: what comes of each, and each way in which it stops."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestration.agents import AgentFailed
from tests.orchestration.house import Agents, Says, flow, house


def tagged(name: str) -> Says:
    return lambda task: [*task, name] if isinstance(task, list) else [task, name]


def fails(_: Any) -> Any:  # noqa: ANN401 - JSON
    raise AgentFailed("the disk of the agent is full")


def replies(*answers: Any) -> Says:  # noqa: ANN401 - JSON
    """One answer after another, whatever is asked; the last one for ever."""
    left = list(answers)
    return lambda _: left.pop(0) if len(left) > 1 else left[0]


@pytest.mark.parametrize(
    ("node", "given", "result"),
    [
        pytest.param({"sequential": ["a", "b"]}, 1, [1, "a", "b"], id="sequential"),
        pytest.param("a", 1, [1, "a"], id="one-agent"),
        pytest.param(
            {"parallel": ["a", "b", "a"]}, 1, [[1, "a"], [1, "b"], [1, "a"]], id="parallel"
        ),
        pytest.param(
            {"parallel": ["a", {"sequential": ["a", "b"]}]},
            1,
            [[1, "a"], [1, "a", "b"]],
            id="parallel-with-a-part",
        ),
        pytest.param(
            {"parallel": {"branches": ["first", "second"], "merge": True}},
            1,
            {"x": 1, "y": 2},
            id="merged",
        ),
        pytest.param(
            {"parallel": {"branches": ["a", "bad"], "on_error": "drop"}},
            1,
            [[1, "a"]],
            id="one-dropped",
        ),
        pytest.param(
            {"map": {"each": "a", "over": "/items"}},
            {"items": [1, 2]},
            [[1, "a"], [2, "a"]],
            id="map",
        ),
        pytest.param({"map": {"each": "a"}}, [], [], id="map-of-nothing"),
        pytest.param(
            {"map": {"each": {"sequential": ["a", "b"]}, "max_parallel": 1}},
            [1, 2],
            [[1, "a", "b"], [2, "a", "b"]],
            id="map-of-parts-one-at-a-time",
        ),
        pytest.param(
            {"router": {"classifier": "picks", "routes": {"left": "a", "right": "b"}}},
            1,
            [1, "b"],
            id="router",
        ),
        pytest.param(
            {
                "router": {
                    "conditions": [{"when": "args.amount > 100", "to": "a"}],
                    "otherwise": "b",
                }
            },
            {"amount": 7},
            [{"amount": 7}, "b"],
            id="router-otherwise",
        ),
        pytest.param(
            {"router": {"conditions": [{"when": "args.amount > 100", "to": "a"}]}},
            {"amount": 700},
            [{"amount": 700}, "a"],
            id="router-by-condition",
        ),
    ],
)
async def test_a_pattern_gives_what_it_says(
    tmp_path: Path,
    node: Any,  # noqa: ANN401 - as written
    given: Any,  # noqa: ANN401 - JSON
    result: Any,  # noqa: ANN401 - JSON
) -> None:
    agents = Agents(
        a=tagged("a"),
        b=tagged("b"),
        bad=fails,
        first=replies({"x": 1}),
        second=replies({"y": 2}),
        picks=replies("right"),
    )
    async with house(tmp_path, [flow(node)], agents) as home:
        assert await home.result(given=given) == result


@pytest.mark.parametrize(
    ("node", "given", "stop"),
    [
        pytest.param({"sequential": ["a", "bad", "b"]}, 1, "failed: the disk", id="sequential"),
        pytest.param({"parallel": ["a", "bad"]}, 1, "failed: the disk", id="parallel"),
        pytest.param(
            {"parallel": {"branches": ["first", "first"], "merge": True}},
            1,
            "failed: two branches gave x",
            id="merge-twice",
        ),
        pytest.param(
            {"parallel": {"branches": ["a"], "merge": True}}, 1, "failed: a branch", id="merge-list"
        ),
        pytest.param({"map": {"each": "a"}}, {"no": "list"}, "failed: map takes", id="no-list"),
        pytest.param(
            {"map": {"each": "a", "over": "/nowhere"}},
            {},
            "failed: there is nothing",
            id="no-place",
        ),
        pytest.param(
            {"map": {"each": "a", "max_items": 2}}, [1, 2, 3], "exhausted: a list of 3", id="many"
        ),
        pytest.param(
            {"router": {"classifier": "first", "routes": {"left": "a"}}},
            1,
            "failed: no route",
            id="no-route",
        ),
        pytest.param(
            {"router": {"conditions": [{"when": "args.amount > 1", "to": "a"}]}},
            {"sum": 1},
            "failed: no route",
            id="condition-without-a-value",
        ),
        pytest.param({"tool": "a.b"}, 1, "failed: a.b takes an object", id="no-arguments"),
        pytest.param({"tool": "a.b"}, {}, "denied: ", id="no-such-tool"),
    ],
)
async def test_a_pattern_stops_with_a_reason(
    tmp_path: Path,
    node: Any,  # noqa: ANN401 - as written
    given: Any,  # noqa: ANN401 - JSON
    stop: str,
) -> None:
    agents = Agents(a=tagged("a"), b=tagged("b"), bad=fails, first=replies({"x": 1}))
    async with house(tmp_path, [flow(node)], agents) as home:
        assert (await home.stopped(given=given)).startswith(stop)
        assert "b" not in agents.asked


# -- handoff

DESKS = {
    "start": "front",
    "agents": {"front": "front", "tech": "tech"},
    "edges": {"front": ["tech"]},
}


@pytest.mark.parametrize(
    ("more", "front", "tech", "ends"),
    [
        pytest.param({}, [{"handoff": "tech", "input": 2}], ["fixed"], "fixed", id="once"),
        pytest.param({}, ["at once"], [], "at once", id="not-at-all"),
        pytest.param(
            {"back": True},
            [{"handoff": "tech"}, "told"],
            [{"handoff": "front"}],
            "told",
            id="there-and-back",
        ),
        pytest.param(
            {},
            [{"handoff": "tech"}],
            [{"handoff": "front"}],
            "failed: tech hands on",
            id="back-without-an-edge",
        ),
        pytest.param({}, [{"handoff": "boss"}], [], "failed: front hands on", id="to-nobody"),
        pytest.param({}, [{"handoff": 7}], [], "failed: front hands on", id="to-a-number"),
        pytest.param(
            {"edges": {"front": ["tech"], "tech": ["front"]}, "max_handoffs": 3},
            [{"handoff": "tech"}],
            [{"handoff": "front"}],
            "exhausted: handed on more than 3",
            id="for-ever",
        ),
    ],
)
async def test_a_handoff(
    tmp_path: Path, more: dict[str, Any], front: list[Any], tech: list[Any], ends: str
) -> None:
    agents = Agents(front=replies(*front), tech=replies(*(tech or [None])))
    async with house(tmp_path, [flow({"handoff": {**DESKS, **more}})], agents) as home:
        run = await home.ended(await home.start(given=1))
        came = home.hop.kept.output(run) if run.result == "done" else f"{run.result}: {run.detail}"
        assert str(came).startswith(ends)
        assert len(agents.told) <= 4


# -- a manager and workers


@pytest.mark.parametrize(
    ("manager", "ends"),
    [
        pytest.param(
            [
                {"tasks": [{"worker": "web", "input": "x"}, {"worker": "papers", "input": "y"}]},
                {"answer": "both"},
            ],
            "both",
            id="answers",
        ),
        pytest.param(
            [{"tasks": [{"worker": "web", "input": "x"}]}, {"forward": 0}],
            "['x', 'web']",
            id="forwards",
        ),
        pytest.param([{"answer": "alone"}], "alone", id="does-it-alone"),
        pytest.param([{"tasks": []}], "failed: the manager gave no list", id="no-task"),
        pytest.param([{"tasks": [{"worker": "boss"}]}], "failed: the manager gave a", id="nobody"),
        pytest.param([{"tasks": ["web"]}], "failed: the manager gave a task", id="no-contract"),
        pytest.param(["what?"], "failed: the manager answered neither", id="prose"),
        pytest.param([{"forward": 3}], "failed: the manager forwards", id="forwards-nothing"),
        pytest.param([{"forward": True}], "failed: the manager forwards", id="forwards-true"),
        pytest.param(
            [{"tasks": [{"worker": "web", "input": 1}]}], "exhausted: no answer after 3", id="ever"
        ),
    ],
)
async def test_a_supervisor(tmp_path: Path, manager: list[Any], ends: str) -> None:
    agents = Agents(manager=replies(*manager), web=tagged("web"), papers=tagged("papers"))
    workers = {"web": "web", "papers": "papers"}
    node = {"supervisor": {"manager": "manager", "workers": workers, "max_rounds": 3}}
    async with house(tmp_path, [flow(node)], agents) as home:
        run = await home.ended(await home.start(given="task"))
        came = home.hop.kept.output(run) if run.result == "done" else f"{run.result}: {run.detail}"
        assert str(came).startswith(ends)


async def test_a_manager_sees_who_was_stopped_and_why(tmp_path: Path) -> None:
    agents = Agents(
        manager=replies({"tasks": [{"worker": "web", "input": 1}]}, {"answer": "without"}),
        web=fails,
    )
    node = {"supervisor": {"manager": "manager", "workers": {"web": "web"}}}
    async with house(tmp_path, [flow(node)], agents) as home:
        assert await home.result() == "without"
        (result,) = agents.told[-1][1]["results"]
        assert result["stopped"]["reason"] == "failed"


# -- makers, plans, and groups


@pytest.mark.parametrize(
    ("checker", "otherwise", "ends"),
    [
        pytest.param([{"approved": True}], "stop", "draft 1", id="at-once"),
        pytest.param(
            [{"approved": False, "feedback": "longer"}, {"approved": True}],
            "stop",
            "draft 2",
            id="second",
        ),
        pytest.param([{"approved": False}], "stop", "exhausted: not approved after 3", id="never"),
        pytest.param([{"approved": False}], "last", "draft 3", id="the-last-will-do"),
        pytest.param([{"approved": "yes"}], "stop", "failed: the checker did not", id="a-word"),
        pytest.param(["fine"], "stop", "failed: the checker did not", id="prose"),
    ],
)
async def test_a_maker_and_a_checker(
    tmp_path: Path, checker: list[Any], otherwise: str, ends: str
) -> None:
    drafts = [f"draft {number}" for number in (1, 2, 3)]
    agents = Agents(maker=replies(*drafts), checker=replies(*checker))
    node = {"maker_checker": {"maker": "maker", "checker": "checker", "otherwise": otherwise}}
    async with house(tmp_path, [flow(node)], agents) as home:
        run = await home.ended(await home.start())
        came = home.hop.kept.output(run) if run.result == "done" else f"{run.result}: {run.detail}"
        assert str(came).startswith(ends)


def manager(*turns: Any) -> Says:  # noqa: ANN401 - JSON
    """A manager of a magentic flow: plans, says these turns, and concludes."""
    left = list(turns)

    def says(asked: Any) -> Any:  # noqa: ANN401 - JSON
        if asked["do"] != "progress":
            return asked["do"]
        return left.pop(0) if len(left) > 1 else left[0]

    return says


@pytest.mark.parametrize(
    ("turns", "ends", "asked"),
    [
        pytest.param([{"next": "web", "input": "look"}, {"done": True}], "final", 1, id="one-turn"),
        pytest.param([{"done": True}], "final", 0, id="done-at-once"),
        pytest.param([{"next": "boss"}], "exhausted: no progress after 2 plans", 0, id="nobody"),
        pytest.param(["hm"], "exhausted: no progress after 2 plans", 0, id="prose"),
        pytest.param(
            [{"next": "web", "stuck": True}], "exhausted: no progress after 2", None, id="stuck"
        ),
        pytest.param([{"next": "web"}], "exhausted: no answer after 6 rounds", 6, id="for-ever"),
    ],
)
async def test_a_magentic_flow(
    tmp_path: Path, turns: list[Any], ends: str, asked: int | None
) -> None:
    agents = Agents(manager=manager(*turns), web=tagged("web"))
    node = {
        "magentic": {
            "manager": "manager",
            "team": {"web": "web"},
            "max_rounds": 6,
            "max_stalls": 1,
            "max_resets": 1,
        }
    }
    async with house(tmp_path, [flow(node)], agents) as home:
        run = await home.ended(await home.start(given="task"))
        came = home.hop.kept.output(run) if run.result == "done" else f"{run.result}: {run.detail}"
        assert str(came).startswith(ends)
        assert asked is None or agents.asked.count("web") == asked


@pytest.mark.parametrize(
    ("node", "says", "ends"),
    [
        pytest.param({"consensus": 1.0}, [{"vote": "yes"}], "yes", id="all-agree"),
        pytest.param({"consensus": 0.6}, [{"vote": "a"}], "a", id="most-agree"),
        pytest.param({"consensus": 1.0}, ["well"], "exhausted: nothing agreed", id="talk"),
        pytest.param({"moderator": "moderator"}, ["well"], "summed up", id="moderated"),
        pytest.param(
            {"moderator": "astray"}, ["well"], "failed: the moderator named", id="to-nobody"
        ),
    ],
)
async def test_a_group_chat(
    tmp_path: Path, node: dict[str, Any], says: list[Any], ends: str
) -> None:
    agents = Agents(
        expert=replies(*says),
        critic=replies(*says),
        moderator=replies({"next": "critic"}, {"answer": "summed up"}),
        astray=replies({"next": "boss"}),
    )
    members = {"expert": "expert", "critic": "critic"}
    written = flow({"group_chat": {"members": members, "max_rounds": 2, **node}})
    async with house(tmp_path, [written], agents) as home:
        run = await home.ended(await home.start(given="task"))
        came = home.hop.kept.output(run) if run.result == "done" else f"{run.result}: {run.detail}"
        assert str(came).startswith(ends)


async def test_members_hear_what_was_said(tmp_path: Path) -> None:
    heard: list[Any] = []

    def listens(name: str) -> Callable[[Any], Any]:
        def says(task: Any) -> Any:  # noqa: ANN401 - JSON
            heard.append([each["who"] for each in task["said"]])
            return {"vote": len(heard) > 2 or name}

        return says

    agents = Agents(expert=listens("expert"), critic=listens("critic"))
    members = {"expert": "expert", "critic": "critic"}
    node = {"group_chat": {"members": members, "consensus": 1.0}}
    async with house(tmp_path, [flow(node)], agents) as home:
        assert await home.result() is True
        assert heard == [[], ["expert"], ["expert", "critic"], ["expert", "critic", "expert"]]
