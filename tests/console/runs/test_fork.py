"""The page to fork a run from: which step is meant, who may, and what it says when it cannot."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from cli.help import texts
from console.app import shown
from gateway.operator.run_rows import steps
from gateway.runs.run import Run
from tests.harness.console import Person, csrf_of, said
from tests.orchestration.house import HEAD, Agents, House, flow, house

pytestmark = pytest.mark.asyncio(loop_scope="module")

ASKS = {"sequential": ["a", {"approve": {"by": "editors", "question": "Go on?"}}, "b"]}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def home(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    agents = Agents(a=lambda given: [given, "a"], b=lambda given: [given, "b"])
    two = flow({"sequential": ["a", "b"]}, "two")
    async with house(tmp_path_factory.mktemp("fork"), [flow(ASKS), two], agents, POLICY) as found:
        with shown(found.gateway.gateway, texts()):
            yield found


POLICY = (
    HEAD
    + """\
agents:
  job: {}
  two: {}
tools:
  agents.a: {risk: write, emits: []}
  agents.b: {risk: write, emits: []}
  approvals.editors: {risk: write, emits: []}
rules:
  - {id: reaches, agents: [job, two], tools: [agents.a, agents.b], effect: allow}
  - {id: asks, agents: [job], tools: [approvals.editors], effect: ask, approval: one-person}
"""
)


async def done(home: House) -> Run:
    return await home.ended(await home.start("two", "x"))


def decided(home: House, run: Run, number: int) -> str:
    """The entry of the decision of a step, as the form names it."""
    return str(steps(home.hop.runs, run.id)[number - 1][1].index)


async def test_a_run_is_forked_from_the_step_that_was_picked(home: House, adam: Person) -> None:
    run = await done(home)
    page = await adam.get(f"/runs/{run.id}")
    assert f'href="/runs/{run.id}/fork"' in page.text
    page = await adam.get(f"/runs/{run.id}/fork")
    forked = await adam.send(page, f"/runs/{run.id}/fork", step=decided(home, run, 2))
    fork = await home.ended(home.hop.runs.get(forked.url.path.removeprefix("/runs/")))
    assert (fork.by, fork.result) == ("operator:adam", "done")
    assert fork.forked is not None
    assert (fork.forked.run, fork.forked.at) == (run.id, "2:b")
    assert home.hop.kept.output(fork) == [["x", "a"], "b"]


async def test_the_step_is_given_what_was_written_instead(home: House, adam: Person) -> None:
    run = await done(home)
    page = await adam.get(f"/runs/{run.id}/fork")
    fields = {"step": decided(home, run, 2), "instead": ' {"n": 1} '}
    forked = await adam.send(page, f"/runs/{run.id}/fork", **fields)
    fork = await home.ended(home.hop.runs.get(forked.url.path.removeprefix("/runs/")))
    assert home.hop.kept.output(fork) == [{"n": 1}, "b"]


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        pytest.param({}, 409, id="no-step"),
        pytest.param({"step": "1"}, 409, id="another-entry"),
        pytest.param({"step": "-1"}, 409, id="negative"),
        pytest.param({"step": "STEP", "instead": "{"}, 400, id="no-json"),
        pytest.param({"step": "STEP", "instead": '{"a":1,"a":2}'}, 400, id="key-twice"),
        pytest.param({"step": "STEP", "instead": "9" * 50_000}, 400, id="long"),
    ],
)
async def test_what_cannot_be_forked_is_refused_in_a_page(
    home: House, adam: Person, fields: dict[str, str], status: int
) -> None:
    run = await done(home)
    page = await adam.get(f"/runs/{run.id}/fork")
    sent = {name: value.replace("STEP", decided(home, run, 1)) for name, value in fields.items()}
    before = home.gateway.size
    refused = await adam.send(page, f"/runs/{run.id}/fork", **sent)
    assert refused.status_code == status
    assert "Not done" in said(refused)
    assert home.gateway.entries("run.started", since=before) == []


async def test_a_question_that_waits_is_no_step_yet(home: House, adam: Person) -> None:
    run = await home.start("job", home.gateway.size)
    await home.gateway.until(lambda: bool(home.gateway.entries("approval.asked")))
    asked = home.gateway.entries("approval.asked")[-1]
    page = await adam.get(f"/runs/{run.id}/fork")
    assert page.text.count('type="radio"') == 1
    at = str(home.gateway.gateway.services.state.approvals.get(asked["approval"]).index)  # type: ignore[union-attr]  # it is there
    refused = await adam.send(page, f"/runs/{run.id}/fork", step=at)
    assert (refused.status_code, "look again" in refused.text) == (409, True)


async def test_only_administrators_fork(home: House, vera: Person) -> None:
    run = await done(home)
    page = await vera.get(f"/runs/{run.id}/fork")
    assert (page.status_code, 'type="radio"' in page.text) == (200, False)
    before = home.gateway.size
    fields = {"csrf": csrf_of(page), "step": decided(home, run, 1)}
    assert (await vera.post(f"/runs/{run.id}/fork", fields)).status_code == 403
    assert {body["kind"] for body in home.gateway.entries(since=before)} <= {"refusal"}


async def test_a_form_of_somebody_else_forks_nothing(home: House, adam: Person) -> None:
    run = await done(home)
    action, step = f"/runs/{run.id}/fork", decided(home, run, 1)
    before = home.gateway.size
    token = csrf_of(await adam.get(action))
    assert (await adam.post(action, {"step": step})).status_code == 403
    assert (await adam.post(action, {"step": step, "csrf": "x" * len(token)})).status_code == 403
    elsewhere = {"csrf": token, "step": step}
    assert (await adam.post(action, elsewhere, origin="http://evil.example")).status_code == 403
    assert {body["kind"] for body in home.gateway.entries(since=before)} <= {"refusal"}


async def test_a_run_that_is_not_there_is_not_forked(adam: Person) -> None:
    token = csrf_of(await adam.get("/runs"))
    assert (await adam.get("/runs/nothing/fork")).status_code == 404
    assert (await adam.post("/runs/nothing/fork", {"csrf": token})).status_code == 404
