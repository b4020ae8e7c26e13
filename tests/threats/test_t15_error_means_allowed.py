"""T15: whatever goes wrong while a call is decided or recorded, the call is denied."""

from pathlib import Path
from typing import Any, NoReturn

import pytest

from audit.canonical import Json
from gateway.approval.approvals import Approvals
from gateway.catalogue.arguments import ArgumentCheck
from gateway.errors import ActivationRefused
from gateway.session.limits import Limits
from gateway.session.sessions import Sessions
from policies.errors import PolicyInvalid
from tests.harness.agent import WAYS, Agent
from tests.harness.disk import FailingDisk
from tests.harness.gateway import Running, running
from tests.harness.policy import DESK, HEAD
from tests.harness.upstream import TOOLS as DESK_TOOLS
from tests.harness.upstream import Desk, desk, tool

ANY: dict[str, Json] = {"description": "anything at all"}
TOOLS = (
    *DESK_TOOLS,
    tool("order", amount=ANY, path=ANY, url=ANY, when=ANY, size=ANY, text=ANY),
    tool("ask"),
    tool("drop", amount=ANY, path=ANY, text=ANY),
)
POLICY = (
    HEAD
    + """\
tools:
  desk.order: {risk: write, emits: []}
  desk.drop: {risk: write, emits: []}
  desk.ask: {risk: write, emits: []}
  desk.look: {risk: read, emits: []}
rules:
  - {id: asks, roles: [clerk], tools: [desk.ask], effect: ask, approval: one-person}
  - {id: number, roles: [clerk], tools: [desk.order], effect: allow, when: "args.amount < 100"}
  - id: path
    roles: [clerk]
    tools: [desk.order]
    effect: allow
    when: "under(args.path, '/data')"
  - id: host
    roles: [clerk]
    tools: [desk.order]
    effect: allow
    when: "domain(args.url) == 'a.example'"
  - id: time
    roles: [clerk]
    tools: [desk.order]
    effect: allow
    when: "timestamp(args.when) < now"
  - {id: size, roles: [clerk], tools: [desk.order], effect: allow, when: "size(args.size) > 3"}
  - id: nested
    roles: [clerk]
    tools: [desk.order]
    effect: allow
    when: "args.amount.of.what == 3"
  - id: words
    roles: [clerk]
    tools: [desk.order]
    effect: allow
    when: "args.text.matches('^a+$')"
  - {id: drops, roles: [clerk], tools: [desk.drop], effect: allow}
  - {id: no-large, roles: [clerk], tools: [desk.drop], effect: deny, when: "args.amount > 100"}
  - id: no-secret
    roles: [clerk]
    tools: [desk.drop]
    effect: deny
    when: "under(args.path, '/secret')"
  - id: no-word
    roles: [clerk]
    tools: [desk.drop]
    effect: deny
    when: "args.text.contains('secret')"
  - {id: looks, roles: [clerk], tools: [desk.look], effect: allow}
"""
)
FINE = {"amount": 1, "path": "/home", "text": "hello"}

module = pytest.mark.asyncio(loop_scope="module")


@module
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("args", "rule"),
    [
        pytest.param({"amount": "12"}, "number", id="text-for-a-number"),
        pytest.param({"amount": None}, "number", id="null-for-a-number"),
        pytest.param({"amount": [1]}, "number", id="list-for-a-number"),
        pytest.param({"amount": True}, "number", id="truth-for-a-number"),
        pytest.param({"amount": {"of": 3}}, "nested", id="number-for-an-object"),
        pytest.param({"path": 12}, "path", id="number-for-a-path"),
        pytest.param({"path": "/" + "a/" * 5000}, "path", id="path-over-its-limit"),
        pytest.param({"path": "/data/\u202e"}, "path", id="path-with-what-does-not-show"),
        pytest.param({"url": "http://a.example:99999/"}, "host", id="port-that-is-none"),
        pytest.param({"url": "a" * 5000}, "host", id="host-over-its-limit"),
        pytest.param({"when": "yesterday"}, "time", id="time-that-is-none"),
        pytest.param({"size": 5}, "size", id="size-of-a-number"),
        pytest.param({"text": "a" + "\u0301" * 500}, "words", id="text-that-costs-too-much"),
    ],
)
async def test_t15_an_allow_whose_condition_cannot_be_evaluated_gives_nothing(
    gateway: Running, upstream: Desk, clerk: Agent, way: str, args: dict[str, Any], rule: str
) -> None:
    answered = await clerk.by(way).call("desk.order", **args)
    assert answered.code == "policy.denied"
    assert upstream.calls == []
    errors = gateway.entry(answered.entry)["decision"]["errors"]
    assert any(error.startswith(rule) for error in errors)


