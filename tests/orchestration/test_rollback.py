"""Rolling a run back: what its steps did is taken back, whoever they were made by."""

from pathlib import Path
from typing import Any

from tests.gateway.undo.test_taking_back import Bank
from tests.orchestration.house import HEAD, House, flow, house

POLICY = f"""\
{HEAD}agents:
  job: {{}}
  inner: {{}}
tools:
  desk.pay:
    risk: irreversible
    emits: []
    undo: {{tool: desk.refund, args: {{payment: result.payment, amount: args.amount}}}}
  desk.refund: {{risk: irreversible, emits: []}}
  desk.book: {{risk: write, emits: [], undo: {{tool: desk.free, args: {{room: args.room}}}}}}
  desk.free: {{risk: write, emits: []}}
  agents.inner: {{risk: write, emits: []}}
  approvals.editors: {{risk: write, emits: []}}
rules:
  - id: does
    agents: [job, inner]
    tools: [desk.pay, desk.refund, desk.book, desk.free, agents.inner]
    effect: allow
    why: This is a test.
  - {{id: asks, agents: [job], tools: [approvals.editors], effect: ask, approval: one-person}}
delegation:
  max_hops: 3
  edges:
    - {{id: hands, from: job, to: inner, tools: [desk.book, desk.free]}}
"""
PAY = {"tool": {"name": "desk.pay", "args": {"amount": 40}}}
BOOK = {"tool": {"name": "desk.book", "args": {"room": "r1"}}}
INNER = flow({"sequential": [BOOK]}, "inner")
ASK = {"approve": {"by": "editors", "question": "Go on?"}}


async def rolled_back(home: House, run: str) -> dict[str, Any]:
    """Order it, and wait for what it comes to."""
    await home.gateway.operate("POST", f"/api/runs/{run}/rollback", {})
    session = home.hop.runs.get(run).session
    rollbacks = home.gateway.gateway.services.state.rollbacks
    await home.gateway.until(lambda: rollbacks.of(session).state != "running")  # type: ignore[union-attr]  # it was ordered
    found: dict[str, Any] = (await home.gateway.operate("GET", f"/api/runs/{run}/rollback")).json()
    return found


async def test_steps_of_all_agents_are_taken_back_in_reverse(tmp_path: Path) -> None:
    flows = [flow({"sequential": [PAY, "inner", PAY]}), INNER]
    async with Bank() as bank, house(tmp_path, flows, rules=POLICY, servers={"desk": bank}) as home:
        run = await home.ended(await home.start())
        assert run.result == "done"
        rollback = await rolled_back(home, run.id)
        assert rollback["state"] == "ended"
        assert [name for name, _ in bank.made[3:]] == ["refund", "free", "refund"]
        undone = home.gateway.entries("decision")[-2]
        assert undone["actor"] == {"agent": "inner", "chain": ["job"], "sub": None}


async def test_a_run_that_waits_is_stopped_first(tmp_path: Path) -> None:
    flows = [flow({"sequential": [PAY, ASK, PAY]}), INNER]
    async with Bank() as bank, house(tmp_path, flows, rules=POLICY, servers={"desk": bank}) as home:
        run = await home.start()
        await home.gateway.until(lambda: bool(home.gateway.entries("approval.asked")))
        assert (await rolled_back(home, run.id))["state"] == "ended"
        assert (await home.ended(run)).result == "cancelled"
        assert [name for name, _ in bank.made] == ["pay", "refund"]


async def test_a_run_is_not_rolled_back_by_its_session(tmp_path: Path) -> None:
    flows = [flow({"sequential": [PAY]}), INNER]
    async with Bank() as bank, house(tmp_path, flows, rules=POLICY, servers={"desk": bank}) as home:
        run = await home.ended(await home.start())
        place = f"/api/sessions/{run.session}/rollback"
        refused = await home.gateway.operate("POST", place, {}, check=False)
        assert refused.json()["code"] == "rollback.run"


async def test_what_would_be_taken_back_is_told_and_nothing_is_ordered(tmp_path: Path) -> None:
    flows = [flow({"sequential": [PAY, "inner", ASK]}), INNER]
    async with Bank() as bank, house(tmp_path, flows, rules=POLICY, servers={"desk": bank}) as home:
        run = await home.start()
        await home.gateway.until(lambda: bool(home.gateway.entries("approval.asked")))
        place = f"/api/runs/{run.id}/rollback"
        told = (await home.gateway.operate("GET", f"{place}/outlook", by="vera")).json()
        assert [(deed["tool"], deed["undo"], deed["state"]) for deed in told["deeds"]] == [
            ("desk.book", "desk.free", "to do"),
            ("desk.pay", "desk.refund", "to do"),
        ]
        same = await home.gateway.operate("GET", f"/api/sessions/{run.session}/rollback/outlook")
        assert same.json() == told
        assert home.hop.runs.get(run.id).state == "running"
        assert home.gateway.entries("rollback.started") == []
        missing = await home.gateway.operate("GET", place, check=False)
        assert missing.json()["code"] == "rollback.unknown"


async def test_nothing_goes_on_from_what_was_taken_back(tmp_path: Path) -> None:
    flows = [flow({"sequential": [PAY, BOOK, BOOK]}), INNER]
    async with Bank() as bank, house(tmp_path, flows, rules=POLICY, servers={"desk": bank}) as home:
        run = await home.ended(await home.start())
        stands = await home.gateway.operate("POST", f"/api/runs/{run.id}/fork", {"step": 3})
        fork = await home.ended(home.hop.runs.get(stands.json()["id"]))
        await rolled_back(home, run.id)
        made = len(bank.made)
        for place, step in ((run.id, 3), (fork.id, 1)):  # the fork stands on the first run, too
            refused = await home.gateway.operate(
                "POST", f"/api/runs/{place}/fork", {"step": step}, check=False
            )
            assert refused.json()["code"] == "run.fork"
        assert len(bank.made) == made
        anew = await home.gateway.operate("POST", f"/api/runs/{run.id}/fork", {"step": 1})
        assert (await home.ended(home.hop.runs.get(anew.json()["id"]))).result == "done"
        assert [name for name, _ in bank.made[made:]] == ["pay", "book", "book"]
