"""A run that fails is taken back by itself where its flow says so, and nowhere else."""

from pathlib import Path
from typing import Any

import pytest

from gateway.runs.run import Run
from gateway.runs.tasks import task_flow
from gateway.undo import failures
from gateway.undo.errors import RollbackRefused
from gateway.undo.rollback import Rollback
from gateway.undo.taking_back import TakingBack
from orchestration.flow import Flow
from orchestration.plans import Plans
from tests.gateway.undo.test_taking_back import Bank
from tests.harness.gateway import Running
from tests.orchestration.house import House, flow, house
from tests.orchestration.test_rollback import ASK, BOOK, INNER, PAY, POLICY

BREAKS = {"tool": {"name": "desk.look", "args": {"at": 3}}}  # refused: a number is no text
RULES = POLICY.replace("rules:\n", "  desk.look: {risk: read, emits: []}\nrules:\n").replace(
    "tools: [desk.pay,", "tools: [desk.look, desk.pay,"
)


def saga(*steps: Any, on_failure: str = "undo", name: str = "job") -> Flow:  # noqa: ANN401 - as written
    return flow({"sequential": [*steps]}, name).model_copy(update={"on_failure": on_failure})


async def rests(gateway: Running, session: str) -> Rollback:
    """The rollback of a run, which nobody orders, when it has ended or stopped."""
    rollbacks = gateway.gateway.services.state.rollbacks

    def done() -> bool:
        found = rollbacks.of(session)
        return found is not None and found.state != "running"

    await gateway.until(done)
    found = rollbacks.of(session)
    assert found is not None
    return found


def undone(bank: Bank) -> list[str]:
    return [name for name, _ in bank.made if name in {"refund", "free"}]


async def failed(home: House, given: Any = None) -> Run:  # noqa: ANN401 - JSON
    run = await home.ended(await home.start(given=given))
    assert run.result != "done"
    return run


async def test_a_run_that_fails_is_taken_back_last_deed_first(tmp_path: Path) -> None:
    flows = [saga(PAY, "inner", PAY, BREAKS), INNER]
    async with Bank() as bank, house(tmp_path, flows, rules=RULES, servers={"desk": bank}) as home:
        run = await failed(home)
        found = await rests(home.gateway, run.session)
        assert (found.state, found.run, found.by) == ("ended", run.id, f"run:{run.id}")
        assert undone(bank) == ["refund", "free", "refund"]
        started = home.gateway.entries("run.started")[0]
        assert started["on_failure"] == "undo"
        kinds = [each["kind"] for each in home.gateway.entries()]
        assert kinds.index("run.ended") < kinds.index("rollback.started")
        told = (await home.gateway.operate("GET", f"/api/runs/{run.id}/rollback")).json()
        assert {each["state"] for each in told["deeds"]} == {"undone"}


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param([PAY], id="done"),
        pytest.param([BREAKS], id="nothing-done"),
    ],
)
async def test_nothing_is_taken_back_where_nothing_went_wrong(
    tmp_path: Path, steps: list[Any]
) -> None:
    async with (
        Bank() as bank,
        house(tmp_path, [saga(*steps), INNER], rules=RULES, servers={"desk": bank}) as home,
    ):
        run = await home.ended(await home.start())
        if run.result != "done":
            assert (await rests(home.gateway, run.session)).state == "ended"
        assert undone(bank) == []


async def test_nothing_is_taken_back_unless_the_flow_says_so(tmp_path: Path) -> None:
    flows = [saga(PAY, BREAKS, on_failure="leave"), INNER]
    async with Bank() as bank, house(tmp_path, flows, rules=RULES, servers={"desk": bank}) as home:
        run = await failed(home)
        assert "on_failure" not in home.gateway.entries("run.started")[0]
        assert not run.is_owed_undo
        assert home.gateway.entries("rollback.started") == []


