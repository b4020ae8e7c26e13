"""Threat 68: an upstream acts and its answer is lost, so that whoever asks again acts twice."""

from pathlib import Path
from typing import Any

import pytest

from tests.gateway.links.http_upstream import Heard
from tests.gateway.runs.hopping import POLICY, begin, hopping, step
from tests.gateway.undo.test_taking_back import KEYED, Bank
from tests.gateway.undo.test_taking_back import POLICY as UNDOING
from tests.harness.gateway import running
from tests.harness.upstream import desk, done

PAY: dict[str, Any] = {"amount": 40, "to": "paper"}


async def _loses(_: Heard, writer: Any) -> None:  # noqa: ANN401 - a stream
    writer.close()


async def test_t68_a_lost_answer_is_unknown_and_never_sent_again(tmp_path: Path) -> None:
    async with desk() as upstream, hopping(tmp_path, {"desk": upstream}) as (_, hop):
        run = await begin(hop)
        upstream.then = _loses
        for _attempt in range(3):
            assert (await hop.deliver(step(run, "r/1", "pay", **PAY))).status == "unknown"
        assert upstream.paid == [40]


async def test_t68_only_a_server_that_honours_the_key_is_asked_again(tmp_path: Path) -> None:
    honoured = POLICY.replace(
        "desk.pay: {risk: irreversible,", "desk.pay: {risk: irreversible, idempotency: 24h,"
    )
    async with desk() as upstream, hopping(tmp_path, {"desk": upstream}, honoured) as (_, hop):
        run = await begin(hop)
        upstream.then = _loses
        await hop.deliver(step(run, "r/1", "pay", **PAY))
        upstream.then = done
        assert (await hop.deliver(step(run, "r/1", "pay", **PAY))).status == "done"
        sent = [heard for heard in upstream.heard if heard.method == "tools/call"]
        assert len({heard.headers["idempotency-key"] for heard in sent}) == 1


async def test_t68_no_key_of_a_caller_reaches_an_upstream(tmp_path: Path) -> None:
    keyed = UNDOING.replace("  desk.pay:\n", "  desk.pay:\n    idempotency: 24h\n")
    async with Bank() as bank, running(tmp_path, keyed, {"desk": bank}) as gateway:
        clerk = await gateway.agent()
        for _ in range(2):
            await clerk.http.post(
                f"{gateway.url}/v1/tools/desk/pay",
                json={"amount": 40, "to": "paper"},
                headers={"authorization": f"Bearer {clerk.token}", "idempotency-key": '"mine"'},
            )
        keys = [
            each.headers["idempotency-key"] for each in bank.heard if each.method == "tools/call"
        ]
        assert len(set(keys)) == 2
        assert '"mine"' not in keys


@pytest.mark.parametrize(("policy", "state"), [(UNDOING, "stopped"), (KEYED, "ended")])
async def test_t68_nothing_is_taken_back_of_which_nobody_knows(
    tmp_path: Path, policy: str, state: str
) -> None:
    async with Bank() as bank, running(tmp_path, policy, {"desk": bank}) as gateway:
        clerk = await gateway.agent()
        bank.loses.add("pay")
        await clerk.call("desk.pay", amount=40, to="paper")
        await gateway.operate("POST", f"/api/sessions/{clerk.session}/rollback", {})
        rollbacks = gateway.gateway.services.state.rollbacks
        await gateway.until(lambda: rollbacks.of(clerk.session).state == state)  # type: ignore[union-attr]  # it was ordered
        assert bank.payments == 1
        refunds = [args for name, args in bank.made if name == "refund"]
        assert refunds == ([{"payment": "p1", "amount": 40}] if state == "ended" else [])
