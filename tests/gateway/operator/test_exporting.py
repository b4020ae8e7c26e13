"""Exports: everything that a search finds, provable, on record, and no formula among it."""

import csv
import io
import json
from collections.abc import AsyncIterator
from hashlib import sha256
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from audit.note import Verifier
from audit.proof import Proof
from gateway.operator import exporting
from gateway.operator.export_form import ExportForm
from gateway.operator.exporting import Taken, _inert
from tests.harness.gateway import Running, running
from tests.harness.upstream import desk

loop = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    async with (
        desk() as upstream,
        running(tmp_path_factory.mktemp("gateway"), servers={"desk": upstream}) as found,
    ):
        clerk = await found.agent()
        for place in ("a", "b", "c"):
            await clerk.call("desk.look", at=place)
        yield found


async def taken(gateway: Running, q: str, form: ExportForm = "jsonl", by: str = "vera") -> str:
    body = {"q": q, "form": form}
    return (await gateway.operate("POST", "/api/audit/export", body, by=by)).text


def objects(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


@loop
async def test_each_line_is_the_entry_and_the_file_says_where_it_ends(gateway: Running) -> None:
    text = await taken(gateway, "kind:decision")
    head, *found, end = objects(text)
    assert head["query"] == "kind:decision"
    assert end == {"end": True, "entries": len(found), "more": False, "behind": 0}
    assert len(found) >= 3
    for line, each in zip(text.splitlines()[1:-1], found, strict=True):
        raw = line.encode().partition(b'{"entry":')[2].rpartition(b',"index":')[0]
        assert sha256(b"\x00" + raw).hexdigest() == each["leaf"]
        assert gateway.gateway.services.log.entry(each["index"]).raw == raw
        assert each["index"] < head["size"]


@loop
async def test_each_proof_leads_to_the_one_checkpoint(gateway: Running) -> None:
    head, *found, _ = objects(await taken(gateway, "kind:decision", "jsonl-proofs"))
    await taken(gateway, "kind:start")  # the log grows: the checkpoint stays the one of the file
    verifier = Verifier.parse(gateway.gateway.services.vkey)
    for each in found:
        checkpoint = Proof.parse(each["proof"]).verify(bytes.fromhex(each["leaf"]), verifier)
        assert checkpoint.size == head["size"]
        assert each["proof"].endswith(head["checkpoint"])


@loop
async def test_a_table_ends_with_the_checkpoint(gateway: Running) -> None:
    head, *found, end = list(csv.reader(io.StringIO(await taken(gateway, "", "csv"), newline="")))
    assert head[:3] == ["index", "time", "kind"]
    assert {len(row) for row in [*found, end]} == {len(head)}
    assert end[:3] == ["end", f"{len(found)} entries", "checkpoint"]
    Verifier.parse(gateway.gateway.services.vkey).open(end[3])
    assert "desk.look" in found[-1] + [cell for row in found for cell in row]


@loop
async def test_who_took_what_is_an_entry_and_what_they_looked_for_is_sealed(
    gateway: Running,
) -> None:
    await taken(gateway, "agent:clerk-0", "csv", by="omar")
    log = gateway.gateway.services.log
    index = max(each.index for each in log.entries() if each.body["kind"] == "audit.exported")
    entry = log.entry(index).body
    assert (entry["by"], entry["form"]) == ("operator:omar", "csv")
    assert entry["size"] <= index
    assert "clerk-0" not in json.dumps(entry)
    words = (await gateway.operate("GET", f"/api/audit/entries/{index}")).json()["words"]
    assert words == {"state": "open", "text": "agent:clerk-0"}


@loop
async def test_nothing_that_is_sealed_is_taken_along(gateway: Running) -> None:
    clerk = await gateway.agent()
    await clerk.call("desk.look", at="a-very-secret-place")
    for form in ("jsonl", "csv"):
        assert "a-very-secret-place" not in await taken(gateway, "", form)


@loop
@pytest.mark.parametrize(
    "body",
    [
        pytest.param({"q": "nobody:x"}, id="no-such-qualifier"),
        pytest.param({"q": '"open'}, id="not-closed"),
        pytest.param({"q": "x" * 2000}, id="too-long"),
        pytest.param({"form": "xlsx"}, id="no-such-form"),
        pytest.param({"q": 1}, id="no-text"),
        pytest.param({"path": "/etc"}, id="unknown-member"),
    ],
)
async def test_what_is_not_understood_takes_nothing(gateway: Running, body: dict[str, Any]) -> None:
    since = gateway.size
    answered = await gateway.operate("POST", "/api/audit/export", body, by="vera", check=False)
    assert answered.status_code == 400
    assert gateway.entries("audit.exported", since=since) == []


@loop
async def test_whoever_is_suspended_meanwhile_gets_a_file_that_is_cut_off(
    gateway: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = gateway.gateway.services
    operator = next(each for each in services.operators.all() if each.name == "vera")
    note = services.log.signed_checkpoint().decode()
    monkeypatch.setattr(exporting, "PAGE", 1)
    parts = exporting.lines(services, operator, Taken("", "jsonl", note, services.log.size))
    begun = [await anext(parts) for _ in range(3)]
    await gateway.operate("POST", "/api/users/vera/suspend", {"reason": "gone"})
    try:
        with pytest.raises(Exception, match="suspended"):
            await anext(parts)
    finally:
        await gateway.operate("POST", "/api/users/vera/resume", {"reason": "back"})
    assert b'"end":true' not in b"".join(begun)


@loop
async def test_a_long_export_says_that_there_is_more(
    gateway: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "PAGE", 1)
    monkeypatch.setattr(exporting, "MOST", 2)
    _, *found, end = objects(await taken(gateway, "kind:decision"))
    assert (len(found), end["more"]) == (2, True)


FORMULAS = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "|calc",
    "%x",
    "\t=1",
    "\r=1",
    " =1",
    "\uff1d1",
    "\u200b=1",
    "=\u0338",
    "=" + "\u0300" * 60,
]


@pytest.mark.parametrize("cell", FORMULAS)
def test_a_formula_is_no_formula(cell: str) -> None:
    assert _inert(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["clerk", "", "a=b", "7", "'x", "caf\u00e9"])
def test_other_cells_stay_as_they_are(cell: str) -> None:
    assert _inert(cell) == cell


@given(st.text(max_size=20))
def test_no_cell_begins_like_a_formula(text: str) -> None:
    assert not _inert(text).lstrip().startswith(("=", "+", "-", "@"))
