"""Delegation: what is handed on is never more, and what may not be handed on is refused by name."""

import asyncio
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.canonical import Json
from gateway.errors import SessionEnded
from gateway.identity import scopes
from gateway.identity.errors import AuthError, DelegationRefused, OAuthError
from gateway.principal import Principal
from policies.snapshot import covers
from tests.gateway.identity.desk import SOURCE, TTL, Desk, desk_at
from tests.gateway.rooms import KEY, Call

POLICY = """\
apiVersion: passavant/v1
kind: Policy
name: test
default: deny
users: {default: unrestricted}
agents: {ada: {}, bo: {}, cy: {}, di: {}}
tools:
  git.log: {risk: read}
  git.push: {risk: write}
  crm.find: {risk: read}
  crm.find_all: {risk: read}
  crm.drop: {risk: irreversible}
delegation:
  max_hops: 2
  max_children: 4
  edges:
    - {id: ada-bo, from: ada, to: bo, tools: [git.*, crm.find*]}
    - {id: bo-cy, from: bo, to: cy, tools: [git.log, crm.drop]}
    - {id: cy-di, from: cy, to: di, tools: [git.log]}
    - {id: bo-ada, from: bo, to: ada, tools: [git.log]}
    - {id: cy-ada, from: cy, to: ada, tools: [git.log]}
    - {id: ada-cy, from: ada, to: cy, tools: [git.log]}
"""


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with desk_at(tmp_path, POLICY) as desk:
        yield desk


async def refused(desk: Desk, token: str, to: str, **form: str) -> DelegationRefused:
    before = len(list(desk.house.log.entries()))
    with pytest.raises(DelegationRefused) as found:
        await desk.hand(token, to, **form)
    assert found.value.reason == "invalid_request"
    assert token not in str(found.value)
    kinds = [entry.body["kind"] for entry in desk.house.log.entries(before)]
    assert "token.issue" not in kinds
    return found.value


# -- what is handed on


async def test_work_is_handed_on_with_all_that_it_is_part_of(desk: Desk) -> None:
    token = await desk.begin()
    parent, child = desk.principal(token), desk.principal(await desk.hand(token, "bo"))
    assert (child.agent, child.chain, child.hops) == ("bo", ("ada",), parent.hops - 1)
    assert child.scopes == ("crm.find", "crm.find_all", "git.*")
    assert child.expires <= parent.expires
    assert child.root == parent.session != child.session
    session = desk.house.sessions.get(child.session)
    assert session is not None
    assert (session.parent, session.root) == (parent.session, parent.session)
    assert session.ends == parent.expires


async def test_a_chain_is_read_from_the_log(desk: Desk) -> None:
    token = await desk.hand(await desk.hand(await desk.begin(), "bo"), "cy")
    opened = desk.house.bodies("session.open")[-1]
    issued = desk.house.bodies("token.issue")[-1]
    for body in (opened, issued):
        assert body["actor"] == {"agent": "cy", "sub": None, "chain": ["bo", "ada"]}
    assert opened["root"] == desk.principal(token).root
    assert opened["granted_by"] == desk.house.bodies("token.issue")[1]["jti"]
    assert desk.principal(token).scopes == ("git.log",)


async def test_who_it_is_for_and_what_for_stay_the_same(desk: Desk) -> None:
    front = POLICY + "front_ends:\n  portal: {users: [ana], agents: [ada]}\n"
    desk.put_into_force(front)
    token = await desk.begin(
        "portal", agent="ada", user="ana", purpose="Tidy up.", purpose_tools="git.*"
    )
    child = await desk.hand(token, "bo")
    assert desk.principal(child).user == "ana"
    session = desk.session(child)
    assert (session.purpose, session.tools) == ("Tidy up.", ("git.*",))


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ("git.log", ("git.log",)),
        ("crm.*", ("crm.find", "crm.find_all")),
        ("*", ("crm.find", "crm.find_all", "git.*")),
        ("git.push crm.drop", ("git.push",)),
    ],
)
async def test_a_scope_is_what_token_edge_and_request_have_in_common(
    desk: Desk, asked: str, given: tuple[str, ...]
) -> None:
    token = await desk.hand(await desk.begin(), "bo", scope=asked)
    assert desk.principal(token).scopes == given