async def test_whoever_cancels_a_run_decides_what_becomes_of_it(tmp_path: Path) -> None:
    flows = [saga(PAY, ASK, PAY), INNER]
    async with Bank() as bank, house(tmp_path, flows, rules=RULES, servers={"desk": bank}) as home:
        run = await home.start()
        await home.gateway.until(lambda: bool(home.gateway.entries("approval.asked")))
        await home.service.cancel(run.id, by="operator:ana")
        run = await home.ended(run)
        assert (run.cancelled, run.is_owed_undo) == (True, False)


async def test_a_no_of_people_is_a_failure(tmp_path: Path) -> None:
    flows = [saga(PAY, ASK, PAY), INNER]
    async with Bank() as bank, house(tmp_path, flows, rules=RULES, servers={"desk": bank}) as home:
        run = await home.start()
        await home.gateway.until(lambda: bool(home.gateway.entries("approval.asked")))
        await home.gateway.answer(home.gateway.entries("approval.asked")[0]["approval"], "deny")
        assert (await home.ended(run)).result == "denied"
        assert (await rests(home.gateway, run.session)).state == "ended"
        assert undone(bank) == ["refund"]


async def test_a_deed_that_nothing_takes_back_waits_for_a_person(tmp_path: Path) -> None:
    final = RULES.replace("undo: {tool: desk.free, args: {room: args.room}}", "target: [room]")
    async with (
        Bank() as bank,
        house(
            tmp_path, [saga(PAY, BOOK, BREAKS), INNER], rules=final, servers={"desk": bank}
        ) as home,
    ):
        run = await failed(home)
        found = await rests(home.gateway, run.session)
        assert (found.state, found.why) == ("stopped", "nothing takes desk.book back")
        assert undone(bank) == []
        wanted = {"leave": True, "reason": "kept"}
        await home.gateway.operate("POST", f"/api/runs/{run.id}/rollback", wanted)
        assert (await rests(home.gateway, run.session)).state == "ended"
        assert undone(bank) == ["refund"]


async def test_each_undo_is_decided_by_the_policy_of_that_moment(tmp_path: Path) -> None:
    narrow = RULES.replace("desk.refund, desk.book", "desk.book")
    async with (
        Bank() as bank,
        house(tmp_path, [saga(PAY, BREAKS), INNER], rules=narrow, servers={"desk": bank}) as home,
    ):
        run = await failed(home)
        found = await rests(home.gateway, run.session)
        assert (found.state, found.why) == ("stopped", "desk.refund: policy.denied")
        assert undone(bank) == []


async def test_a_deed_of_which_nobody_knows_waits_for_a_person(tmp_path: Path) -> None:
    flows = [saga(BOOK, PAY), INNER]
    async with Bank() as bank, house(tmp_path, flows, rules=RULES, servers={"desk": bank}) as home:
        bank.loses.add("pay")
        run = await failed(home)
        assert run.result == "unknown"
        found = await rests(home.gateway, run.session)
        assert (found.state, found.why) == ("stopped", "nobody knows whether desk.pay acted")
        assert [name for name, _ in bank.made] == ["book", "pay"]


async def test_what_was_sent_twice_with_one_key_is_taken_back_once(tmp_path: Path) -> None:
    """The first answer is lost, and the run itself asks for it again: the bank has paid once."""
    keyed = RULES.replace("  desk.pay:\n", "  desk.pay:\n    idempotency: 24h\n")
    flows = [saga(PAY, BREAKS), INNER]
    async with Bank() as bank, house(tmp_path, flows, rules=keyed, servers={"desk": bank}) as home:
        bank.loses.add("pay")
        run = await failed(home)
        assert [name for name, _ in bank.made] == ["pay", "pay"]
        assert (await rests(home.gateway, run.session)).state == "ended"
        assert (bank.payments, undone(bank)) == (1, ["refund"])
        told = (await home.gateway.operate("GET", f"/api/runs/{run.id}/rollback")).json()
        assert [each["tool"] for each in told["deeds"]] == ["desk.pay"]


