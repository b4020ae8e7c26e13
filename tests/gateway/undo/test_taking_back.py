"""Taking back what an agent did: in reverse order, once, through the gate, or not at all."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from gateway.operator.outlook import outlook
from gateway.undo.errors import RollbackRefused
from tests.gateway.links.http_upstream import Heard, answer
from tests.harness.agent import Agent
from tests.harness.gateway import Running, running
from tests.harness.policy import HEAD
from tests.harness.upstream import Desk, tool

TOOLS = (
    tool("pay", "amount", amount="integer", to="string"),
    tool("refund", "payment", payment="string", amount="integer"),
    tool("book", "room", room="string"),
    tool("free", "room", room="string"),
    tool("burn", "what", what="string"),
    tool("look", at="string"),
)

POLICY = (
    HEAD
    + """\
tools:
  desk.pay:
    risk: irreversible
    emits: []
    undo: {tool: desk.refund, args: {payment: result.payment, amount: args.amount}}
  desk.refund: {risk: irreversible, emits: []}
  desk.book: {risk: write, emits: [], undo: {tool: desk.free, args: {room: args.room}}}
  desk.free: {risk: write, emits: []}
  desk.burn: {risk: irreversible, emits: []}
  desk.look: {risk: read, emits: []}
rules:
  - id: does
    roles: [clerk]
    tools: [desk.pay, desk.book, desk.burn, desk.look]
    effect: allow
    why: This is a test.
  - {id: frees, roles: [clerk], tools: [desk.free], effect: allow}
  - {id: refunds, roles: [clerk], tools: [desk.refund], effect: allow, when: "args.amount <= 100"}
  - id: asks
    roles: [clerk]
    tools: [desk.refund]
    effect: ask
    approval: one-person
    when: "args.amount > 100 && args.amount <= 1000"