async def test_an_actor_token_of_its_own_changes_nothing(desk: Desk) -> None:
    own = await desk.begin("bo")
    token = await desk.hand(await desk.begin(), "bo", actor_token=own)
    assert desk.principal(token).chain == ("ada",)


async def test_a_child_ends_with_what_it_was_handed_on_with(desk: Desk) -> None:
    token = await desk.begin(requested_lifetime="100")
    child = await desk.hand(token, "bo", requested_lifetime="3600")
    ends = desk.principal(token).expires
    assert desk.principal(child).expires == ends
    desk.house.clock.pass_s(ends - desk.house.now_s)
    with pytest.raises(SessionEnded):
        desk.session(child)


# -- what may not be handed on


async def test_an_agent_is_handed_nothing_that_no_edge_names(desk: Desk) -> None:
    found = await refused(desk, await desk.begin("di"), "ada")
    assert found.code == "delegation.edge"
    assert found.attempted is not None
    assert (found.attempted.agent, found.attempted.chain) == ("ada", ("di",))


async def test_an_edge_that_is_taken_away_hands_on_nothing_more(desk: Desk) -> None:
    token = await desk.begin()
    desk.put_into_force(POLICY.replace("id: ada-bo, from: ada", "id: di-bo, from: di"))
    assert (await refused(desk, token, "bo")).code == "delegation.edge"


async def test_nothing_is_handed_on_in_a_circle(desk: Desk) -> None:
    one = await desk.hand(await desk.begin(), "bo")
    assert (await refused(desk, one, "ada")).code == "delegation.cycle"


async def test_a_token_reaches_only_so_many_agents(desk: Desk) -> None:
    two = await desk.hand(await desk.hand(await desk.begin(), "bo"), "cy")
    assert desk.principal(two).hops == 0
    assert (await refused(desk, two, "di")).code == "delegation.hops"


async def test_a_chain_is_no_longer_than_the_policy_in_force_says(desk: Desk) -> None:
    one = await desk.hand(await desk.begin(), "bo")
    desk.put_into_force(POLICY.replace("max_hops: 2", "max_hops: 1"))
    assert desk.principal(one).hops == 1
    assert (await refused(desk, one, "cy")).code == "delegation.depth"


async def test_one_hop_is_the_default(desk: Desk) -> None:
    desk.put_into_force(POLICY.replace("  max_hops: 2\n", ""))
    one = await desk.hand(await desk.begin(), "bo")
    assert (await refused(desk, one, "cy")).code == "delegation.hops"


async def test_without_a_block_nothing_is_handed_on(desk: Desk) -> None:
    desk.put_into_force(POLICY.partition("delegation:")[0])
    token = await desk.begin()
    assert desk.principal(token).hops == 0
    assert (await refused(desk, token, "bo")).code == "delegation.edge"


async def test_a_request_leads_to_so_many_sessions_and_no_more(desk: Desk) -> None:
    token = await desk.begin()
    tokens = [token] + [await renewed(desk, token) for _ in range(5)]
    results = [await _try(desk, each, "bo") for each in tokens]
    assert results == [""] * 4 + ["delegation.fan-out"] * 2
    # Of another request there are as many.
    await desk.hand(await desk.begin(), "bo")


async def test_children_at_the_same_time_are_counted_too(desk: Desk) -> None:
    token = await desk.begin()
    tokens = [token] + [await renewed(desk, token) for _ in range(7)]
    results = await asyncio.gather(*(_try(desk, each, "bo") for each in tokens))
    assert sorted(results) == [""] * 4 + ["delegation.fan-out"] * 4
    assert not desk.house.openings._under_way


async def test_children_of_children_are_counted_together(desk: Desk) -> None:
    token = await desk.begin()
    for each in (token, await renewed(desk, token)):
        await desk.hand(await desk.hand(each, "bo"), "cy")
    assert (await refused(desk, await renewed(desk, token), "bo")).code == "delegation.fan-out"


