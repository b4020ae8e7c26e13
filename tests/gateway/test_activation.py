"""Activation: files are proposals; one digest at a time comes into force, on the record, or not."""

import asyncio
from pathlib import Path

import pytest

from gateway.activation import compile_contents, read_stable
from gateway.errors import ActivationRefused
from tests.harness.gateway import Running, running
from tests.harness.policy import DESK
from tests.harness.upstream import desk

WIDE = DESK.replace("args.amount <= 100", "args.amount <= 900").replace(
    "args.amount > 100 &&", "args.amount > 900 &&"
)


async def proposed(gateway: Running) -> str | None:
    digest: str | None = (await gateway.operate("GET", "/api/policy")).json()["proposed"]
    return digest


async def test_an_edited_file_is_a_proposal_and_nothing_more(tmp_path: Path) -> None:
    async with desk() as upstream, running(tmp_path, servers={"desk": upstream}) as gateway:
        clerk = await gateway.agent()
        before = gateway.gateway.services.worlds.current
        gateway.policy.write_text(WIDE)
        assert await proposed(gateway) != before.snapshot.digest
        assert (await clerk.call("desk.pay", amount=500, to="x")).code == "approval.pending"
        assert gateway.gateway.services.worlds.current is before
        assert upstream.calls == []


async def test_the_digest_that_was_looked_at_is_the_one_that_comes_into_force(
    tmp_path: Path,
) -> None:
    async with desk() as upstream, running(tmp_path, servers={"desk": upstream}) as gateway:
        before = gateway.gateway.services.worlds.current
        gateway.policy.write_text(DESK + "# harmless\n")
        looked_at = await proposed(gateway)
        gateway.policy.write_text(WIDE)
        refused = await gateway.operate(
            "POST", "/api/policy/apply", {"digest": looked_at}, check=False
        )
        assert (refused.status_code, refused.json()["code"]) == (409, "policy.other-digest")
        assert gateway.gateway.services.worlds.current is before
        assert [entry["by"] for entry in gateway.entries("policy.changed")] == ["start"]


async def test_an_activation_ends_what_was_verified_and_decided_before(tmp_path: Path) -> None:
    async with desk() as upstream, running(tmp_path, servers={"desk": upstream}) as gateway:
        clerk = await gateway.agent()
        before = gateway.gateway.services.epoch.value
        assert (await gateway.apply(WIDE)).is_success
        assert gateway.gateway.services.epoch.value > before
        assert (await clerk.call("desk.pay", amount=500, to="x")).done
        (_, changed) = gateway.entries("policy.changed")
        assert "adam" in changed["by"]


async def test_activations_at_once_come_one_after_the_other(tmp_path: Path) -> None:
    async with desk() as upstream, running(tmp_path, servers={"desk": upstream}) as gateway:
        gateway.policy.write_text(WIDE)
        body = {"digest": await proposed(gateway)}
        answers = await asyncio.gather(
            *(gateway.operate("POST", "/api/policy/apply", body, check=False) for _ in range(8))
        )
        assert all(answer.status_code in {200, 409} for answer in answers)
        snapshots = [entry["snapshot"] for entry in gateway.entries("policy.changed")]
        assert snapshots[-1] == gateway.gateway.services.worlds.current.snapshot.digest


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param("", id="empty"),
        pytest.param("rules: [", id="malformed"),
        pytest.param("\x00", id="nul"),
        pytest.param("a: &a [*a]\n", id="anchor"),
        pytest.param(DESK.replace("desk.wipe", "desk.wape"), id="unknown-tool"),
        pytest.param(DESK.replace("args.amount", "args.amuont"), id="unknown-argument"),
        pytest.param(DESK + "default: deny\n", id="key-twice"),
        pytest.param(DESK + "x: " + "[" * 5000, id="deep"),
    ],
)
async def test_a_proposal_that_does_not_compile_is_told_with_its_place_and_changes_nothing(
    tmp_path: Path, broken: str
) -> None:
    async with desk() as upstream, running(tmp_path, servers={"desk": upstream}) as gateway:
        before = gateway.gateway.services.worlds.current
        gateway.policy.write_text(broken)
        shown = (await gateway.operate("GET", "/api/policy")).json()
        assert shown["proposed"] is None
        assert all("desk.policy.yaml" in finding for finding in shown["findings"])
        assert shown["findings"]
        refused = await gateway.operate(
            "POST", "/api/policy/apply", {"digest": before.snapshot.digest}, check=False
        )
        assert refused.status_code == 422
        assert gateway.gateway.services.worlds.current is before


async def test_a_start_with_other_rules_than_the_last_needs_their_digest(tmp_path: Path) -> None:
    async with desk() as upstream:
        async with running(tmp_path, servers={"desk": upstream}) as gateway:
            (tmp_path / "desk.policy.yaml").write_text(WIDE)
            wide = await proposed(gateway)
        with pytest.raises(ActivationRefused) as refused:
            async with running(tmp_path, WIDE, {"desk": upstream}):
                pytest.fail("it started")
        assert refused.value.code == "policy.not-active"
        assert str(wide) in str(refused.value)
        async with running(tmp_path, WIDE, {"desk": upstream}, accept_policy=wide) as gateway:
            changed = gateway.entries("policy.changed")[-1]
            assert (changed["snapshot"], changed["by"]) == (wide, "start")
        async with running(tmp_path, WIDE, {"desk": upstream}) as gateway:
            assert gateway.gateway.services.worlds.current.snapshot.digest == wide


async def test_in_dev_a_change_that_compiles_is_in_force_and_another_is_not(
    tmp_path: Path,
) -> None:
    async with desk() as upstream:
        spec = {"url": upstream.url, "allow_private": True}
        async with running(tmp_path, servers={"desk": spec}, mode="dev") as gateway:
            before = gateway.gateway.services.worlds.current.snapshot.digest
            gateway.policy.write_text("rules: [")
            gateway.policy.write_text(WIDE)
            await gateway.until(
                lambda: gateway.gateway.services.worlds.current.snapshot.digest != before
            )
            assert gateway.entries("policy.changed")[-1]["by"] == "file"
            clerk = await gateway.agent()
            assert (await clerk.call("desk.pay", amount=500, to="x")).done


def test_files_that_move_while_they_are_read_are_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("0")
    reads = iter(range(100))

    def read_bytes(_: Path) -> bytes:
        return str(next(reads)).encode()

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    with pytest.raises(ActivationRefused) as refused:
        read_stable([file])
    assert refused.value.code == "policy.moving"


def test_a_file_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(ActivationRefused, match=r"gone\.yaml"):
        read_stable([tmp_path / "gone.yaml"])


async def test_the_digest_names_files_and_catalogue_and_nothing_else(tmp_path: Path) -> None:
    async with desk() as upstream, running(tmp_path, servers={"desk": upstream}) as gateway:
        world = gateway.gateway.services.worlds.current
        again = compile_contents(world.contents, world.catalogue)
        assert again.digest == world.snapshot.digest
        other = tuple((name, raw + b"\n# x\n") for name, raw in world.contents)
        assert compile_contents(other, world.catalogue).digest != world.snapshot.digest
