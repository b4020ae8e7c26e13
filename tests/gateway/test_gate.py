"""What the gate promises when it is hurried, cut off or lied to, with a whole gateway around it."""

import asyncio
import json
from pathlib import Path

from tests.gateway.links.http_upstream import Behaviour, Heard, http, says
from tests.harness.disk import StallingDisk
from tests.harness.gateway import Running, running
from tests.harness.policy import DESK
from tests.harness.upstream import Turnstile, desk

KEY = "planted-upstream-key-7f3a"
CONDITION = 'when: "args.amount > 0 && args.amount <= 100"'
LIMITED = (
    DESK.replace(CONDITION, f"{CONDITION}\n    limits: [three]")
    + "limits:\n  three: {per: agent, rate: 3/day}\n"
)


def error_that_says(text: str) -> Behaviour:
    def make(heard: Heard) -> bytes:
        error = {"code": -32000, "message": text}
        body = {"jsonrpc": "2.0", "id": heard.message["id"], "error": error}
        return http(json.dumps(body).encode())

    return says(make)


async def test_an_upstreams_own_error_hands_back_none_of_our_credentials(tmp_path: Path) -> None:
    key = tmp_path / "upstream.key"
    key.write_text(KEY)
    key.chmod(0o600)
    async with desk() as upstream:
        spec = {
            "url": upstream.url,
            "allow_private": True,
            "credential": {"bearer": f"file:{key}"},
        }
        async with running(tmp_path, servers={"desk": spec}, mode="dev") as gateway:
            clerk = await gateway.agent()
            upstream.then = error_that_says(f"bad header: Bearer {KEY}")
            answered = await clerk.call("desk.look")
            assert "bad header" in answered.text
            assert KEY not in str(answered)


async def test_an_upstreams_own_error_is_cut(tmp_path: Path) -> None:
    async with desk() as upstream, running(tmp_path, servers={"desk": upstream}) as gateway:
        clerk = await gateway.agent()
        upstream.then = error_that_says("x" * 100_000)
        assert len((await clerk.call("desk.look")).text) < 3000


async def test_a_result_is_not_given_to_a_credential_that_was_withdrawn_meanwhile(
    tmp_path: Path,
) -> None:
    """The outcome and the revocation become durable in one batch, the revocation last."""
    disk = StallingDisk()
    async with (
        desk() as upstream,
        running(tmp_path, servers={"desk": upstream}, disk=disk) as gateway,
    ):
        clerk, other = await gateway.agent(), await gateway.agent()
        upstream.then = turnstile = Turnstile()
        paying = asyncio.create_task(clerk.call("desk.pay", amount=40, to="paper"))
        await upstream.called(1)
        with disk.stalled():
            first = asyncio.create_task(other.call("desk.wipe"))
            await gateway.writing()
            turnstile.open.set()
            await gateway.waiting(1)
            revoke = gateway.operate("POST", "/api/tokens/revoke", {"token": clerk.token})
            revoking = asyncio.create_task(revoke)
            await gateway.waiting(2)
        answered, *_ = await asyncio.gather(paying, first, revoking)
        assert answered.code == "auth.revoked"
        assert answered.result is None
        (outcome,) = gateway.entries("outcome")
        assert outcome["status"] == "done"  # the log tells what really happened


# -- limits ---------------------------------------------------------------------------------


async def pays(gateway: Running, amounts: range) -> list[str | None]:
    clerk = await gateway.agent("clerk-1")
    calls = [clerk.call("desk.pay", amount=amount, to="paper") for amount in amounts]
    return [answer.code for answer in await asyncio.gather(*calls)]


async def test_of_many_calls_at_once_as_many_pass_as_the_limit_says(tmp_path: Path) -> None:
    async with (
        desk() as upstream,
        running(tmp_path, LIMITED, servers={"desk": upstream}) as gateway,
    ):
        codes = await pays(gateway, range(1, 21))
        assert codes.count(None) == len(upstream.paid) == 3
        assert codes.count("limit:three") == 17
        denied = [e for e in gateway.entries("decision") if e["decision"]["effect"] == "deny"]
        assert {tuple(entry["decision"]["rules"]) for entry in denied} == {("limit:three",)}


async def test_a_limit_outlives_the_process(tmp_path: Path) -> None:
    async with desk() as upstream:
        async with running(tmp_path, LIMITED, servers={"desk": upstream}) as gateway:
            assert await pays(gateway, range(1, 3)) == [None, None]
        async with running(tmp_path, LIMITED, servers={"desk": upstream}) as gateway:
            assert sorted(map(str, await pays(gateway, range(3, 6)))) == [
                "None",
                "limit:three",
                "limit:three",
            ]
        assert len(upstream.paid) == 3


async def test_a_limit_counts_what_may_have_acted_and_nothing_else(tmp_path: Path) -> None:
    async with (
        desk() as upstream,
        running(tmp_path, LIMITED, servers={"desk": upstream}) as gateway,
    ):
        clerk = await gateway.agent("clerk-1")
        for _ in range(5):  # wrong in themselves, denied, or asked about: not counted
            assert (await clerk.call("desk.pay", amount="1")).code == "args.invalid"
            assert (await clerk.call("desk.pay", amount=5000, to="paper")).code == "policy.denied"
        upstream.then = error_that_says("no such account")
        for amount in (1, 2):
            assert (await clerk.call("desk.pay", amount=amount, to="x")).code == "upstream.refused"
        assert (await clerk.call("desk.pay", amount=3, to="x")).code == "upstream.refused"
        assert (await clerk.call("desk.pay", amount=4, to="x")).code == "limit:three"
