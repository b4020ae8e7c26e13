"""In whose name steps are made: nothing is done with a credential that is not in the log."""

from pathlib import Path
from typing import Any

from gateway.runs.run import Run
from gateway.runs.starting import Start
from tests.gateway.runs.hopping import begin, hopping, step
from tests.harness.disk import FailingDisk
from tests.harness.gateway import Clock, Running
from tests.harness.upstream import desk

PAY: dict[str, Any] = {"amount": 40, "to": "paper"}


def credentials(gateway: Running, run: Run) -> list[dict[str, Any]]:
    """Entries of what the steps of a run were made with."""
    return [body for body in gateway.entries("token.issue") if body["by"] == f"run:{run.id}"]


async def test_a_credential_stands_in_the_log_before_what_was_done_with_it(tmp_path: Path) -> None:
    async with desk() as upstream, hopping(tmp_path, {"desk": upstream}) as (gateway, hop):
        run = await begin(hop)
        for path in ("r/1", "r/2"):
            assert (await hop.deliver(step(run, path, "pay", **PAY))).status == "done"
        log = [
            (entry.body["kind"], entry.index) for entry in gateway.gateway.services.log.entries()
        ]
        issued = [index for kind, index in log if kind == "token.issue"]
        assert issued[-1] < min(index for kind, index in log if kind == "decision")
        (credential,) = credentials(gateway, run)  # one for both steps
        assert credential["session"] == run.session
        assert credential["actor"] == {"agent": "flow", "chain": [], "sub": None}


async def test_nothing_is_done_with_a_credential_that_cannot_be_recorded(tmp_path: Path) -> None:
    disk = FailingDisk()
    async with (
        desk() as upstream,
        hopping(tmp_path, {"desk": upstream}, disk=disk) as (gateway, hop),
    ):
        run = await begin(hop)
        disk.fill()
        outcome = await hop.deliver(step(run, "r/1", "pay", **PAY))
        assert (outcome.status, upstream.calls) == ("unavailable", [])
        disk.mend()
        log = gateway.gateway.services.log
        await gateway.until(lambda: log.state == "ok")
        assert (await hop.deliver(step(run, "r/1", "pay", **PAY))).status == "done"
        assert upstream.paid == [40]
        (credential,) = credentials(gateway, run)  # what was lost was not relied on
        assert credential["renews"] is None


async def test_a_credential_that_ends_is_renewed_in_time(tmp_path: Path) -> None:
    clock = Clock()
    async with (
        desk() as upstream,
        hopping(tmp_path, {"desk": upstream}, clock=clock) as (gateway, hop),
    ):
        run = await hop.start(Start("report", "ab" * 32, "flow", "operator:ana", None, 1, 8 * 3600))
        made: list[dict[str, Any]] = []
        for number in range(3):
            assert (await hop.deliver(step(run, f"r/{number}", "pay", **PAY))).status == "done"
            made = credentials(gateway, run)
            clock.pass_s(made[-1]["exp"] - made[-1]["iat"] - 59)
        first, second, third = made
        assert [each["renews"] for each in made] == [None, first["jti"], second["jti"]]
        assert third["iat"] > second["iat"] > first["iat"]


async def test_a_credential_that_was_revoked_is_good_for_nothing(tmp_path: Path) -> None:
    async with desk() as upstream, hopping(tmp_path, {"desk": upstream}) as (gateway, hop):
        run = await begin(hop)
        assert (await hop.deliver(step(run, "r/1", "pay", **PAY))).status == "done"
        (credential,) = credentials(gateway, run)
        revoked = {"jti": credential["jti"], "session": run.session, "until": credential["exp"]}
        await gateway.gateway.services.recorder.write("token.revoke", {**revoked, "by": "ana"})
        outcome = await hop.deliver(step(run, "r/2", "pay", **PAY))
        assert (outcome.status, upstream.paid) == ("refused", [40])
