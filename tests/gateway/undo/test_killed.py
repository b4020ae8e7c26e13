"""Kill -9 while something is taken back: it goes on by itself, and nothing is taken back twice."""

import asyncio
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.links.http_upstream import Heard
from tests.gateway.undo.test_taking_back import KEYED, POLICY, Bank
from tests.harness.child import Child, child


class Killing(Bank):
    """A bank that kills the gateway when it is asked for a refund, once, after it has acted."""

    def __init__(self) -> None:
        super().__init__()
        self.victim: Child | None = None

    async def _acts(self, heard: Heard, writer: asyncio.StreamWriter) -> None:
        if self.victim is None or heard.message["params"]["name"] != "refund":
            await super()._acts(heard, writer)
            return
        process, self.victim = self.victim.process, None
        assert process is not None
        self.loses.add("refund")
        process.send_signal(signal.SIGKILL)
        await super()._acts(heard, writer)


async def rests(gateway: Child, session: str) -> dict[str, Any]:
    """The rollback, when it has ended or stopped."""
    async with asyncio.timeout(60):
        while True:
            answer = await gateway.operate("GET", f"/api/sessions/{session}/rollback")
            found: dict[str, Any] = answer.json()
            if found["state"] != "running":
                return found
            await asyncio.sleep(0.05)  # another process has no event


@pytest.mark.parametrize(
    ("policy", "state", "refunds"),
    [
        pytest.param(KEYED, "ended", 3, id="by-its-key"),
        pytest.param(POLICY, "stopped", 1, id="for-a-person"),
    ],
)
async def test_a_kill_takes_nothing_back_twice(
    tmp_path: Path, policy: str, state: str, refunds: int
) -> None:
    async with Killing() as bank, child(tmp_path, policy, {"desk": bank}) as gateway:
        clerk = await gateway.agent()
        for amount in (10, 20):
            await clerk.call("desk.pay", amount=amount, to="paper")
        bank.victim, process = gateway, gateway.process
        await gateway.operate("POST", f"/api/sessions/{clerk.session}/rollback", {})
        assert process is not None
        await process.wait()
        await gateway.kill()
        await gateway.start()
        assert (await rests(gateway, clerk.session))["state"] == state
        asked = [args["amount"] for name, args in bank.made if name == "refund"]
        assert asked == [20, 20, 10][:refunds]
        assert len({key for key, kept in bank.kept.items() if not kept["structuredContent"]}) in {
            0,
            2,
        }
