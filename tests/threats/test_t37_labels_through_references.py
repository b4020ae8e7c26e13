"""T37: what a reference stands for carries its labels, however it is passed on."""

from dataclasses import replace
from pathlib import Path

from audit.canonical import Json
from gateway.runs.given import value_of
from gateway.runs.reference import NAME
from gateway.runs.run import ROOT
from tests.gateway.links.http_upstream import answer, says
from tests.gateway.runs.hopping import POLICY, begin, hopping, step
from tests.harness.upstream import desk

LONG = "high water " * 500
MUCH: dict[str, Json] = {
    "content": [{"type": "text", "text": LONG}],
    "isError": False,
    "resultType": "complete",
}
REPORT: dict[str, Json] = {"path": "/data/reports/x"}
STRANGERS = POLICY.replace(
    "desk.open: {risk: read, emits: []}", "desk.open: {risk: read, emits: [untrusted]}"
)


async def test_t37_a_label_is_there_for_whoever_is_given_the_result(tmp_path: Path) -> None:
    async with desk() as upstream, hopping(tmp_path, {"desk": upstream}, STRANGERS) as (home, hop):
        run = await begin(hop)
        assert await hop.hand_on(run.id, ROOT, "1:helper", "helper") is None
        upstream.then = says(lambda heard: answer(heard, MUCH))
        read = replace(step(run, "2:open", "open"), args=REPORT, refers=1024)
        made = value_of(await hop.deliver(read))
        assert isinstance(made, dict)
        looked = await hop.deliver(step(run, "1:helper/1", "look", "1:helper", at=made))
        assert looked.status == "done"
        assert upstream.calls[-1].args == {"at": LONG}
        (kept,) = home.entries("memory.put")
        assert kept["labels"] == ["untrusted"]
        decided = home.entries("decision")[-1]
        assert decided["actor"]["agent"] == "helper"
        assert decided["facts"]["labels"] == ["untrusted"]


async def test_t37_a_reference_shows_no_more_than_its_run_has_labels_for(tmp_path: Path) -> None:
    """A second run in which nothing was read has neither the label nor the text."""
    async with desk() as upstream, hopping(tmp_path, {"desk": upstream}, STRANGERS) as (home, hop):
        first, second = await begin(hop), await begin(hop)
        upstream.then = says(lambda heard: answer(heard, MUCH))
        read = replace(step(first, "1:open", "open"), args=REPORT, refers=1024)
        made = value_of(await hop.deliver(read))
        assert isinstance(made, dict)
        for given in (made, {NAME: made[NAME]}):
            outcome = await hop.deliver(step(second, f"{len(given)}:look", "look", at=given))
            assert (outcome.status, outcome.code) == ("refused", "run.reference")
        assert [call.tool for call in upstream.calls] == ["open"]
        assert home.entries("session.open")[-1]["labels"] == []