@module
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("args", "rule"),
    [
        pytest.param({"amount": "12"}, "no-large", id="text-for-a-number"),
        pytest.param({"amount": None}, "no-large", id="null-for-a-number"),
        pytest.param({"path": 12}, "no-secret", id="number-for-a-path"),
        pytest.param({"path": "home/../secret"}, "no-secret", id="path-with-two-readings"),
        pytest.param({"text": ["secret"]}, "no-word", id="list-for-a-text"),
        pytest.param({"text": "a" + "\u0301" * 500}, "no-word", id="text-that-costs-too-much"),
    ],
)
async def test_t15_a_deny_whose_condition_cannot_be_evaluated_denies(
    gateway: Running, upstream: Desk, clerk: Agent, way: str, args: dict[str, Any], rule: str
) -> None:
    answered = await clerk.by(way).call("desk.drop", **{**FINE, **args})
    assert answered.code == "policy.denied"
    assert upstream.calls == []
    decision = gateway.entry(answered.entry)["decision"]
    assert rule in decision["rules"]
    assert any(error.startswith(rule) for error in decision["errors"])


@module
@pytest.mark.parametrize("missing", FINE)
async def test_t15_a_deny_that_reads_a_missing_argument_denies(
    gateway: Running, upstream: Desk, clerk: Agent, missing: str
) -> None:
    args = {name: value for name, value in FINE.items() if name != missing}
    assert (await clerk.call("desk.drop", **args)).code == "policy.denied"
    assert upstream.calls == []
    assert (await clerk.call("desk.drop", **FINE)).done


@pytest.mark.parametrize(
    "condition",
    [
        pytest.param("100 / args.amount > 1", id="division"),
        pytest.param("args.missing > 1", id="argument-that-the-tool-has-not"),
        pytest.param("args.amount > '1'", id="number-against-text"),
        pytest.param("args.note.matches('(a+)+$')  &&", id="broken"),
        pytest.param("args.note.matches('(?=a)b')", id="pattern-without-a-linear-form"),
        pytest.param("args.note.matches('a{1,1000}{1,1000}{1,1000}')", id="pattern-over-its-limit"),
        pytest.param("size(args.note)", id="neither-true-nor-false"),
        pytest.param("__import__('os')", id="another-language"),
        pytest.param("(" * 500 + "true" + ")" * 500, id="nested-over-its-limit"),
        pytest.param(" || ".join(["args.amount == 1"] * 5000), id="longer-than-a-condition-may-be"),
    ],
)
async def test_t15_a_condition_that_can_never_be_evaluated_refuses_start_and_activation(
    tmp_path: Path, condition: str
) -> None:
    broken = DESK.replace("args.amount > 0 && args.amount <= 100", condition)
    assert broken != DESK
    async with desk() as upstream:
        with pytest.raises(PolicyInvalid, match=r"desk\.policy\.yaml:\d+"):
            async with running(tmp_path / "new", broken, {"desk": upstream}):
                pytest.fail("it started")


async def test_t15_a_policy_that_does_not_compile_leaves_the_one_before_in_force(
    tmp_path: Path,
) -> None:
    async with desk() as upstream, running(tmp_path, servers={"desk": upstream}) as gateway:
        clerk = await gateway.agent()
        before = (await gateway.operate("GET", "/api/policy")).json()["snapshot"]
        for broken in ("", "rules: [", DESK.replace("desk.wipe", "desk.wape"), "default: allow\n"):
            gateway.policy.write_text(broken)
            shown = (await gateway.operate("GET", "/api/policy")).json()
            assert shown["proposed"] is None
            assert shown["findings"]
            refused = await gateway.operate(
                "POST", "/api/policy/apply", {"digest": before}, check=False
            )
            assert refused.status_code == 422
            assert (await clerk.call("desk.pay", amount=40, to="paper")).done
            assert (await clerk.call("desk.pay", amount=4000, to="paper")).code == "policy.denied"
        assert (await gateway.operate("GET", "/api/status")).json()["snapshot"] == before


