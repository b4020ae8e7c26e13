"""Steps of which nobody knows what came of them: made again only where the server acts once."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from gateway.action import Outcome
from gateway.runs.hop import Hop
from gateway.runs.run import Run
from tests.gateway.links.http_upstream import Heard
from tests.gateway.runs.hopping import POLICY, begin, hopping, step
from tests.harness.gateway import Clock
from tests.harness.upstream import Desk, desk, done

HONOURED = POLICY.replace(
    "desk.pay: {risk: irreversible,", "desk.pay: {risk: irreversible, idempotency: 24h,"
)
PAY: dict[str, Any] = {"amount": 40, "to": "paper"}


async def loses(_: Heard, writer: asyncio.StreamWriter) -> None:
    """Acts, and is gone before it has answered."""
    writer.close()


async def pay(hop: Hop, run: Run, path: str = "r/1") -> Outcome:
    return await hop.deliver(step(run, path, "pay", **PAY))


def keys(upstream: Desk) -> list[tuple[Any, Any]]:
    """The keys that came with the calls: in the message, and in the header."""
    called = [heard for heard in upstream.heard if heard.method == "tools/call"]
    return [
        (
            heard.message["params"].get("_meta", {}).get("passavant/idempotency-key"),
            heard.headers.get("idempotency-key"),
        )
        for heard in called
    ]


async def test_a_step_goes_with_a_key_that_the_log_shows(tmp_path: Path) -> None:
    async with desk() as upstream, hopping(tmp_path, {"desk": upstream}, HONOURED) as (gate, hop):
        run = await begin(hop)
        assert (await pay(hop, run)).status == "done"
        ((meta, header),) = keys(upstream)
        (decision,) = gate.entries("decision")
        assert decision["key"] == meta
        assert header == json.dumps(meta)


async def test_a_lost_answer_is_asked_for_with_the_same_key(tmp_path: Path) -> None:
    async with desk() as upstream, hopping(tmp_path, {"desk": upstream}, HONOURED) as (_, hop):
        run = await begin(hop)
        upstream.then = loses
        assert (await pay(hop, run)).status == "unknown"
        upstream.then = done
        assert (await pay(hop, run)).status == "done"
        assert (await pay(hop, run, "r/2")).status == "done"
        first, again, other = keys(upstream)
        assert first == again != other


async def test_a_restart_asks_with_the_same_key(tmp_path: Path) -> None:
    async with desk() as upstream:
        async with hopping(tmp_path, {"desk": upstream}, HONOURED) as (_, hop):
            run = await begin(hop)
            upstream.then = loses
            await pay(hop, run)
        upstream.then = done
        async with hopping(tmp_path, {"desk": upstream}, HONOURED) as (_, hop):
            assert (await pay(hop, run)).status == "done"
        assert len(set(keys(upstream))) == 1


@pytest.mark.parametrize(
    "policy",
    [
        pytest.param(POLICY, id="no-key-is-honoured"),
        pytest.param(HONOURED.replace("24h", "1m"), id="remembers-too-short"),
    ],
)
async def test_a_step_that_may_have_acted_is_not_made_again(tmp_path: Path, policy: str) -> None:
    async with desk() as upstream, hopping(tmp_path, {"desk": upstream}, policy) as (_, hop):
        run = await begin(hop)
        upstream.then = loses
        await pay(hop, run)
        upstream.then = done
        assert (await pay(hop, run)).status == "unknown"
        assert len(upstream.calls) == 1


async def test_a_key_that_was_never_sent_allows_no_repeat(tmp_path: Path) -> None:
    async with desk() as upstream, hopping(tmp_path, {"desk": upstream}) as (gateway, hop):
        run = await begin(hop)
        upstream.then = loses
        await pay(hop, run)
        upstream.then = done
        await gateway.apply(HONOURED)
        assert (await pay(hop, run)).status == "unknown"
        assert keys(upstream) == [(None, None)]


async def test_a_key_is_not_relied_upon_when_its_server_has_forgotten_it(tmp_path: Path) -> None:
    clock = Clock()
    async with (
        desk() as upstream,
        hopping(tmp_path, {"desk": upstream}, HONOURED.replace("24h", "30m"), clock) as (_, hop),
    ):
        run = await begin(hop)
        upstream.then = loses
        await pay(hop, run)
        clock.pass_s(1800)
        upstream.then = done
        assert (await pay(hop, run)).status == "unknown"
        assert len(upstream.calls) == 1


async def test_a_read_goes_without_a_key(tmp_path: Path) -> None:
    read = POLICY.replace("desk.look: {risk: read,", "desk.look: {risk: read, idempotency: 1h,")
    async with desk() as upstream, hopping(tmp_path, {"desk": upstream}, read) as (gateway, hop):
        await hop.deliver(step(await begin(hop), "r/1", "look", at="x"))
        assert keys(upstream) == [(None, None)]
        assert "key" not in gateway.entries("decision")[0]
