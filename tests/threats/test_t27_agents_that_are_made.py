"""T27: an agent that another makes or reaches has nothing that the other one lacks."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.identity import scopes
from gateway.identity.delegation import check_chain, lent
from gateway.identity.errors import DelegationRefused
from gateway.principal import Principal
from policies.compile import compile_snapshot
from policies.loader import read_policies
from policies.snapshot import Snapshot
from tests.harness.gateway import Clock
from tests.orchestration.doors import POLICY, Doors, doors, made, through
from tests.orchestration.test_remote import Script, replies, said

PAY, LOOK = "desk.pay", "desk.look"
LATER = POLICY.replace(
    "[ada], tools: [model.small, desk.look, desk.pay]", "[ada], tools: [model.small]"
)


def pays() -> Script:
    """A model that wants to pay, and then has done."""
    return replies(said(None, ("desk__pay", {"amount": 4, "to": "x"})), said("done"))


def looks() -> Script:
    """A model that wants to look."""
    return replies(said(None, ("desk__look", {})), said("done"))


def effects(home: Doors, tool: str) -> list[str]:
    """How every call of a tool was decided."""
    decided = home.gateway.entries("decision")
    return [each["decision"]["effect"] for each in decided if each["tool"]["name"] == tool]


async def test_t27_nobody_makes_an_agent_with_a_tool_it_lacks(tmp_path: Path) -> None:
    async with doors(tmp_path, pays()) as home:
        bo = await home.gateway.agent("bo")
        told = await through(bo, "create", model="small", instructions="Pay.", tools=[LOOK, PAY])
        assert told["code"] == "agent.tools"
        assert not home.gateway.entries("agent.created")


async def test_t27_a_token_that_may_less_makes_agents_that_may_less(tmp_path: Path) -> None:
    async with doors(tmp_path, pays()) as home:
        narrow = ["agents.create", "agents.invoke", "model.small", LOOK]
        ada = await home.gateway.agent("ada", tools=narrow)
        told = await through(ada, "create", model="small", instructions="Pay.", tools=[PAY])
        assert told["code"] == "agent.tools"


async def test_t27_what_a_made_agent_was_not_given_it_cannot_call(tmp_path: Path) -> None:
    async with doors(tmp_path, pays()) as home:
        ada = await home.gateway.agent("ada")
        told = await through(ada, "invoke", agent=await made(ada, LOOK), task="pay")
        assert told["state"] == "done"
        assert home.desk.paid == []
        assert PAY not in str(home.provider.asked[0]["tools"])


async def test_t27_a_right_that_its_maker_loses_a_made_agent_loses(tmp_path: Path) -> None:
    async with doors(tmp_path, pays()) as home:
        ada = await home.gateway.agent("ada")
        name = await made(ada, PAY)
        assert (await home.gateway.apply(LATER)).is_success
        await through(ada, "invoke", agent=name, task="pay")
        assert home.desk.paid == []


async def test_t27_a_made_agent_acts_and_is_recorded_as_its_maker(tmp_path: Path) -> None:
    async with doors(tmp_path, pays()) as home:
        ada = await home.gateway.agent("ada", user="alice")
        await through(ada, "invoke", agent=await made(ada, PAY), task="pay")
        assert home.desk.paid == [4]
        actors = [each["actor"] for each in home.gateway.entries("decision")]
        assert {(each["agent"], each["sub"]) for each in actors} == {("ada", "alice")}


async def test_t27_it_lives_no_longer_than_it_was_made_for(tmp_path: Path) -> None:
    clock = Clock()
    async with doors(tmp_path, pays(), clock=clock) as home:
        ada = await home.gateway.agent("ada")
        name = await made(ada, LOOK, keep_s=60)
        clock.pass_s(61)
        told = await through(ada, "invoke", agent=name, task="look")
        assert told["code"] == "agent.unknown"


async def test_t27_it_lives_no_longer_than_its_makers_session(tmp_path: Path) -> None:
    async with doors(tmp_path, pays()) as home:
        ada = await home.gateway.agent("ada")
        await made(ada, LOOK, keep_s=86_400)
        session = home.gateway.gateway.services.state.sessions.get(ada.session)
        assert session is not None
        (entry,) = home.gateway.entries("agent.created")
        assert entry["ends"] == session.ends


async def test_t27_it_is_for_the_session_that_made_it(tmp_path: Path) -> None:
    async with doors(tmp_path, pays()) as home:
        name = await made(await home.gateway.agent("ada"), PAY)
        for who in ("ada", "bo"):
            other = await home.gateway.agent(who)
            told = await through(other, "invoke", agent=name, task="pay")
            assert told["code"] == "agent.unknown"
            assert name not in str(await through(other, "list"))
        assert home.desk.paid == []


async def test_t27_from_a_tainted_session_comes_no_clean_agent(tmp_path: Path) -> None:
    async with doors(tmp_path, pays()) as home:
        ada = await home.gateway.agent("ada")
        await through(ada, "invoke", agent="web", task="x")
        assert home.gateway.labels(ada) == {"web"}
        await through(ada, "invoke", agent=await made(ada, PAY), task="pay")
        assert effects(home, PAY) == ["deny"]
        assert home.desk.paid == []


async def test_t27_what_an_agent_touches_falls_on_who_reached_it(tmp_path: Path) -> None:
    async with doors(tmp_path, looks()) as home:
        ada = await home.gateway.agent("ada")
        begun = await through(ada, "invoke", agent="web", task="x", wait_s=0)
        await through(ada, "transcript", task=begun["task"], wait_s=20)
        assert not (await ada.call(PAY, amount=4, to="x")).done
        assert home.desk.paid == []


@pytest.mark.parametrize(
    ("script", "tool"),
    [pytest.param(pays, PAY, id="its-own-and-not-lent"), pytest.param(looks, LOOK, id="both")],
)
async def test_t27_who_is_reached_may_do_what_both_may(
    tmp_path: Path, script: Callable[[], Script], tool: str
) -> None:
    async with doors(tmp_path, script()) as home:
        ada = await home.gateway.agent("ada")
        await through(ada, "invoke", agent="helper", task="x")
        used = effects(home, tool)
        assert used == (["allow"] if tool == LOOK else [])
        assert home.desk.paid == []


AGENTS = ("ada", "bo", "cy", "di")
TOOLS = ("desk.look", "desk.pay", "web.get", "web.post", "web.put")
patterns = st.sampled_from([*TOOLS, "desk.*", "web.*", "web.p*"])
lends = st.lists(patterns, min_size=1, max_size=3, unique=True)
edges = st.lists(
    st.tuples(st.sampled_from(AGENTS), st.sampled_from(AGENTS), lends).filter(
        lambda edge: edge[0] != edge[1]
    ),
    min_size=1,
    max_size=6,
    unique_by=lambda edge: edge[:2],
)
asked = st.lists(st.sampled_from([*TOOLS, "desk.*", "web.*", "*"]), min_size=1, max_size=3)
steps = st.lists(st.one_of(st.sampled_from(AGENTS), asked), max_size=6)


def policy_of(found: list[tuple[str, str, list[str]]]) -> Snapshot:
    """A policy with these edges, and nothing else that matters."""
    stated = {
        "apiVersion": "passavant/v1",
        "kind": "Policy",
        "name": "paths",
        "default": "deny",
        "agents": {name: {} for name in AGENTS},
        "tools": {name: {"risk": "write"} for name in TOOLS},
        "delegation": {
            "max_hops": 8,
            "edges": [
                {"id": f"e{number}", "from": origin, "to": to, "tools": tools}
                for number, (origin, to, tools) in enumerate(found)
            ],
        },
    }
    return compile_snapshot(read_policies([("p", json.dumps(stated).encode())]), None)


def covers(held: scopes.Scopes) -> set[str]:
    """The tools that scopes stand for."""
    return {name for name in TOOLS if scopes.allows(held, *name.split("."))}


@given(found=edges, path=steps)
def test_t27_rights_never_widen_along_any_path(
    found: list[tuple[str, str, list[str]]], path: list[str | list[str]]
) -> None:
    """A path hands work on, or narrows it as tasks, made agents and exchanged tokens do."""
    policy = policy_of(found)
    at = Principal("ada", None, frozenset(), (), "s", scopes.ALL, 8, "t", 0, 1)
    for step in path:
        if isinstance(step, list):
            most = scopes.parse(" ".join(dict.fromkeys(step)))
            after = replace(at, scopes=scopes.intersect(at.scopes, most))
        else:
            try:
                check_chain(step, at, policy)
            except DelegationRefused:
                continue
            lent_now = lent(step, at, policy)
            chain = (at.agent, *at.chain)
            after = replace(at, agent=step, chain=chain, scopes=lent_now, hops=at.hops - 1)
            assert after.agent not in after.chain
        assert covers(after.scopes) <= covers(at.scopes)
        assert after.hops <= at.hops
        at = after
