"""Two gateways with homes and logs of their own, and one fleet."""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import jwt
import pytest
import pytest_asyncio

from gateway.errors import FleetUnavailable
from tests.harness.agent import Agent
from tests.harness.child import child
from tests.harness.fleet import CUTS, cut, database, member
from tests.harness.gateway import Running
from tests.harness.policy import AGENTS, DESK, crowded
from tests.harness.reached import LONGEST_S, Reached
from tests.harness.upstream import Desk, Turnstile, desk

WHY = {"reason": "it pays strangers"}
BOUND_S = 1.0
TOKENS = ("tokens", "signs")
MANY = crowded(DESK)
TIGHT = MANY.replace("args.amount <= 100", "args.amount <= 10").replace(
    "args.amount > 100 && args.amount <= 1000", "args.amount > 5000"
)

Pair = tuple[Running, Running, Desk]
Withdraw = Callable[[Running, Agent], Awaitable[object]]


@asynccontextmanager
async def pair(folder: Path) -> AsyncIterator[Pair]:
    async with AsyncExitStack() as stack:
        upstream = await stack.enter_async_context(desk())
        a, b = [
            await stack.enter_async_context(member(folder, name, upstream, policy=MANY))
            for name in ("a", "b")
        ]
        yield a, b, upstream


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the fleet lives that most tests share, each with agents of its own."""
    return tmp_path_factory.mktemp("fleet")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def everybody(folder: Path) -> AsyncIterator[Pair]:
    async with pair(folder) as found:
        yield found


@pytest.fixture
def shared(everybody: Pair) -> Pair:
    everybody[2].forget()
    return everybody


def post(path: str) -> Withdraw:
    return lambda gateway, clerk: gateway.operate(
        "POST", f"/api/{path.format(agent=clerk.name)}", WHY
    )


async def looks(agent: Agent) -> str | None:
    return (await agent.call("desk.look")).code


async def refused(agent: Agent, *codes: str) -> float:
    """Seconds until the agent is refused."""
    began = time.monotonic()
    async with asyncio.timeout(20):
        while await looks(agent) not in codes:  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.005)
    return time.monotonic() - began


async def passes(agent: Agent) -> None:
    """Wait until the agent is let through."""
    async with asyncio.timeout(20):
        while await looks(agent) is not None:  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.005)


# -- what one withdraws -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("withdraw", "resume", "code"),
    [
        pytest.param(
            lambda g, a: g.operate("POST", "/api/tokens/revoke", {"token": a.token}),
            None,
            "auth.revoked",
            id="token",
        ),
        pytest.param(
            post("agents/{agent}/suspend"),
            post("agents/{agent}/resume"),
            "auth.revoked",
            id="agent",
        ),
        pytest.param(
            post("users/ana/suspend"), post("users/ana/resume"), "auth.revoked", id="user"
        ),
        pytest.param(
            post("servers/desk/suspend"),
            post("servers/desk/resume"),
            "server.suspended",
            id="server",
        ),
        pytest.param(
            post("tools/desk.look/suspend"),
            post("tools/desk.look/resume"),
            "tool.suspended",
            id="tool",
        ),
        pytest.param(post("stop"), post("go"), "gateway.stopped", id="everything"),
    ],
)
async def test_what_one_gateway_withdraws_the_other_refuses_within_a_second(
    shared: Pair, withdraw: Withdraw, resume: Withdraw | None, code: str
) -> None:
    a, b, _ = shared
    clerk = await b.agent(user="ana")
    await passes(clerk)
    await withdraw(a, clerk)
    assert await refused(clerk, code) <= BOUND_S
    if resume is not None:
        await resume(a, clerk)
        await passes(clerk)


async def test_a_running_call_of_the_other_gateway_is_cut_short(shared: Pair) -> None:
    a, b, upstream = shared
    clerk = await b.agent()
    upstream.then = pay = Turnstile()
    call = asyncio.create_task(clerk.call("desk.pay", amount=40, to="paper"))
    await upstream.called(1)
    await a.operate("POST", "/api/stop", WHY)
    assert (await call).code == "stopped"
    pay.open.set()
    await a.operate("POST", "/api/go", WHY)
    (outcome,) = [o for o in b.entries("outcome") if o["session"] == clerk.session]
    assert (outcome["status"], outcome["code"]) == ("unknown", "stopped")


async def test_one_gateway_can_take_back_what_the_other_withdrew(shared: Pair) -> None:
    a, b, _ = shared
    clerk = await b.agent()
    await a.operate("POST", f"/api/agents/{clerk.name}/suspend", WHY)
    await refused(clerk, "auth.revoked")
    await b.operate("POST", f"/api/agents/{clerk.name}/resume", WHY)
    await passes(clerk)
    stood = a.gateway.services.state.revocations
    await a.until(lambda: not stood.suspended("agent", clerk.name))


async def test_what_was_taken_back_elsewhere_can_be_withdrawn_anew(shared: Pair) -> None:
    a, b, _ = shared
    clerk = await b.agent()
    for _ in range(2):
        await a.operate("POST", f"/api/agents/{clerk.name}/suspend", WHY)
        await refused(clerk, "auth.revoked")
        await b.operate("POST", f"/api/agents/{clerk.name}/resume", WHY)
        await passes(clerk)
    await a.operate("POST", f"/api/agents/{clerk.name}/suspend", WHY)
    await refused(clerk, "auth.revoked")


async def test_both_logs_say_what_was_told_and_heard(shared: Pair) -> None:
    a, b, _ = shared
    clerk = await b.agent()
    await a.operate("POST", f"/api/agents/{clerk.name}/suspend", WHY)
    await refused(clerk, "auth.revoked")
    key = f"agent:{clerk.name}"
    await a.until(lambda: a.entries("fleet.told")[-1]["keys"] == [key])
    await b.until(lambda: b.entries("fleet.heard")[-1]["withdrawn"] == [key])
    assert [e for e in b.entries("agent.suspended") if e["agent"] == clerk.name] == []


# -- across restarts --------------------------------------------------------------------------


async def test_who_was_away_hears_of_it_at_its_start(tmp_path: Path) -> None:
    async with desk() as upstream, member(tmp_path, "a", upstream) as a:
        async with member(tmp_path, "b", upstream) as b:
            clerk = await b.agent()
        await a.operate("POST", f"/api/agents/{clerk.name}/suspend", WHY)
        async with member(tmp_path, "b", upstream) as b:
            assert await looks(await b.agent(clerk.name)) == "auth.revoked"


async def test_what_was_taken_back_elsewhere_stays_so_after_a_restart(tmp_path: Path) -> None:
    async with desk() as upstream, member(tmp_path, "a", upstream) as a:
        async with member(tmp_path, "b", upstream) as b:
            clerk = await b.agent()
            await b.operate("POST", f"/api/agents/{clerk.name}/suspend", WHY)
        stood = a.gateway.services.state.revocations
        await a.until(lambda: stood.suspended("agent", clerk.name))
        await a.operate("POST", f"/api/agents/{clerk.name}/resume", WHY)
        async with member(tmp_path, "b", upstream) as b:
            await passes(await b.agent(clerk.name))


async def test_what_could_not_be_told_is_told_after_a_restart(tmp_path: Path) -> None:
    async with desk() as upstream, member(tmp_path, "b", upstream) as b:
        clerk = await b.agent()
        async with member(tmp_path, "a", upstream) as a:
            with cut(tmp_path, "removed"):
                untold = await a.operate(
                    "POST", f"/api/agents/{clerk.name}/suspend", WHY, check=False
                )
                a.gateway.services.fleet._around.database._path = tmp_path / "nowhere"  # type: ignore[union-attr]  # there is one
        assert untold.json()["code"] == "fleet.unavailable"
        await passes(clerk)
        async with member(tmp_path, "a", upstream):
            await refused(clerk, "auth.revoked")


# -- with the channel cut ---------------------------------------------------------------------


@pytest.mark.parametrize("how", CUTS)
async def test_who_cannot_hear_denies_within_a_second_and_recovers_by_itself(
    shared: Pair, folder: Path, how: str
) -> None:
    a, b, upstream = shared
    clerk, other = await b.agent(), await a.agent(AGENTS[-1])
    await passes(clerk)
    with cut(folder, how):
        began = time.monotonic()
        await asyncio.gather(refused(clerk, "epoch_unknown"), refused(other, "epoch_unknown"))
        assert time.monotonic() - began <= BOUND_S + 0.2
        upstream.forget()
        assert (await clerk.call("desk.pay", amount=1, to="x")).code == "epoch_unknown"
        assert upstream.calls == []
    await passes(clerk)
    await passes(other)


async def test_what_is_withdrawn_while_the_channel_is_cut_counts_here_and_is_told_later(
    shared: Pair, folder: Path
) -> None:
    a, b, _ = shared
    clerk = await b.agent()
    with cut(folder, "locked"):
        answer = await a.operate("POST", f"/api/agents/{clerk.name}/suspend", WHY, check=False)
        assert (answer.status_code, answer.json()["code"]) == (503, "fleet.unavailable")
        assert "recorded" in answer.json()["detail"]
        assert a.gateway.services.state.revocations.suspended("agent", clerk.name)
        await refused(clerk, "epoch_unknown")
    await refused(clerk, "auth.revoked")
    assert [e["agent"] for e in a.entries("agent.suspended")].count(clerk.name) == 1


async def test_nothing_is_taken_back_while_the_channel_is_cut(shared: Pair, folder: Path) -> None:
    a, b, _ = shared
    clerk = await b.agent()
    path = f"/api/agents/{clerk.name}"
    await a.operate("POST", f"{path}/suspend", WHY)
    with cut(folder, "locked"):
        answer = await a.operate("POST", f"{path}/resume", WHY, check=False)
        assert answer.json()["code"] == "fleet.unavailable"
    assert clerk.name not in [entry["agent"] for entry in a.entries("agent.resumed")]
    await refused(clerk, "auth.revoked")
    await a.operate("POST", f"{path}/resume", WHY)
    await passes(clerk)


async def test_a_result_is_not_given_out_while_the_channel_is_cut(tmp_path: Path) -> None:
    async with pair(tmp_path) as (_, b, upstream):
        clerk, epoch = await b.agent(), b.gateway.services.epoch
        upstream.then = pay = Turnstile()
        call = asyncio.create_task(clerk.call("desk.pay", amount=40, to="paper"))
        await upstream.called(1)
        with cut(tmp_path, "locked"):
            await b.until(lambda: not epoch.confirmed(time.monotonic_ns() // 1000))
            pay.open.set()
            answered = await call
        assert (answered.code, answered.result) == ("epoch_unknown", None)


# -- the database -----------------------------------------------------------------------------


async def test_an_older_copy_of_the_database_is_not_believed(tmp_path: Path) -> None:
    async with pair(tmp_path) as (a, b, _):
        clerk = await b.agent()
        await passes(clerk)
        old = shutil.copy(database(tmp_path), tmp_path / "old")
        await a.operate("POST", f"/api/agents/{clerk.name}/suspend", WHY)
        await refused(clerk, "auth.revoked")
        newest = shutil.copy(database(tmp_path), tmp_path / "newest")
        shutil.copy(old, database(tmp_path))
        other = await b.agent()
        await refused(other, "epoch_unknown")
        shutil.copy(newest, database(tmp_path))
        await passes(other)
        assert await looks(clerk) == "auth.revoked"


async def test_a_gateway_that_knows_its_fleet_makes_no_new_one_at_its_start(
    tmp_path: Path,
) -> None:
    async with desk() as upstream:
        async with member(tmp_path, "a", upstream) as a:
            await a.operate("POST", "/api/users/ana/suspend", WHY)
        database(tmp_path).rename(tmp_path / "away")
        async with member(tmp_path, "a", upstream) as a:
            assert await looks(await a.agent()) == "epoch_unknown"
            assert not database(tmp_path).exists()
            (tmp_path / "away").rename(database(tmp_path))
            await passes(await a.agent())


async def test_a_new_fleet_is_told_all_that_stands(tmp_path: Path) -> None:
    async with desk() as upstream:
        async with member(tmp_path, "a", upstream) as a:
            await a.operate("POST", "/api/users/ana/suspend", WHY)
        database(tmp_path).unlink()
        async with member(tmp_path, "a", upstream, new_fleet=True) as a:
            await a.until(lambda: not a.gateway.services.state.revocations.untold)
            assert len({entry["fleet"] for entry in a.entries("fleet.joined")}) == 2
        async with member(tmp_path, "b", upstream) as b:
            assert await looks(await b.agent(user="ana")) == "auth.revoked"


async def test_a_first_start_without_a_place_for_the_database_is_refused(tmp_path: Path) -> None:
    nowhere = {"fleet": {"database": f"sqlite:///{tmp_path}/nowhere/fleet.db"}}
    async with desk() as upstream:
        with pytest.raises(FleetUnavailable):
            async with member(tmp_path, "a", upstream, settings=nowhere):
                pass


# -- the policy -------------------------------------------------------------------------------


async def test_a_policy_that_one_activates_is_followed_where_the_files_amount_to_it(
    tmp_path: Path,
) -> None:
    async with pair(tmp_path) as (a, b, _):
        clerk = await b.agent()
        assert (await clerk.call("desk.pay", amount=40, to="x")).done
        b.policy.write_text(TIGHT)
        assert (await a.apply(TIGHT)).is_success
        await b.until(lambda: len(b.entries("policy.changed")) == 2)
        await passes(clerk)
        assert (await clerk.call("desk.pay", amount=40, to="x")).code == "policy.denied"


async def test_who_does_not_have_the_fleets_policy_denies_until_it_does(tmp_path: Path) -> None:
    async with pair(tmp_path) as (a, b, _):
        clerk = await b.agent()
        await passes(clerk)
        assert (await a.apply(TIGHT)).is_success
        await refused(clerk, "epoch_unknown")
        status = (await b.operate("GET", "/api/status")).json()
        assert "activated" in status["fleet"]["trouble"]
        b.policy.write_text(TIGHT)
        await passes(clerk)


async def test_what_has_nothing_to_do_with_the_fleet_is_answered_while_the_channel_is_cut(
    tmp_path: Path,
) -> None:
    async with pair(tmp_path) as (a, _, _):
        with cut(tmp_path, "locked"):
            untold = await a.operate("POST", "/api/users/ana/suspend", WHY, check=False)
            assert untold.json()["code"] == "fleet.unavailable"
            assert (await a.operate("POST", "/api/tokens", {"agent": AGENTS[0]})).is_success


async def test_an_activation_that_was_told_too_late_does_not_undo_a_newer_one(
    tmp_path: Path,
) -> None:
    async with pair(tmp_path) as (a, b, _):
        clerk = await a.agent()
        reach = a.gateway.services.fleet._around.database  # type: ignore[union-attr]  # there is one
        path, reach._path = reach._path, tmp_path / "nowhere"  # a alone is cut off
        late = await a.apply(MANY.replace("args.amount <= 100", "args.amount <= 90"))
        assert late.json()["code"] == "fleet.unavailable"
        assert (await b.apply(TIGHT)).is_success
        reach._path = path
        await refused(clerk, "epoch_unknown")
        snapshots = [g.gateway.services.worlds.current.snapshot.digest for g in (a, b)]
        assert (await b.operate("GET", "/api/status")).json()["fleet"]["snapshot"] == snapshots[1]
        a.policy.write_text(TIGHT)
        await passes(clerk)


async def test_a_gateway_with_another_policy_does_not_impose_it_by_starting(
    tmp_path: Path,
) -> None:
    async with (
        desk() as upstream,
        member(tmp_path, "a", upstream) as a,
        member(tmp_path, "b", upstream, policy=TIGHT) as b,
    ):
        clerk, other = await a.agent(), await b.agent()
        await refused(other, "epoch_unknown")
        assert (await clerk.call("desk.pay", amount=40, to="x")).done


async def test_a_start_with_the_fleets_policy_needs_no_further_word(tmp_path: Path) -> None:
    async with desk() as upstream, member(tmp_path, "a", upstream) as a:
        async with member(tmp_path, "b", upstream):
            pass
        assert (await a.apply(TIGHT)).is_success
        async with member(tmp_path, "b", upstream, policy=TIGHT) as b:
            await passes(await b.agent())


async def test_tokens_of_one_gateway_verify_at_the_other(tmp_path: Path) -> None:
    async with pair(tmp_path) as (a, b, _):
        clerk = await a.agent()
        elsewhere = replace(clerk, url=b.url)
        assert await looks(elsewhere) == "session.ended"  # sessions are of one gateway


# -- the keys of tokens -----------------------------------------------------------------------


async def signs(gateway: Reached) -> str:
    """The key that a gateway says it signs with."""
    rows = (await gateway.operate("GET", "/api/keys")).json()
    found: str = next(row["id"] for row in rows if (row["use"], row["state"]) == TOKENS)
    return found


async def test_a_rotation_at_one_gateway_is_one_of_all(tmp_path: Path) -> None:
    async with pair(tmp_path) as (a, b, _):
        clerk = await b.agent()
        made = (await a.operate("POST", "/api/keys/rotate", {"use": "tokens"})).json()["id"]
        await b.until(lambda: b.gateway.services.keys.active.id == made)
        assert await signs(b) == made
        await b.until(lambda: bool(b.entries("key.heard")))
        assert [entry["key"] for entry in b.entries("key.heard")] == [made]
        fresh = await b.agent()
        assert jwt.get_unverified_header(str(fresh.token))["kid"] == made
        for each in (clerk, fresh):
            assert await looks(each) is None


@pytest.mark.long
async def test_between_processes_no_call_is_refused_while_keys_change(tmp_path: Path) -> None:
    shared = {"database": f"sqlite:///{database(tmp_path)}", "token_keys": str(tmp_path / "keys")}
    async with desk() as upstream, AsyncExitStack() as stack:
        a, b = [
            await stack.enter_async_context(
                child(
                    tmp_path / name,
                    servers={"desk": upstream},
                    settings={"fleet": shared, "audit": {"origin": f"{name}.example/log"}},
                )
            )
            for name in ("a", "b")
        ]
        done = asyncio.Event()
        working = [asyncio.create_task(busy(gateway, done)) for gateway in (a, b) * 2]
        for number in range(4):
            rotating = (a, b)[number % 2]
            rotated = await rotating.operate("POST", "/api/keys/rotate", {"use": "tokens"})
            for each in (a, b):
                async with asyncio.timeout(LONGEST_S):
                    while await signs(each) != rotated.json()["id"]:  # noqa: ASYNC110 - another process has no event
                        await asyncio.sleep(0.02)
        done.set()
        seen = {code for codes in await asyncio.gather(*working) for code in codes}
        assert seen == {None}
        assert len(await b.entries("key.heard")) == 2


async def busy(gateway: Reached, done: asyncio.Event) -> list[str | None]:
    """Codes of calls without a pause, with a token that is old and one that is taken anew."""
    early, seen = await gateway.agent(), []
    while not done.is_set():
        seen += [await looks(early), await looks(await gateway.agent())]
    return seen


# -- operators --------------------------------------------------------------------------------


async def test_an_operator_whom_one_suspends_is_out_at_all(tmp_path: Path) -> None:
    async with pair(tmp_path) as (a, b, _):
        assert (await b.operate("GET", "/api/whoami", by="vera")).is_success
        await a.operate("POST", "/api/users/vera/suspend", WHY)
        for gateway in (a, b):
            stood = gateway.gateway.services.state.revocations
            await gateway.until(lambda stood=stood: stood.suspended("user", "vera"))  # type: ignore[misc]  # a default
            refused = await gateway.operate("GET", "/api/whoami", by="vera", check=False)
            assert (refused.status_code, refused.json()["code"]) == (401, "auth.revoked")
        await b.operate("POST", "/api/users/vera/resume", WHY)
        assert (await b.operate("GET", "/api/whoami", by="vera")).is_success


async def test_nobody_suspends_themselves(shared: Pair) -> None:
    refused = await shared[0].operate("POST", "/api/users/adam/suspend", WHY, check=False)
    assert (refused.status_code, refused.json()["code"]) == (409, "operator.self")
