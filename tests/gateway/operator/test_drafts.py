"""Drafts: what other rules would say is said, on record, and nothing of them comes into force."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.harness.gateway import Running, running
from tests.harness.policy import DESK
from tests.harness.upstream import desk

pytestmark = pytest.mark.asyncio(loop_scope="module")

AUTHOR = "arno"
WIDER = DESK.replace("args.amount <= 100", "args.amount <= 500").replace("> 100", "> 500")
STRICTER = DESK.replace("effect: allow}", "effect: ask, approval: one-person}")
TRACED = WIDER.replace("args.amount > 0", "provenance.to == 'none' && args.amount > 0")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    async with (
        desk() as upstream,
        running(tmp_path_factory.mktemp("gateway"), servers={"desk": upstream}) as found,
    ):
        clerk = await found.agent()
        await clerk.call("desk.look", at="a")
        await clerk.call("desk.pay", amount=50, to="paper")
        await clerk.call("desk.pay", amount=400, to="paper")
        await clerk.call("desk.send", to="bob@example.com", text="hello")
        yield found


async def asked(gateway: Running, what: str, by: str = AUTHOR, **body: object) -> Any:  # noqa: ANN401 - JSON
    return (await gateway.operate("POST", f"/api/policy/{what}", body, by=by)).json()


def files(text: str) -> dict[str, str]:
    return {"desk.policy.yaml": text}


async def test_a_replay_names_the_calls_that_would_come_out_otherwise(gateway: Running) -> None:
    told = await asked(gateway, "replay", files=files(WIDER))
    (one,) = told["changed"]
    assert one["tool"] == "desk.pay"
    assert one["recorded"] == one["before"] == {"effect": "ask", "rules": ["pays-more"]}
    assert one["after"] == {"effect": "allow", "rules": ["pays"]}
    assert one["wider"]
    assert one["unknown"] == []
    assert told["effects"]["ask to allow"] == 1


async def test_the_files_themselves_are_the_draft_that_is_meant(gateway: Running) -> None:
    told = await asked(gateway, "replay", by="vera")
    assert told["changed"] == []
    assert told["looked"] >= 4
    assert told["draft"] == gateway.gateway.services.worlds.current.snapshot.digest


async def test_stricter_rules_would_have_asked(gateway: Running) -> None:
    told = await asked(gateway, "replay", files=files(STRICTER))
    assert {each["tool"] for each in told["changed"]} == {"desk.look"}
    assert not any(each["wider"] for each in told["changed"])


async def test_what_nobody_gathered_is_told(gateway: Running) -> None:
    told = await asked(gateway, "replay", files=files(TRACED))
    assert [each["unknown"] for each in told["changed"]] == [["provenance.to"]]


async def test_a_replay_is_an_entry_that_names_who_looked(gateway: Running) -> None:
    since = gateway.size
    told = await asked(gateway, "replay", files=files(STRICTER), last=3)
    (entry,) = gateway.entries("audit.replayed", since=since)
    current = gateway.gateway.services.worlds.current.snapshot.digest
    assert entry["by"] == "operator:arno"
    assert entry["count"] == told["looked"] == 3 - told["unkept"]
    assert entry["snapshots"] == [current, told["draft"]]
    assert entry["first"] < entry["last"] < since


async def test_a_difference_is_told_without_a_look_at_calls(gateway: Running) -> None:
    since = gateway.size
    told = await asked(gateway, "diff", files=files(STRICTER))
    assert {"what": "rule", "name": "looks", "kind": "changed"}.items() <= told["changes"][
        0
    ].items()
    assert {cell["tool"] for cell in told["cells"]} == {"desk.look"}
    assert gateway.size == since


async def test_nothing_of_a_draft_comes_into_force(gateway: Running) -> None:
    before = gateway.gateway.services.worlds.current
    await asked(gateway, "replay", files=files(WIDER))
    await asked(gateway, "diff", files=files(WIDER))
    assert gateway.gateway.services.worlds.current is before
    assert gateway.policy.read_text() == DESK


@pytest.mark.parametrize("what", ["diff", "replay"])
@pytest.mark.parametrize("by", ["vera", "omar"])
async def test_texts_of_ones_own_are_for_authors(gateway: Running, what: str, by: str) -> None:
    since = gateway.size
    answered = await gateway.operate(
        "POST", f"/api/policy/{what}", {"files": files(WIDER)}, by=by, check=False
    )
    assert (answered.status_code, answered.json()["code"]) == (403, "operator.role")
    assert gateway.entries("audit.replayed", since=since) == []


@pytest.mark.parametrize(
    ("body", "code"),
    [
        pytest.param({"files": {}}, "operator.body", id="no-file"),
        pytest.param({"files": {"a": 1}}, "operator.body", id="no-text"),
        pytest.param({"files": {"a": "x: ["}}, "policy.invalid", id="no-yaml"),
        pytest.param({"files": files(DESK + "  - {id: x}\n")}, "policy.invalid", id="no-rule"),
        pytest.param({"files": {f"{n}": "" for n in range(60)}}, "operator.body", id="too-many"),
        pytest.param({"last": 0}, "operator.body", id="none"),
        pytest.param({"last": 100_000}, "operator.body", id="all"),
        pytest.param({"digest": "x"}, "operator.body", id="unknown-member"),
    ],
)
async def test_what_is_no_draft_is_refused(
    gateway: Running, body: dict[str, Any], code: str
) -> None:
    since = gateway.size
    answered = await gateway.operate("POST", "/api/policy/replay", body, by=AUTHOR, check=False)
    assert answered.json()["code"] == code
    assert gateway.entries("audit.replayed", since=since) == []


async def test_calls_whose_words_are_gone_are_counted(gateway: Running) -> None:
    clerk = await gateway.agent()
    await clerk.call("desk.look", at="x" * 70_000)
    told = await asked(gateway, "replay", last=1)
    assert (told["looked"], told["unkept"]) == (0, 1)
