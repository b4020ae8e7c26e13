"""Doors: every client reaches other agents by ordinary tools, as far as rules let it."""

import asyncio
from pathlib import Path

import pytest

from tests.harness.agent import LEGACY, MODERN, REST
from tests.orchestration.doors import doors, made, through
from tests.orchestration.test_remote import Script, replies, said


def says() -> Script:
    """A model that has done at once."""
    return replies(said("done"))


@pytest.mark.parametrize("way", [MODERN, LEGACY, REST])
async def test_an_agent_has_another_do_something_and_gets_its_answer(
    tmp_path: Path, way: str
) -> None:
    async with doors(tmp_path, says()) as home:
        ada = await home.gateway.agent("ada", way=way)
        told = await through(ada, "invoke", agent="echo", task={"n": [1]})
        assert (told["state"], told["answer"]) == ("done", {"n": [1]})


async def test_an_agent_is_shown_those_it_may_reach_and_no_others(tmp_path: Path) -> None:
    async with doors(tmp_path, says()) as home:
        shown = {}
        for name in ("ada", "bo", "eve"):
            told = await through(await home.gateway.agent(name), "list")
            shown[name] = [each["name"] for each in told["agents"]]
        assert shown == {
            "ada": ["asked", "echo", "helper", "job", "web"],
            "bo": ["echo"],
            "eve": [],
        }


async def test_doors_are_listed_for_whom_they_open(tmp_path: Path) -> None:
    async with doors(tmp_path, says()) as home:
        names = {each: await (await home.gateway.agent(each)).names() for each in ("ada", "eve")}
        every = {f"agents__{door}" for door in ("list", "invoke", "transcript", "create")}
        assert every <= names["ada"]
        assert names["eve"] == {"agents__list"}


@pytest.mark.parametrize("agent", ["job", "no-such", "list", "made.0", "../x", "desk.pay"])
async def test_what_is_not_for_a_caller_is_like_what_is_not_there(
    tmp_path: Path, agent: str
) -> None:
    async with doors(tmp_path, says()) as home:
        bo = await home.gateway.agent("bo")
        told = await through(bo, "invoke", agent=agent, task="x")
        assert told == {"code": "agent.unknown", "detail": "there is no such agent for you"}
        assert not home.gateway.entries("run.started")


async def test_who_does_not_wait_gets_a_task_and_its_answer_by_the_transcript(
    tmp_path: Path,
) -> None:
    async with doors(tmp_path, says()) as home:
        ada = await home.gateway.agent("ada")
        begun = await through(ada, "invoke", agent="job", task="x", wait_s=0)
        told = await through(ada, "transcript", task=begun["task"], wait_s=20)
        assert (told["state"], told["answer"]) == ("done", "x")
        steps = [(step["tool"], step["status"]) for step in told["steps"]]
        assert steps == [("agents.job", "done"), ("agents.echo", "done")]


async def test_a_question_to_people_is_told_and_the_task_goes_on_by_itself(
    tmp_path: Path,
) -> None:
    async with doors(tmp_path, says()) as home:
        ada = await home.gateway.agent("ada")
        begun = await through(ada, "invoke", agent="asked", task="x")
        assert begun["state"] == "waiting"
        await home.gateway.answer(begun["approval"])
        told = await through(ada, "transcript", task=begun["task"], wait_s=20)
        assert (told["state"], told["answer"]) == ("done", "x")


async def test_a_no_of_people_is_a_no(tmp_path: Path) -> None:
    async with doors(tmp_path, says()) as home:
        ada = await home.gateway.agent("ada")
        begun = await through(ada, "invoke", agent="asked", task="x")
        await home.gateway.answer(begun["approval"], "deny")
        told = await through(ada, "transcript", task=begun["task"], wait_s=20)
        assert told["state"] == "denied"
        assert "answer" not in told


async def test_a_transcript_is_for_the_session_that_gave_the_task(tmp_path: Path) -> None:
    async with doors(tmp_path, says()) as home:
        ada = await home.gateway.agent("ada")
        begun = await through(ada, "invoke", agent="echo", task="x")
        for name in ("ada", "bo"):
            told = await through(await home.gateway.agent(name), "transcript", task=begun["task"])
            assert told["code"] == "run.unknown"


async def test_an_agent_with_steps_of_its_own_is_reached_by_the_door_alone(tmp_path: Path) -> None:
    async with doors(tmp_path, says()) as home:
        ada = await home.gateway.agent("ada")
        answered = await ada.call("agents.job", task="x")
        assert not answered.done
        assert "agents__invoke" in answered.text


async def test_a_made_agent_works_with_the_tools_it_was_given(tmp_path: Path) -> None:
    script = replies(said(None, ("desk__look", {})), said("looked"))
    async with doors(tmp_path, script) as home:
        ada = await home.gateway.agent("ada")
        name = await made(ada, "desk__look")
        told = await through(ada, "invoke", agent=name, task="look")
        assert (told["state"], told["answer"]) == ("done", "looked")
        assert [tool["function"]["name"] for tool in home.provider.asked[0]["tools"]] == [
            "desk__look"
        ]
        shown = await through(ada, "list")
        assert name in [each["name"] for each in shown["agents"]]


async def test_a_made_agent_is_in_the_log_before_it_is_anywhere(tmp_path: Path) -> None:
    async with doors(tmp_path, says()) as home:
        ada = await home.gateway.agent("ada")
        name = await made(ada, "desk.look")
        (entry,) = home.gateway.entries("agent.created")
        assert (entry["agent"], entry["scope"]) == (name, "desk.look model.small")
        assert "Do it." not in str(entry)


@pytest.mark.parametrize(
    "members",
    [
        pytest.param({"model": "large"}, id="no-such-model"),
        pytest.param({"tools": ["desk.wipe"]}, id="no-such-tool"),
        pytest.param({"tools": ["*"]}, id="pattern"),
        pytest.param({"tools": ["desk.*"]}, id="server"),
        pytest.param({"tools": ["agents__invoke"]}, id="a-door"),
        pytest.param({"tools": ["agents.echo"]}, id="an-agent"),
        pytest.param({"model": "../small"}, id="no-name"),
    ],
)
async def test_no_agent_is_made_of_what_its_maker_does_not_have(
    tmp_path: Path, members: dict[str, object]
) -> None:
    async with doors(tmp_path, says()) as home:
        ada = await home.gateway.agent("ada")
        spec = {"model": "small", "instructions": "Do it.", "tools": ["desk.look"], **members}
        told = await through(ada, "create", **spec)
        assert "agent" not in told
        assert not home.gateway.entries("agent.created")


async def test_instructions_are_a_text_and_never_a_file(tmp_path: Path) -> None:
    async with doors(tmp_path, says()) as home:
        ada = await home.gateway.agent("ada")
        told = await through(ada, "create", model="small", instructions="file:/etc/passwd")
        await through(ada, "invoke", agent=told["agent"], task="x")
        assert home.provider.asked[0]["messages"][0]["content"] == "file:/etc/passwd"


async def test_many_at_once_are_made_up_to_the_bound(tmp_path: Path) -> None:
    async with doors(tmp_path, says()) as home:
        ada = await home.gateway.agent("ada")
        told = await asyncio.gather(
            *(
                through(ada, "create", model="small", instructions=f"Do {n}.", tools=[])
                for n in range(30)
            )
        )
        assert sum("agent" in each for each in told) == 16
        assert {each["code"] for each in told if "code" in each} == {"agent.too-many"}
