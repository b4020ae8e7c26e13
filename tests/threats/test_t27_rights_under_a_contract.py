"""T27: what a contract lends is never more than its giver has, whoever asks the gateway for it.

The code that carries a run may be anybody's: here it asks for whatever it likes.
"""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from gateway.identity import scopes
from gateway.runs import standing
from gateway.runs.hop import Hop
from gateway.runs.run import ROOT, Run
from tests.gateway.runs.hopping import begin, hopping, step
from tests.harness.gateway import Running
from tests.harness.upstream import Desk, desk

pytestmark = pytest.mark.asyncio(loop_scope="module")

PAY: dict[str, Any] = {"amount": 40, "to": "paper"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def opened(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[tuple[Running, Hop, Desk]]:
    folder: Path = tmp_path_factory.mktemp("lent")
    async with desk() as upstream, hopping(folder, {"desk": upstream}) as (gateway, hop):
        yield gateway, hop, upstream


@pytest_asyncio.fixture(loop_scope="module")
async def run(opened: tuple[Running, Hop, Desk]) -> Run:
    opened[2].forget()
    return await begin(opened[1])


async def lend(hop: Hop, run: Run, path: str, *tools: str, grant: str = ROOT) -> str:
    assert await hop.narrow(run.id, grant, path, tools) is None
    return path


async def test_t27_what_was_not_lent_is_denied_by_the_gate(
    opened: tuple[Running, Hop, Desk], run: Run
) -> None:
    _, hop, upstream = opened
    lent = await lend(hop, run, "1:work", "desk.look")
    outcome = await hop.deliver(step(run, "1:work/1:pay", "pay", lent, **PAY))
    assert (outcome.status, outcome.code) == ("denied", "policy.denied")
    assert (await hop.deliver(step(run, "1:work/2:look", "look", lent, at="x"))).status == "done"
    assert [call.tool for call in upstream.calls] == ["look"]


@pytest.mark.parametrize(
    "wanted",
    [
        pytest.param(("*",), id="everything"),
        pytest.param(("desk.*",), id="all-of-a-server"),
        pytest.param(("desk.look", "desk.pay"), id="one-more"),
        pytest.param(("desk.pay", "desk.look", "agents.flow"), id="others"),
    ],
)
async def test_t27_nothing_comes_back_by_lending_it_again(
    opened: tuple[Running, Hop, Desk], run: Run, wanted: tuple[str, ...]
) -> None:
    _, hop, upstream = opened
    lent = await lend(hop, run, "1:work", "desk.look")
    more = await lend(hop, run, "1:work/1:work", *wanted, grant=lent)
    assert hop.runs.get(run.id).grants[more].scopes == ("desk.look",)
    outcome = await hop.deliver(step(run, "1:work/1:work/1:pay", "pay", more, **PAY))
    assert outcome.status == "denied"
    assert upstream.calls == []


async def test_t27_a_grant_that_stands_is_not_replaced(
    opened: tuple[Running, Hop, Desk], run: Run
) -> None:
    _, hop, _ = opened
    lent = await lend(hop, run, "1:work", "desk.look")
    await lend(hop, run, lent, "desk.pay", "desk.look")
    assert hop.runs.get(run.id).grants[lent].scopes == ("desk.look",)
    await lend(hop, run, ROOT, "desk.look")
    assert hop.runs.get(run.id).grants[ROOT].scopes == scopes.ALL


async def test_t27_who_is_handed_the_work_has_no_more_than_was_lent(
    opened: tuple[Running, Hop, Desk], run: Run
) -> None:
    _, hop, upstream = opened
    lent = await lend(hop, run, "1:work", "desk.open")  # the edge lends nothing but desk.look
    refused = await hop.hand_on(run.id, lent, "1:work/1:helper", "helper")
    assert refused is not None
    assert refused.status == "denied"
    assert "1:work/1:helper" not in hop.runs.get(run.id).grants
    some = await lend(hop, run, "2:work", "desk.open", "desk.look")
    assert await hop.hand_on(run.id, some, "2:work/1:helper", "helper") is None
    outcome = await hop.deliver(step(run, "2:work/1:helper/1", "pay", "2:work/1:helper", **PAY))
    assert outcome.status == "denied"
    assert upstream.calls == []


@pytest.mark.parametrize(
    "tools",
    [
        pytest.param((), id="nothing"),
        pytest.param(("no tool",), id="no-tool"),
        pytest.param(("desk.l*",), id="a-pattern"),
        pytest.param(tuple(f"desk.{'t' * 120}{n}" for n in range(60)), id="too-long"),
    ],
)
async def test_t27_what_cannot_be_lent_makes_no_grant(
    opened: tuple[Running, Hop, Desk], run: Run, tools: tuple[str, ...]
) -> None:
    _, hop, _ = opened
    refused = await hop.narrow(run.id, ROOT, "1:work", tools)
    assert refused is not None
    assert (refused.status, refused.code) == ("denied", "run.contract")
    assert "1:work" not in hop.runs.get(run.id).grants


async def test_t27_a_run_does_not_lend_without_end(
    opened: tuple[Running, Hop, Desk], run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, hop, _ = opened
    monkeypatch.setattr(standing, "MOST_GRANTS", 3)
    for number in range(2):
        await lend(hop, run, f"{number}:work", "desk.look")
    refused = await hop.narrow(run.id, ROOT, "2:work", ("desk.look",))
    assert refused is not None
    assert refused.code == "run.contract"


async def test_t27_a_grant_hides_no_deed_from_who_takes_it_back(
    opened: tuple[Running, Hop, Desk], run: Run
) -> None:
    """Where work was handed on there is no deed; what a contract lends is no handing on."""
    _, hop, _ = opened
    await lend(hop, run, "1:pay", "desk.pay")
    assert (await hop.deliver(step(run, "1:pay", "pay", **PAY))).status == "done"
    assert not hop.runs.hands_on(run.id, "1:pay")