"""
)
KEYED = POLICY.replace("  desk.pay:\n", "  desk.pay:\n    idempotency: 24h\n").replace(
    "desk.refund: {risk: irreversible,", "desk.refund: {risk: irreversible, idempotency: 24h,"
)


class Bank(Desk):
    """A desk whose payments have numbers; it acts once for each key."""

    def __init__(self) -> None:
        super().__init__(*TOOLS)
        self.then = self._acts
        self.payments = 0
        self.kept: dict[str, dict[str, Any]] = {}
        self.loses: set[str] = set()  # tools whose answers are lost once

    async def _acts(self, heard: Heard, writer: asyncio.StreamWriter) -> None:
        params = heard.message["params"]
        key = params["_meta"].get("passavant/idempotency-key")
        result = self.kept.get(key) or self._result(params["name"])
        if key is not None:
            self.kept[key] = result
        if params["name"] in self.loses:
            self.loses.remove(params["name"])
            writer.close()
            return
        writer.write(answer(heard, result))
        await writer.drain()

    def _result(self, name: str) -> dict[str, Any]:
        told: dict[str, Any] = {}
        if name == "pay":
            self.payments += 1
            told = {"payment": f"p{self.payments}"}
        content = [{"type": "text", "text": json.dumps(told)}]
        result = {"content": content, "structuredContent": told, "isError": False}
        return {**result, "resultType": "complete"}

    @property
    def made(self) -> list[tuple[str, dict[str, Any]]]:
        return [(call.tool, call.args) for call in self.calls]


async def ordered(gateway: Running, of: Agent, **wanted: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """Order the rollback of a session, or let it go on; what it has come to."""
    await gateway.operate("POST", f"/api/sessions/{of.session}/rollback", wanted)
    return await rests(gateway, of)


async def rests(gateway: Running, of: Agent) -> dict[str, Any]:
    """The rollback, when it has ended or stopped."""
    rollbacks = gateway.gateway.services.state.rollbacks
    await gateway.until(lambda: rollbacks.of(of.session).state != "running")  # type: ignore[union-attr]  # it was ordered
    found = await gateway.operate("GET", f"/api/sessions/{of.session}/rollback")
    told: dict[str, Any] = found.json()
    return told


def states(rollback: dict[str, Any]) -> list[tuple[str, str]]:
    return [(deed["tool"], deed["state"]) for deed in rollback["deeds"]]


# -- what is taken back


async def test_the_last_deed_is_taken_back_first(tmp_path: Path) -> None:
    async with Bank() as bank, running(tmp_path, POLICY, {"desk": bank}) as gateway:
        clerk = await gateway.agent()
        await clerk.call("desk.book", room="r1")
        await clerk.call("desk.pay", amount=40, to="paper")
        await clerk.call("desk.look", at="x")
        await clerk.call("desk.pay", amount=50, to="ink")
        before = len(bank.made)
        rollback = await ordered(gateway, clerk)
        assert bank.made[before:] == [
            ("refund", {"payment": "p2", "amount": 50}),
            ("refund", {"payment": "p1", "amount": 40}),
            ("free", {"room": "r1"}),
        ]
        assert rollback["state"] == "ended"
        assert states(rollback) == [
            ("desk.pay", "undone"),
            ("desk.pay", "undone"),
            ("desk.book", "undone"),
        ]


async def test_each_undo_is_governed_and_says_what_it_takes_back(tmp_path: Path) -> None:
    async with Bank() as bank, running(tmp_path, POLICY, {"desk": bank}) as gateway:
        clerk = await gateway.agent()
        await clerk.call("desk.pay", amount=40, to="paper")
        (paid,) = gateway.entries("decision")
        rollback = await ordered(gateway, clerk)
        undo = gateway.entries("decision")[-1]
        assert undo["req"] == {
            "face": "undo",
            "id": f"{rollback['id']}/{paid['id']}",
            "trace": None,
        }
        assert undo["actor"] == paid["actor"]
        assert undo["decision"]["rules"] == ["refunds"]
        assert undo["session"] != paid["session"]
        token = [
            each for each in gateway.entries("token.issue") if each["session"] == undo["session"]
        ]
        assert [each["scope"] for each in token] == ["desk.refund"]
        kinds = [body["kind"] for body in gateway.entries() if body["kind"].startswith("rollback")]
        assert kinds == ["rollback.started", "rollback.ended"]


async def test_a_session_that_is_rolled_back_does_nothing_more(tmp_path: Path) -> None:
    async with Bank() as bank, running(tmp_path, POLICY, {"desk": bank}) as gateway:
        clerk = await gateway.agent()
        await clerk.call("desk.book", room="r1")
        await ordered(gateway, clerk)
        assert not (await clerk.call("desk.book", room="r2")).done
        opened = [each["session"] for each in gateway.entries("session.open")][-1]
        assert gateway.gateway.services.state.sessions.get(opened).ended  # type: ignore[union-attr]  # it is there


async def test_ordering_it_again_takes_nothing_back_twice(tmp_path: Path) -> None:
    async with Bank() as bank, running(tmp_path, POLICY, {"desk": bank}) as gateway:
        clerk = await gateway.agent()
        await clerk.call("desk.pay", amount=40, to="paper")
        first = await ordered(gateway, clerk)
        again = await ordered(gateway, clerk)
        assert first["id"] == again["id"]
        assert [name for name, _ in bank.made] == ["pay", "refund"]


async def test_two_orders_at_once_take_nothing_back_twice(tmp_path: Path) -> None:
    async with Bank() as bank, running(tmp_path, POLICY, {"desk": bank}) as gateway:
        clerk = await gateway.agent()
        await clerk.call("desk.pay", amount=40, to="paper")
        undo = gateway.gateway.services.undo
        begun = (undo.begin(clerk.session, by=f"operator:{name}") for name in ("ana", "ben"))
        first, second = await asyncio.gather(*begun)
        await rests(gateway, clerk)
        assert first.id == second.id
        assert [name for name, _ in bank.made] == ["pay", "refund"]


async def test_of_two_who_let_it_go_on_at_once_one_is_refused(tmp_path: Path) -> None:
    async with Bank() as bank, running(tmp_path, POLICY, {"desk": bank}) as gateway:
        clerk = await gateway.agent()
        await clerk.call("desk.burn", what="papers")
        stopped = await ordered(gateway, clerk)
        undo = gateway.gateway.services.undo
        order = [
            undo.resume(stopped["id"], by="operator:ana", leave=False, reason="") for _ in range(2)
        ]
        told = await asyncio.gather(*order, return_exceptions=True)
        assert [type(each).__name__ for each in told] == ["Rollback", "RollbackRefused"]
        await rests(gateway, clerk)
        assert len(gateway.entries("rollback.resumed")) == 1


async def test_whoever_saw_it_stop_elsewhere_leaves_nothing(tmp_path: Path) -> None:
    async with Bank() as bank, running(tmp_path, POLICY, {"desk": bank}) as gateway:
        clerk = await gateway.agent()
        await clerk.call("desk.burn", what="papers")
        stopped = await ordered(gateway, clerk)
        undo = gateway.gateway.services.undo
        with pytest.raises(RollbackRefused) as refused:
            await undo.resume(stopped["id"], by="operator:a", leave=True, reason="x", seen="other")
        assert refused.value.code == "rollback.changed"
        assert gateway.entries("rollback.resumed") == []


async def test_a_session_without_deeds_is_just_ended(tmp_path: Path) -> None:
    async with Bank() as bank, running(tmp_path, POLICY, {"desk": bank}) as gateway:
        clerk = await gateway.agent()
        await clerk.call("desk.look", at="x")
        rollback = await ordered(gateway, clerk)
        assert (rollback["state"], rollback["deeds"]) == ("ended", [])


async def test_labels_of_what_is_taken_back_come_along(tmp_path: Path) -> None:
    tainting = POLICY.replace(
        "desk.look: {risk: read, emits: []}", "desk.look: {risk: read, emits: [private]}"
    )
    async with Bank() as bank, running(tmp_path, tainting, {"desk": bank}) as gateway:
        clerk = await gateway.agent()
        await clerk.call("desk.look", at="x")
        await clerk.call("desk.book", room="r1")
        await ordered(gateway, clerk)
        assert gateway.entries("decision")[-1]["facts"]["labels"] == ["private"]


# -- where a person has to look


async def test_a_deed_that_nothing_takes_back_stops_for_a_person(tmp_path: Path) -> None:
    async with Bank() as bank, running(tmp_path, POLICY, {"desk": bank}) as gateway:
        clerk = await gateway.agent()
        await clerk.call("desk.book", room="r1")
        await clerk.call("desk.burn", what="papers")
        stopped = await ordered(gateway, clerk)
        assert (stopped["state"], stopped["why"]) == ("stopped", "nothing takes desk.burn back")
        assert states(stopped) == [("desk.burn", "stopped"), ("desk.book", "to do")]
        assert (await ordered(gateway, clerk))["state"] == "stopped"
        ended = await ordered(gateway, clerk, leave=True, reason="written off")
        assert states(ended) == [("desk.burn", "left"), ("desk.book", "undone")]
        assert bank.made[-1] == ("free", {"room": "r1"})
        left = gateway.entries("rollback.resumed")[-1]
        assert left["by"].startswith("operator:")
        assert left["left"] == ended["deeds"][0]["call"]


async def test_a_denied_undo_is_not_made(tmp_path: Path) -> None:
    strict = POLICY.replace(
        "  - {id: frees, roles: [clerk], tools: [desk.free], effect: allow}\n", ""
    )
    async with Bank() as bank, running(tmp_path, strict, {"desk": bank}) as gateway:
        clerk = await gateway.agent()
        await clerk.call("desk.book", room="r1")
        stopped = await ordered(gateway, clerk)
        assert (stopped["state"], stopped["why"]) == ("stopped", "desk.free: policy.denied")
        assert [name for name, _ in bank.made] == ["book"]
        await gateway.apply(POLICY)
        assert (await ordered(gateway, clerk))["state"] == "ended"


@pytest.mark.parametrize(("verdict", "ends"), [("approve", "ended"), ("deny", "stopped")])
async def test_people_are_asked_where_the_policy_says_so(
    tmp_path: Path, verdict: str, ends: str
) -> None:
    async with Bank() as bank, running(tmp_path, POLICY, {"desk": bank}) as gateway:
        clerk = await gateway.agent()
        await clerk.call("desk.pay", amount=400, to="paper")
        await gateway.operate("POST", f"/api/sessions/{clerk.session}/rollback", {})
        await gateway.until(lambda: bool(gateway.entries("approval.asked")))
        await gateway.answer(gateway.entries("approval.asked")[0]["approval"], verdict)
        assert (await rests(gateway, clerk))["state"] == ends
        assert [name for name, _ in bank.made][1:] == (["refund"] if ends == "ended" else [])


async def test_what_the_upstream_did_not_give_is_not_made_up(tmp_path: Path) -> None:
    wrong = POLICY.replace("payment: result.payment", "payment: result.number")
    async with Bank() as bank, running(tmp_path, wrong, {"desk": bank}) as gateway:
        clerk = await gateway.agent()
        await clerk.call("desk.pay", amount=40, to="paper")
        stopped = await ordered(gateway, clerk)
        assert stopped["why"].startswith("desk.refund needs a value that desk.pay did not give")


# -- what nobody knows


async def test_a_deed_of_which_nobody_knows_stops_for_a_person(tmp_path: Path) -> None:
    async with Bank() as bank, running(tmp_path, POLICY, {"desk": bank}) as gateway:
        clerk = await gateway.agent()
        bank.loses.add("pay")
        await clerk.call("desk.pay", amount=40, to="paper")
        stopped = await ordered(gateway, clerk)
        assert stopped["why"] == "nobody knows whether desk.pay acted"
        assert len(bank.made) == 1


async def test_a_key_finds_out_what_a_deed_came_to(tmp_path: Path) -> None:
    async with Bank() as bank, running(tmp_path, KEYED, {"desk": bank}) as gateway:
        clerk = await gateway.agent()
        bank.loses.add("pay")
        await clerk.call("desk.pay", amount=40, to="paper")
        assert (await ordered(gateway, clerk))["state"] == "ended"
        assert bank.payments == 1
        assert bank.made[-1] == ("refund", {"payment": "p1", "amount": 40})
        first, again, _ = gateway.entries("decision")
        assert first["key"] == again["key"]


@pytest.mark.parametrize(
    ("rules", "call", "hindrance"),
    [
        pytest.param(POLICY, "pay", "nobody knows whether desk.pay acted", id="lost"),
        pytest.param(KEYED, "pay", None, id="lost-with-a-key"),
        pytest.param(POLICY, "burn", "nothing takes desk.burn back", id="irreversible"),
        pytest.param(POLICY, "book", None, id="plain"),
    ],
)
async def test_where_people_will_have_to_look_is_known_beforehand(
    tmp_path: Path, rules: str, call: str, hindrance: str | None
) -> None:
    async with Bank() as bank, running(tmp_path, rules, {"desk": bank}) as gateway:
        clerk = await gateway.agent()
        bank.loses.add("pay")
        given: dict[str, dict[str, Any]] = {
            "pay": {"amount": 1, "to": "x"},
            "burn": {"what": "x"},
            "book": {"room": "x"},
        }
        await clerk.call(f"desk.{call}", **given[call])
        found = await outlook(gateway.gateway.services, clerk.session)
        assert [each.hindrance for each in found.lines] == [hindrance]
        assert found.rollback is None
        told = await ordered(gateway, clerk)
        assert told["state"] == ("ended" if hindrance is None else "stopped")
        assert told["why"] == (hindrance or "")


async def test_a_lost_undo_is_repeated_by_its_key_alone(tmp_path: Path) -> None:
    async with Bank() as bank, running(tmp_path, KEYED, {"desk": bank}) as gateway:
        clerk = await gateway.agent()
        await clerk.call("desk.pay", amount=40, to="paper")
        bank.loses.add("refund")
        assert (await ordered(gateway, clerk))["state"] == "stopped"
        assert (await ordered(gateway, clerk))["state"] == "ended"
        _, first, again = gateway.entries("decision")
        assert first["key"] == again["key"]


async def test_a_lost_undo_without_a_key_is_never_repeated(tmp_path: Path) -> None:
    async with Bank() as bank, running(tmp_path, POLICY, {"desk": bank}) as gateway:
        clerk = await gateway.agent()
        await clerk.call("desk.pay", amount=40, to="paper")
        bank.loses.add("refund")
        assert (await ordered(gateway, clerk))["state"] == "stopped"
        stopped = await ordered(gateway, clerk)
        assert stopped["why"] == "nobody knows whether desk.refund acted"
        assert [name for name, _ in bank.made] == ["pay", "refund"]


# -- a restart


async def test_a_restart_goes_on_where_it_was(tmp_path: Path) -> None:
    async with Bank() as bank:
        async with running(tmp_path, POLICY, {"desk": bank}) as gateway:
            clerk = await gateway.agent()
            await clerk.call("desk.book", room="r1")
            await clerk.call("desk.pay", amount=400, to="paper")
            await clerk.call("desk.book", room="r2")
            await gateway.operate("POST", f"/api/sessions/{clerk.session}/rollback", {})
            await gateway.until(lambda: bool(gateway.entries("approval.asked")))
        async with running(tmp_path, POLICY, {"desk": bank}) as gateway:
            (asked,) = gateway.entries("approval.asked")
            await gateway.answer(asked["approval"])
            assert (await rests(gateway, clerk))["state"] == "ended"
        undone = [name for name, _ in bank.made][3:]
        assert undone == ["free", "refund", "free"]


# -- who may not


async def test_only_administrators_order_it(tmp_path: Path) -> None:
    async with Bank() as bank, running(tmp_path, POLICY, {"desk": bank}) as gateway:
        clerk = await gateway.agent()
        await clerk.call("desk.book", room="r1")
        place = f"/api/sessions/{clerk.session}/rollback"
        refused = await gateway.operate("POST", place, {}, by="omar", check=False)
        assert refused.status_code == 403
        assert gateway.entries("rollback.started") == []


@pytest.mark.parametrize(
    ("session", "body", "code"),
    [
        pytest.param("nothing", {}, "rollback.session", id="no-such-session"),
        pytest.param(None, {"leave": True}, "operator.body", id="left-without-a-reason"),
        pytest.param(None, {"leave": True, "reason": "x"}, "rollback.state", id="nothing-to-leave"),
        pytest.param(None, {"what": 1}, "operator.body", id="unknown-member"),
    ],
)
async def test_what_cannot_be_is_refused(
    tmp_path: Path, session: str | None, body: dict[str, Any], code: str
) -> None:
    async with Bank() as bank, running(tmp_path, POLICY, {"desk": bank}) as gateway:
        clerk = await gateway.agent()
        place = f"/api/sessions/{session or clerk.session}/rollback"
        refused = await gateway.operate("POST", place, body, check=False)
        assert refused.json()["code"] == code
