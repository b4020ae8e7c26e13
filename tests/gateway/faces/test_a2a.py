"""A2A: what agents ask of each other, with the client of the A2A project and byte for byte."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from a2a.types.a2a_pb2 import (
    CancelTaskRequest,
    GetTaskRequest,
    ListTasksRequest,
    SubscribeToTaskRequest,
)
from a2a.utils.errors import (
    TaskNotCancelableError,
    TaskNotFoundError,
    UnsupportedOperationError,
)

from gateway.identity.minting import Order
from tests.gateway.faces.a2a_house import CARD, Slow, home, rpc, said
from tests.harness import a2a
from tests.harness.agent import Agent
from tests.orchestration.house import House


async def test_the_client_of_the_project_reaches_an_agent_by_its_card(tmp_path: Path) -> None:
    async with (
        home(tmp_path) as (house_, _),
        a2a.connected(await house_.gateway.agent("ada"), "echo") as client,
    ):
        task = await a2a.task(client, a2a.message("hello"))
        assert task["status"]["state"] == "TASK_STATE_COMPLETED"
        assert a2a.answer(task) == "hello"


@pytest.mark.parametrize(
    ("parts", "given"),
    [
        pytest.param(["hello"], "hello", id="text"),
        pytest.param([{"order": 17.0, "lines": ["a"]}], {"order": 17, "lines": ["a"]}, id="data"),
        pytest.param(["read", {"at": "x"}], ["read", {"at": "x"}], id="both"),
    ],
)
async def test_an_agent_is_given_what_the_message_says(
    tmp_path: Path, parts: list[Any], given: object
) -> None:
    async with home(tmp_path) as (house_, agents):
        async with a2a.connected(await house_.gateway.agent("ada"), "echo") as client:
            await a2a.task(client, a2a.message(*parts))
        assert agents.told == [("echo", given)]


async def test_a_message_is_decided_and_recorded_like_any_call(tmp_path: Path) -> None:
    async with home(tmp_path) as (house_, _):
        ada = await house_.gateway.agent("ada")
        async with a2a.connected(ada, "echo") as client:
            task = await a2a.task(client, a2a.message("hello"))
        (decision,) = house_.gateway.entries("decision")
        assert decision["tool"]["name"] == "agents.echo"
        assert decision["actor"] == {"agent": "ada", "chain": [], "sub": None}
        assert decision["req"]["id"].startswith(task["id"])
        (begun,) = house_.gateway.entries("run.started")
        assert (begun["by"], begun["caller"]) == ("agent:ada", ada.session)


async def test_a_flow_is_an_agent_that_acts_for_who_called_it(tmp_path: Path) -> None:
    async with home(tmp_path) as (house_, _):
        async with a2a.connected(await house_.gateway.agent("ada"), "job") as client:
            assert a2a.answer(await a2a.task(client, a2a.message("hello"))) == "hello"
        actors = [each["actor"] for each in house_.gateway.entries("decision")]
        assert actors == [
            {"agent": "ada", "chain": [], "sub": None},
            {"agent": "job", "chain": ["ada"], "sub": None},
        ]


async def test_who_is_lent_nothing_gets_nothing_done_by_a_flow(tmp_path: Path) -> None:
    async with home(tmp_path) as (house_, agents):
        async with a2a.connected(await house_.gateway.agent("bo"), "job") as client:
            task = await a2a.task(client, a2a.message("hello"))
        assert task["status"]["state"] == "TASK_STATE_REJECTED"
        assert agents.asked == []


async def test_a_user_stays_the_user(tmp_path: Path) -> None:
    async with home(tmp_path) as (house_, _):
        ada = await house_.gateway.agent("ada", user="alice")
        async with a2a.connected(ada, "job") as client:
            await a2a.task(client, a2a.message("hello"))
        subjects = {each["actor"]["sub"] for each in house_.gateway.entries("decision")}
        assert subjects == {"alice"}


async def test_what_the_policy_denies_is_rejected(tmp_path: Path) -> None:
    async with home(tmp_path) as (house_, agents):
        async with a2a.connected(await house_.gateway.agent("ada"), "bound") as client:
            task = await a2a.task(client, a2a.message("not fine"))
        assert task["status"]["state"] == "TASK_STATE_REJECTED"
        assert agents.asked == []


async def test_an_agent_that_fails_fails_the_task_without_our_secrets(tmp_path: Path) -> None:
    async with home(tmp_path) as (house_, _):
        async with a2a.connected(await house_.gateway.agent("ada"), "broken") as client:
            task = await a2a.task(client, a2a.message("x"))
        assert task["status"]["state"] == "TASK_STATE_FAILED"
        assert "secret" not in json.dumps(task)


async def test_a_question_to_people_is_told_and_its_answer_lets_the_task_go_on(
    tmp_path: Path,
) -> None:
    async with home(tmp_path) as (house_, agents):
        gateway = house_.gateway
        async with a2a.connected(await gateway.agent("ada"), "asked") as client:
            task = await a2a.task(client, a2a.message("please"))
            assert task["status"]["state"] == "TASK_STATE_AUTH_REQUIRED"
            (request,) = gateway.entries("approval.asked")
            assert request["approval"] in task["status"]["message"]["parts"][0]["text"]
            assert agents.asked == []
            await gateway.answer(request["approval"])
            await house_.ended(house_.hop.runs.get(task["id"]))
            found = a2a.told(await client.get_task(GetTaskRequest(id=task["id"])))
            assert a2a.answer(found) == "done"


async def test_who_subscribes_hears_what_becomes_of_a_task(tmp_path: Path) -> None:
    async with (
        home(tmp_path) as (house_, _),
        a2a.connected(await house_.gateway.agent("ada"), "asked", streaming=True) as client,
    ):
        stream = client.send_message(a2a.message("please"))
        states = [_state(await anext(stream)), _state(await anext(stream))]
        (request,) = house_.gateway.entries("approval.asked")
        subscribed = client.subscribe(SubscribeToTaskRequest(id=request["step"].partition("/")[0]))
        assert _state(await anext(subscribed)) == "TASK_STATE_AUTH_REQUIRED"
        await house_.gateway.answer(request["approval"])
        heard = [_state(event) async for event in subscribed]
        assert states == ["TASK_STATE_WORKING", "TASK_STATE_AUTH_REQUIRED"]
        assert heard[-2:] == ["", "TASK_STATE_COMPLETED"]
        with pytest.raises(UnsupportedOperationError):
            await anext(
                client.subscribe(SubscribeToTaskRequest(id=request["step"].partition("/")[0]))
            )


def _state(event: object) -> str:
    told = a2a.told(event)
    update = told.get("task") or told.get("statusUpdate") or {}
    return str(update["status"]["state"]) if update else ""


async def test_a_stream_tells_the_task_then_the_answer_then_the_end(tmp_path: Path) -> None:
    async with (
        home(tmp_path) as (house_, _),
        a2a.connected(await house_.gateway.agent("ada"), "slow", streaming=True) as client,
    ):
        told = await a2a.events(client, a2a.message("go"))
        assert [next(iter(each)) for each in told] == ["task", "artifactUpdate", "statusUpdate"]
        assert told[-1]["statusUpdate"]["status"]["state"] == "TASK_STATE_COMPLETED"


async def test_a_client_that_goes_away_leaves_the_task_to_itself(tmp_path: Path) -> None:
    slow = Slow()
    async with home(tmp_path, slow) as (house_, _):
        ada = await house_.gateway.agent("ada")
        async with a2a.connected(ada, "slow", streaming=True) as client:
            stream = client.send_message(a2a.message("go"))
            first = a2a.told(await anext(stream))
            await stream.aclose()  # type: ignore[attr-defined]  # a generator
        slow.go.set()
        async with a2a.connected(ada, "slow") as client:
            task = GetTaskRequest(id=first["task"]["id"])
            await house_.ended(house_.hop.runs.get(task.id))
            assert a2a.answer(a2a.told(await client.get_task(task))) == "at last"


async def test_a_gateway_that_ends_ends_the_streams(tmp_path: Path) -> None:
    async with home(tmp_path, Slow()) as (house_, _):
        ada = await house_.gateway.agent("ada")
        client = a2a.connected(ada, "slow", streaming=True)
        stream = (await client.__aenter__()).send_message(a2a.message("go"))
        await anext(stream)
    with pytest.raises(Exception):  # noqa: B017, PT011 - whatever the client makes of it
        await anext(stream)
    await client.__aexit__(None, None, None)


async def test_a_cancelled_task_is_cancelled_for_good(tmp_path: Path) -> None:
    async with (
        home(tmp_path, Slow()) as (house_, _),
        a2a.connected(await house_.gateway.agent("ada"), "slow") as client,
    ):
        task = await a2a.task(client, a2a.message("go", at_once=True))
        assert task["status"]["state"] == "TASK_STATE_WORKING"
        ended = a2a.told(await client.cancel_task(CancelTaskRequest(id=task["id"])))
        assert ended["status"]["state"] == "TASK_STATE_CANCELED"
        with pytest.raises(TaskNotCancelableError):
            await client.cancel_task(CancelTaskRequest(id=task["id"]))


async def test_a_message_that_is_too_long_for_the_log_is_refused(tmp_path: Path) -> None:
    async with home(tmp_path) as (house_, agents):
        ada = await house_.gateway.agent("ada")
        answered = await rpc(ada, "echo", "SendMessage", said("x" * 70_000))
        assert (answered.rpc, answered.code) == (-32602, "run.input")
        assert agents.asked == []


async def test_the_same_message_twice_is_one_task(tmp_path: Path) -> None:
    async with home(tmp_path) as (house_, agents):
        async with a2a.connected(await house_.gateway.agent("ada"), "echo") as client:
            tasks = await asyncio.gather(
                *(a2a.task(client, a2a.message("hello", key="m1")) for _ in range(5))
            )
        assert len({task["id"] for task in tasks}) == 1
        assert agents.asked == ["echo"]


async def test_tasks_are_listed_page_by_page_to_who_began_them(tmp_path: Path) -> None:
    async with (
        home(tmp_path) as (house_, _),
        a2a.connected(await house_.gateway.agent("ada"), "echo") as client,
    ):
        begun = [(await a2a.task(client, a2a.message(str(n))))["id"] for n in range(3)]
        first = await client.list_tasks(ListTasksRequest(page_size=2))
        rest = await client.list_tasks(
            ListTasksRequest(page_size=2, page_token=first.next_page_token)
        )
        assert [task.id for task in [*first.tasks, *rest.tasks]] == begun[::-1]
        assert (first.total_size, rest.next_page_token) == (3, "")


async def test_a_task_is_visible_to_its_session_alone(tmp_path: Path) -> None:
    async with home(tmp_path) as (house_, _):
        ada = await house_.gateway.agent("ada")
        async with a2a.connected(ada, "echo") as client:
            task = await a2a.task(client, a2a.message("mine", key="m1"))
        others = [
            (await house_.gateway.agent("bo"), "echo"),
            (await house_.gateway.agent("ada"), "echo"),
            (ada, "slow"),
        ]
        for who, at in others:
            async with a2a.connected(who, at) as client:
                for refused in (
                    client.get_task(GetTaskRequest(id=task["id"])),
                    client.cancel_task(CancelTaskRequest(id=task["id"])),
                ):
                    with pytest.raises(TaskNotFoundError):
                        await refused
                subscribed = await rpc(who, at, "SubscribeToTask", {"id": task["id"]})
                assert subscribed.rpc == -32001
                assert not (await client.list_tasks(ListTasksRequest())).tasks
        async with a2a.connected(others[1][0], "echo") as client:  # its name is its session's own
            assert (await a2a.task(client, a2a.message("other", key="m1")))["id"] != task["id"]


@pytest.mark.parametrize("who", ["eve", "ada"])
async def test_an_agent_that_is_not_for_you_is_like_one_that_is_not(
    tmp_path: Path, who: str
) -> None:
    async with home(tmp_path) as (house_, _):
        agent = await house_.gateway.agent(who)
        absent = "echo" if who == "eve" else "nobody"
        answered = await rpc(agent, absent, "SendMessage", said())
        unknown = await rpc(agent, "no-such", "SendMessage", said())
        assert (answered.http, answered.body) == (unknown.http, unknown.body)
        assert answered.code == "agent.unknown"
        cards = [await agent.get(f"/a2a/{name}{CARD}") for name in (absent, "no-such")]
        assert {(card.http, card.code) for card in cards} == {(404, "agent.unknown")}
        assert not house_.gateway.entries("run.started")


async def test_no_card_is_shown_to_who_has_no_token(tmp_path: Path) -> None:
    async with home(tmp_path) as (house_, _):
        for name in ("echo", "no-such"):
            response = await house_.gateway.http.get(f"{house_.gateway.url}/a2a/{name}{CARD}")
            assert response.status_code == httpx.codes.UNAUTHORIZED
            where = response.headers["www-authenticate"].partition('resource_metadata="')[2]
            document = await house_.gateway.http.get(where.rstrip('"'))
            assert document.json()["resource"] == f"{house_.gateway.url}/a2a/{name}"


async def test_a_right_that_is_withdrawn_takes_the_answer_with_it(tmp_path: Path) -> None:
    async with home(tmp_path) as (house_, _):
        ada = await house_.gateway.agent("ada")
        async with a2a.connected(ada, "echo") as client:
            task = await a2a.task(client, a2a.message("hello"))
        await house_.gateway.operate("POST", "/api/tools/agents.echo/suspend", {"reason": "odd"})
        answered = await rpc(ada, "echo", "GetTask", {"id": task["id"]})
        assert answered.code == "agent.unknown"


async def renewed(house_: House, agent: Agent) -> Agent:
    """The same session after a restart, which has another address here."""
    services, gateway = house_.gateway.gateway.services, house_.gateway
    session = services.state.sessions.get(agent.session)
    assert session is not None
    order = Order(
        agent=agent.name, session=session, scopes=("*",), lifetime_s=60, by="t", source="t", hops=1
    )
    minted = await services.mint.mint(order, house_.hop.now_s)
    return Agent(gateway.http, gateway.url, minted.token, agent.name, agent.session)


async def test_a_task_goes_on_after_a_restart_and_is_found_again(tmp_path: Path) -> None:
    slow = Slow()
    async with home(tmp_path, slow) as (house_, _):
        ada = await house_.gateway.agent("ada")
        async with a2a.connected(ada, "asked") as client:
            task = await a2a.task(client, a2a.message("go"))
            assert task["status"]["state"] == "TASK_STATE_AUTH_REQUIRED"
    async with home(tmp_path, slow) as (house_, agents):
        again = await renewed(house_, ada)
        (request,) = house_.gateway.entries("approval.asked")
        await house_.gateway.answer(request["approval"])
        await house_.ended(house_.hop.runs.get(task["id"]))
        answered = await rpc(again, "asked", "GetTask", {"id": task["id"]})
        assert a2a.answer(answered.body["result"]) == "done"
        assert agents.asked == ["asked"]