@pytest.mark.parametrize("on_failure", ["undo", "leave"])
def test_a_task_for_an_agent_that_is_such_a_flow_is_taken_back_alike(on_failure: str) -> None:
    flows = {"job": saga(PAY, on_failure=on_failure), "inner": INNER}
    plans = Plans(flows, {}, {}, lambda _: None)
    for name in ("job", task_flow("job")):
        plan = plans.of(name)
        assert plan is not None
        assert plan.takes_back == (on_failure == "undo")


# -- a restart, and trouble


async def test_what_is_owed_is_done_after_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process ends when the run has failed and nothing of its rollback stands in the log."""

    async def never(*_: object, **__: object) -> Rollback:
        raise RollbackRefused("rollback.behind", "the process is about to end")

    flows = [saga(PAY, BREAKS), INNER]
    async with Bank() as bank:
        servers = {"desk": bank}
        with monkeypatch.context() as patched:
            patched.setattr(TakingBack, "begin", never)
            async with house(tmp_path, flows, rules=RULES, servers=servers) as home:
                run = await failed(home)
                assert home.gateway.entries("rollback.started") == []
        async with house(tmp_path, flows, rules=RULES, servers=servers) as home:
            assert (await rests(home.gateway, run.session)).state == "ended"
        async with house(tmp_path, flows, rules=RULES, servers=servers) as home:
            assert len(home.gateway.entries("rollback.started")) == 1
        assert undone(bank) == ["refund"]


async def test_what_cannot_be_begun_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failures, "AGAIN_S", 0.01)
    begin, asked = TakingBack.begin, []

    async def at_last(self: TakingBack, session: str, **more: Any) -> Rollback:  # noqa: ANN401 - as it is
        asked.append(session)
        if len(asked) < 3:
            raise RollbackRefused("rollback.overlaps", "another one is of these sessions too")
        return await begin(self, session, **more)

    monkeypatch.setattr(TakingBack, "begin", at_last)
    flows = [saga(PAY, BREAKS), INNER]
    async with Bank() as bank, house(tmp_path, flows, rules=RULES, servers={"desk": bank}) as home:
        run = await failed(home)
        assert (await rests(home.gateway, run.session)).state == "ended"
        assert asked == [run.session] * 3
        assert undone(bank) == ["refund"]


async def test_a_person_who_orders_it_too_gets_the_same_one(tmp_path: Path) -> None:
    flows = [saga(PAY, BREAKS), INNER]
    async with Bank() as bank, house(tmp_path, flows, rules=RULES, servers={"desk": bank}) as home:
        run = await failed(home)
        await home.gateway.operate("POST", f"/api/runs/{run.id}/rollback", {})
        await rests(home.gateway, run.session)
        assert len(home.gateway.entries("rollback.started")) == 1
        assert undone(bank) == ["refund"]


async def test_the_fork_of_such_a_run_is_taken_back_by_itself(tmp_path: Path) -> None:
    """It takes back what it has done itself, and nothing of the run that it comes from."""
    flows = [saga(PAY, PAY, ASK), INNER]
    async with Bank() as bank, house(tmp_path, flows, rules=RULES, servers={"desk": bank}) as home:
        run = await home.start()
        await home.gateway.until(lambda: bool(home.gateway.entries("approval.asked")))
        await home.service.cancel(run.id, by="operator:ana")
        await home.ended(run)
        before = len(bank.made)
        answer = await home.gateway.operate("POST", f"/api/runs/{run.id}/fork", {"step": 2})
        await home.gateway.until(lambda: len(home.gateway.entries("approval.asked")) == 2)
        await home.gateway.answer(home.gateway.entries("approval.asked")[1]["approval"], "deny")
        fork = await home.ended(home.hop.runs.get(answer.json()["id"]))
        assert (await rests(home.gateway, fork.session)).state == "ended"
        assert [name for name, _ in bank.made[before:]] == ["pay", "refund"]