async def test_t15_policy_files_that_are_gone_change_nothing_and_cannot_be_activated(
    tmp_path: Path,
) -> None:
    async with desk() as upstream, running(tmp_path, servers={"desk": upstream}) as gateway:
        clerk = await gateway.agent()
        gateway.policy.unlink()
        assert (await clerk.call("desk.pay", amount=4000, to="paper")).code == "policy.denied"
        digest = gateway.gateway.services.worlds.current.snapshot.digest
        shown = (await gateway.operate("GET", "/api/policy")).json()
        assert (shown["snapshot"], shown["proposed"]) == (digest, None)
        assert "desk.policy.yaml" in shown["findings"][0]
        refused = await gateway.operate(
            "POST", "/api/policy/apply", {"digest": digest}, check=False
        )
        assert (refused.status_code, refused.json()["code"]) == (400, "policy.unreadable")
    with pytest.raises(ActivationRefused):
        async with running(tmp_path, settings={"policy": [str(tmp_path / "gone.yaml")]}):
            pytest.fail("it started")


def fail(*_: object, **__: object) -> NoReturn:
    raise RuntimeError("a fault of ours, with a secret in it: hunter2")


@module
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("place", "name"),
    [
        pytest.param(Sessions, "live", id="labels-and-purpose"),
        pytest.param(ArgumentCheck, "check", id="arguments"),
        pytest.param(Limits, "reserve", id="limits"),
        pytest.param(Approvals, "find", id="approvals"),
    ],
)
async def test_t15_a_fault_in_any_room_before_the_record_denies_without_saying_why(
    upstream: Desk,
    clerk: Agent,
    monkeypatch: pytest.MonkeyPatch,
    way: str,
    place: type,
    name: str,
) -> None:
    agent = clerk.by(way)
    await agent.names()
    monkeypatch.setattr(place, name, fail)
    answered = await agent.call("desk.ask")
    assert not answered.done
    assert answered.code != "approval.pending"
    assert "hunter2" not in str(answered)
    assert upstream.calls == []
    monkeypatch.undo()
    assert (await agent.call("desk.ask")).code == "approval.pending"


async def test_t15_a_fault_in_the_kernel_is_a_denial_with_a_rule_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with desk() as upstream, running(tmp_path, servers={"desk": upstream}) as gateway:
        clerk = await gateway.agent()
        monkeypatch.setattr("policies.kernel._decided", fail)
        answered = await clerk.call("desk.pay", amount=40, to="paper")
        assert answered.code == "policy.denied"
        assert gateway.entry(answered.entry)["decision"]["rules"] == ["engine-error"]
        assert upstream.calls == []


async def test_t15_a_state_that_could_not_follow_the_log_denies_everything_from_then_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A revocation could be in the entry that was not folded in."""
    async with desk() as upstream, running(tmp_path, servers={"desk": upstream}) as gateway:
        clerk, other = await gateway.agent(), await gateway.agent()
        monkeypatch.setattr("gateway.state.authorises", fail)
        await other.call("desk.wipe")
        monkeypatch.undo()
        answered = await clerk.call("desk.pay", amount=40, to="paper")
        assert answered.code == "epoch_unknown"
        assert upstream.calls == []


async def test_t15_an_approval_that_cannot_be_recorded_was_not_given(tmp_path: Path) -> None:
    disk = FailingDisk()
    async with (
        desk() as upstream,
        running(tmp_path, servers={"desk": upstream}, disk=disk) as gateway,
    ):
        clerk = await gateway.agent()
        asked = await clerk.call("desk.pay", amount=400, to="paper")
        shown = (await gateway.operate("GET", f"/api/approvals/{asked.approval}")).json()
        disk.fill()
        refused = await gateway.operate(
            "POST",
            f"/api/approvals/{asked.approval}/approve",
            {"digest": shown["digest"]},
            by="omar",
            check=False,
        )
        assert (refused.status_code, refused.json()["code"]) == (503, "audit_unavailable")
        disk.mend()
        await gateway.recorded_again()
        assert (await clerk.call("desk.pay", amount=400, to="paper")).code == "approval.pending"
        assert upstream.calls == []


async def test_t15_an_activation_that_cannot_be_recorded_did_not_happen(tmp_path: Path) -> None:
    disk = FailingDisk()
    async with (
        desk() as upstream,
        running(tmp_path, servers={"desk": upstream}, disk=disk) as gateway,
    ):
        before = gateway.gateway.services.worlds.current
        wide = DESK.replace("args.amount <= 100", "args.amount <= 900")
        gateway.policy.write_text(wide)
        proposed = (await gateway.operate("GET", "/api/policy")).json()["proposed"]
        disk.fill()
        refused = await gateway.operate(
            "POST", "/api/policy/apply", {"digest": proposed}, check=False
        )
        assert refused.status_code == 503
        assert gateway.gateway.services.worlds.current is before
        disk.mend()
