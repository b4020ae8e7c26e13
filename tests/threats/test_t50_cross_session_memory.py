"""T50: nothing of one session's memory is seen in another, whatever key or space is asked for."""

from typing import Any

import pytest

from tests.harness.agent import WAYS, Agent, Answer
from tests.harness.gateway import Running
from tests.harness.policy import MEMORY

pytestmark = pytest.mark.asyncio(loop_scope="module")

POLICY = MEMORY.replace(
    "rules:\n",
    "spaces:\n"
    "  theirs: {of: team, roles: [nobody], keep: 1d}\n"
    "  ours: {of: agent, roles: [clerk], keep: 1d}\n"
    "rules:\n"
    "  - {id: idles, roles: [nobody], tools: [memory.*], effect: allow}\n",
    1,
)
SECRET = "the vault opens with 4711"


def shown(answer: Answer) -> tuple[Any, ...]:
    """All that a caller can see of an answer, but for the receipt of its own entry and the time."""
    own = {"audit-receipt", "date"}
    headers = {name: value for name, value in answer.headers.items() if name not in own}
    return answer.http, answer.body, headers


async def victim(gateway: Running) -> Agent:
    owner = await gateway.agent()
    for space in ({}, {"space": "ours"}):
        assert (await owner.call("memory.put", key="vault", value=SECRET, **space)).done
    return owner


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "key",
    ["vault", "*", "%", "vau*", "../vault", "..", "vault\0", "VAULT", "/", "'; --", ".*", "ｖault"],
)
async def test_t50_a_guessed_key_is_like_one_that_nobody_has(
    gateway: Running, clerk: Agent, way: str, key: str
) -> None:
    await victim(gateway)
    clerk = clerk.by(way)
    absent = shown(await clerk.call("memory.get", key="nobody has this"))
    assert shown(await clerk.call("memory.get", key=key)) == absent
    assert shown(await clerk.call("memory.delete", key=key)) == absent


async def test_t50_the_id_of_a_session_or_an_entry_opens_nothing(
    gateway: Running, clerk: Agent
) -> None:
    owner = await victim(gateway)
    absent = shown(await clerk.call("memory.get", key="nobody has this"))
    for entry in gateway.entries("memory.put", of=owner):
        for key in (entry["id"], owner.session, f"{owner.session}/vault", f"../{owner.session}"):
            assert shown(await clerk.call("memory.get", key=key)) == absent


@pytest.mark.parametrize("tool", ["get", "put", "search", "delete"])
async def test_t50_a_forbidden_space_is_like_one_that_does_not_exist(
    gateway: Running, clerk: Agent, tool: str
) -> None:
    idle = await gateway.agent("idle")
    assert (await idle.call("memory.put", key="k", value=SECRET, space="theirs")).done
    arguments = {"put": {"key": "k", "value": "v"}, "search": {"text": "vault"}}
    asked = arguments.get(tool, {"key": "k"})
    forbidden = await clerk.call(f"memory.{tool}", **asked, space="theirs")
    absent = await clerk.call(f"memory.{tool}", **asked, space="others")
    assert shown(forbidden) == shown(absent)
    assert not forbidden.done


@pytest.mark.parametrize("text", ["vault", "4711", "v", "*", "%", ""])
async def test_t50_searching_finds_nothing_of_another(
    gateway: Running, clerk: Agent, text: str
) -> None:
    await victim(gateway)
    answer = await clerk.call("memory.search", text=text)
    assert SECRET not in str(answer.body)
    if answer.done:
        assert answer.result is not None
        assert answer.result["structuredContent"] == {"found": []}


@pytest.mark.parametrize("name", ["session", "namespace", "owner", "agent", "user", "sid", "id"])
async def test_t50_no_argument_names_whose_memory_is_meant(
    gateway: Running, clerk: Agent, name: str
) -> None:
    owner = await victim(gateway)
    for value in (owner.session, owner.name):
        answer = await clerk.call("memory.get", key="vault", **{name: value})
        assert answer.code == "args.unknown_field"


async def test_t50_another_session_of_the_same_agent_sees_only_its_own(gateway: Running) -> None:
    owner = await victim(gateway)
    again = await gateway.agent(owner.name)
    assert not (await again.call("memory.get", key="vault")).done
    assert (await again.call("memory.get", key="vault", space="ours")).done
    assert (await again.call("memory.put", key="vault", value="other")).done
    mine = await owner.call("memory.get", key="vault")
    assert mine.result is not None
    assert mine.result["structuredContent"]["value"] == SECRET