async def test_a_token_is_handed_to_an_agent_once(desk: Desk) -> None:
    token = await desk.begin()
    await desk.hand(token, "bo")
    assert (await refused(desk, token, "bo")).code == "delegation.reused"
    await desk.hand(token, "cy")
    await desk.hand(await renewed(desk, token), "bo")


async def test_a_token_is_handed_on_once_across_a_restart(desk: Desk) -> None:
    token = await desk.begin()
    await desk.hand(token, "bo")
    again = Desk(desk.house.reopen(), desk.keys, POLICY, desk.numbers)
    try:
        assert (await refused(again, token, "bo")).code == "delegation.reused"
    finally:
        again.house.close()


async def test_of_many_at_the_same_time_one_is_handed_on(desk: Desk) -> None:
    token = await desk.begin()
    results = await asyncio.gather(*(_try(desk, token, "bo") for _ in range(6)))
    assert sorted(results) == [""] + ["delegation.reused"] * 5


async def test_a_token_that_is_over_is_renewed_and_not_handed_on(desk: Desk) -> None:
    token = await desk.begin()
    desk.house.clock.pass_s(TTL + 1)
    assert (await refused(desk, token, "bo")).code == "delegation.subject"
    await desk.hand(await renewed(desk, token), "bo")


@pytest.mark.parametrize("case", ["ended", "revoked", "suspended", "forged"])
async def test_what_is_withdrawn_is_not_handed_on(desk: Desk, case: str) -> None:
    token = await desk.begin()
    principal = desk.principal(token)
    if case == "ended":
        await desk.house.sessions.end(principal.session, by="agent:ada")
    elif case == "revoked":
        await revoke(desk, principal)
    elif case == "suspended":
        await suspend(desk, "ada")
    else:
        token = token[:-8] + "AAAAAAAA"
    with pytest.raises(OAuthError):
        await desk.hand(token, "bo")
    assert len(desk.house.bodies("token.issue")) == 1


@pytest.mark.parametrize(
    "whose", ["another-agents", "the-delegators", "delegated", "forged", "over"]
)
async def test_an_actor_token_that_is_not_the_clients_own_is_refused(
    desk: Desk, whose: str
) -> None:
    token = await desk.begin()
    actor = {
        "another-agents": await desk.begin("cy"),
        "the-delegators": token,
        "delegated": await desk.hand(await desk.begin(), "bo"),
        "forged": (await desk.begin("bo"))[:-8] + "AAAAAAAA",
        "over": await desk.begin("bo", requested_lifetime="1"),
    }[whose]
    if whose == "over":
        desk.house.clock.pass_s(30)
    assert (await refused(desk, token, "bo", actor_token=actor)).code == "delegation.actor"


@pytest.mark.parametrize("scope", ["crm.drop", "mail.*", "git", "git.*  crm.*"])
async def test_a_scope_that_is_not_lent_is_not_had(desk: Desk, scope: str) -> None:
    found = await refused(desk, await desk.begin(), "bo", scope=scope)
    assert found.code == "delegation.scope"


async def test_a_delegated_token_is_not_renewed(desk: Desk) -> None:
    child = await desk.hand(await desk.begin(), "bo")
    with pytest.raises(OAuthError, match="not renewed"):
        await desk.hand(child, "bo")


@pytest.mark.parametrize("name", ["user", "agent", "purpose", "purpose_tools"])
async def test_nobody_speaks_for_a_user_by_handing_on(desk: Desk, name: str) -> None:
    token = await desk.begin()
    with pytest.raises(OAuthError) as found:
        await desk.hand(token, "bo", **{name: "ana"})
    assert found.value.reason == "unauthorized_client"


# -- what ends


async def test_with_a_session_all_ends_that_was_handed_on_from_it(desk: Desk) -> None:
    token = await desk.begin()
    other = await desk.begin()
    one = await desk.hand(token, "bo")
    two = await desk.hand(one, "cy")
    beside = await desk.hand(other, "bo")
    principals = [desk.principal(each) for each in (token, one, two)]
    await desk.house.sessions.end(principals[0].session, by="operator:omar")
    for each in (token, one, two):
        with pytest.raises(AuthError) as found:
            desk.principal(each)
        assert found.value.code == "auth.revoked"
    desk.session(beside)
    again = desk.house.reopen()
    try:
        assert all(again.revocations.revoked(each) for each in principals)
    finally:
        again.close()


async def test_with_a_child_only_what_is_below_it_ends(desk: Desk) -> None:
    token = await desk.begin()
    one = await desk.hand(token, "bo")
    two = await desk.hand(one, "cy")
    await desk.house.sessions.end(desk.principal(one).session, by="agent:bo")
    desk.session(token)
    with pytest.raises(AuthError):
        desk.principal(two)


async def test_with_a_token_that_is_revoked_ends_what_was_handed_on_with_it(desk: Desk) -> None:
    token = await desk.begin()
    fresh = await renewed(desk, token)
    with_it, with_the_other = await desk.hand(token, "bo"), await desk.hand(fresh, "bo")
    below = await desk.hand(with_it, "cy")
    await revoke(desk, desk.principal(token))
    for each in (with_it, below):
        with pytest.raises(AuthError):
            desk.principal(each)
    desk.session(with_the_other)


@pytest.mark.parametrize("agent", ["ada", "bo", "cy"])
async def test_with_any_agent_of_a_chain_the_chain_stops(desk: Desk, agent: str) -> None:
    token = await desk.hand(await desk.hand(await desk.begin(), "bo"), "cy")
    await suspend(desk, agent)
    with pytest.raises(AuthError):
        desk.principal(token)


# -- labels


async def test_a_child_has_the_labels_of_its_parent_and_of_its_agent(desk: Desk) -> None:
    token = await desk.begin()
    await touch(desk, token, "web")
    await touch(desk, await desk.begin("bo"), "pii")
    child = await desk.hand(token, "bo")
    assert desk.session(child).labels == {"web", "pii"}


async def test_what_a_parent_touches_falls_on_its_children_while_they_are_open(desk: Desk) -> None:
    token = await desk.begin()
    one = await desk.hand(token, "bo")
    two = await desk.hand(one, "cy")
    await touch(desk, token, "web")
    assert desk.session(one).labels == desk.session(two).labels == {"web"}


async def test_what_a_child_touches_falls_back_on_those_it_acts_for(desk: Desk) -> None:
    token = await desk.begin()
    one = await desk.hand(token, "bo")
    two = await desk.hand(one, "cy")
    await touch(desk, two, "web")
    assert desk.session(one).labels == desk.session(token).labels == {"web"}


async def test_what_an_agent_was_handed_it_knows_in_all_its_sessions(desk: Desk) -> None:
    before = await desk.begin("bo")
    token = await desk.begin()
    child = await desk.hand(token, "bo")
    await touch(desk, token, "web")
    after = await desk.begin("bo")
    assert desk.session(before).labels == desk.session(after).labels == {"web"}
    assert desk.session(child).labels == {"web"}


async def test_labels_of_a_tree_survive_a_restart(desk: Desk) -> None:
    token = await desk.begin()
    child = await desk.hand(token, "bo")
    await touch(desk, child, "web")
    again = Desk(desk.house.reopen(), desk.keys, POLICY, desk.numbers)
    try:
        assert again.session(token).labels == again.session(child).labels == {"web"}
        assert again.house.sessions.get(again.principal(child).session) == desk.session(child)
    finally:
        again.house.close()


async def test_another_request_is_not_touched(desk: Desk) -> None:
    token, other = await desk.begin(), await desk.begin("di")
    await touch(desk, await desk.hand(token, "bo"), "web")
    assert desk.session(other).labels == frozenset()


# -- whatever is handed on to whomever

AGENTS = ("ada", "bo", "cy", "di")
TOOLS = ("git.log", "git.push", "crm.find", "crm.find_all", "crm.drop")
asks = st.none() | st.lists(
    st.sampled_from(("*", "git.*", "crm.*", *TOOLS)), min_size=1, max_size=3
).map(" ".join)
steps = st.lists(
    st.tuples(
        st.integers(0, 6),
        st.sampled_from(AGENTS),
        asks,
        st.sampled_from(("", "60", "3600")),
        st.sets(st.sampled_from(("web", "pii")), max_size=1),
    ),
    max_size=12,
)
edges = st.dictionaries(
    st.tuples(st.sampled_from(AGENTS), st.sampled_from(AGENTS)).filter(lambda e: e[0] != e[1]),
    st.lists(st.sampled_from(("git.*", "crm.find*", *TOOLS)), min_size=1, max_size=3, unique=True),
    max_size=8,
)


@given(edges=edges, hops=st.integers(0, 4), first=asks, steps=steps)
@settings(max_examples=40)
def test_along_any_chain_rights_shrink_and_labels_grow(
    edges: dict[tuple[str, str], list[str]],
    hops: int,
    first: str | None,
    steps: list[tuple[int, str, str | None, str, set[str]]],
) -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        asyncio.Runner() as runner,
    ):
        runner.run(walk(Path(folder), with_edges(edges, hops), first, steps))


async def walk(
    folder: Path,
    policy: str,
    first: str | None,
    steps: list[tuple[int, str, str | None, str, set[str]]],
) -> None:
    with desk_at(folder, policy) as desk:
        tokens = [await desk.begin(**({} if first is None else {"scope": first}))]
        parents: dict[str, str] = {}
        for which, to, scope, life, labels in steps:
            token = tokens[which % len(tokens)]
            await touch(desk, token, *labels)
            form = {"scope": scope, "requested_lifetime": life}
            try:
                child = await desk.hand(token, to, **{k: v for k, v in form.items() if v})
            except OAuthError:
                continue
            if to != desk.principal(token).agent:  # else it is the same session anew
                parents[child] = token
                tokens.append(child)
        for child, token in parents.items():
            check_shrunk(desk, child, token)


def check_shrunk(desk: Desk, child_token: str, parent_token: str) -> None:
    """Rights of the child are its parent's, and labels of the parent are the child's."""
    child, parent = desk.principal(child_token), desk.principal(parent_token)
    lent = desk.policy.delegation.edges[parent.agent, child.agent]
    for tool in TOOLS:
        if scopes.allows(child.scopes, *tool.split(".")):
            assert scopes.allows(parent.scopes, *tool.split("."))
            assert covers(lent, tool)
    assert child.chain == (parent.agent, *parent.chain)
    assert child.agent not in child.chain
    assert child.hops == parent.hops - 1 >= 0
    assert child.expires <= parent.expires
    assert (child.user, child.user_groups, child.root) == (
        parent.user,
        parent.user_groups,
        parent.root,
    )
    assert len(child.chain) <= desk.policy.delegation.max_hops
    assert desk.session(child_token).labels >= desk.session(parent_token).labels
    assert desk.session(child_token).ends <= desk.session(parent_token).ends


def with_edges(edges: dict[tuple[str, str], list[str]], hops: int) -> str:
    lines = [
        f"    - {{id: e-{n}, from: {one}, to: {other}, tools: [{', '.join(map(repr, tools))}]}}\n"
        for n, ((one, other), tools) in enumerate(edges.items())
    ]
    head = POLICY.partition("delegation:")[0]
    return head + (f"delegation:\n  max_hops: {hops}\n  edges:\n" + "".join(lines) if lines else "")


# -- what tests do


async def renewed(desk: Desk, token: str) -> str:
    return await desk.hand(token, "ada")


async def _try(desk: Desk, token: str, to: str) -> str:
    try:
        await desk.hand(token, to)
    except DelegationRefused as found:
        return found.code
    return ""


async def touch(desk: Desk, token: str, *labels: str) -> None:
    """A call whose tool puts these on, as the gate records it."""
    key = replace(KEY, session=desk.principal(token).session)
    call = Call(desk.house.recorder.new_id(), key, emits=labels)
    await desk.house.end(call, await desk.house.decide(call))


async def revoke(desk: Desk, principal: Principal) -> None:
    fields: dict[str, Json] = {
        "jti": principal.token_id,
        "session": principal.session,
        "until": principal.expires,
        "source": SOURCE,
    }
    await desk.house.recorder.write("token.revoke", fields)


async def suspend(desk: Desk, agent: str) -> None:
    await desk.house.recorder.write("agent.suspended", {"agent": agent})
