"""The pages of runs: what each shows, to whom, and what may be done from there."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from cli.help import texts
from console.app import shown
from console.runs import tree
from tests.harness.console import Person, console, csrf_of, person
from tests.orchestration.house import Agents, House, flow, house, policy

pytestmark = pytest.mark.asyncio(loop_scope="module")

TELLS = {"emit": {"event": "drafted", "data": {"from": ""}}}
DRAFTS = {"contract": {"of": {"sequential": ["draft"]}, "tools": []}}
ASKS = {"sequential": ["draft", TELLS, {"approve": {"by": "editors", "question": "Out?"}}, "out"]}
WIDE = {"map": {"each": "draft", "over": "", "max_items": 300, "max_parallel": 64}}
HOSTILE = "</svg><script>alert(1)</script>\x1b[31m\u202e"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def home(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    def fails(_: Any) -> Any:  # noqa: ANN401 - an agent
        return {"handoff": HOSTILE}

    agents = Agents(
        draft=lambda given: ["a secret draft", given], out=lambda given: given, bad=fails
    )
    passes_on = {"handoff": {"start": "bad", "agents": {"bad": "bad"}, "edges": {}}}
    flows = [
        flow(ASKS),
        flow(WIDE, "wide", calls=400),
        flow(passes_on, "lost"),
        flow(DRAFTS, "bound"),
    ]
    text = flows_policy("draft", "out", "bad")
    folder = tmp_path_factory.mktemp("runs")
    async with house(folder, flows, agents, rules=text) as found:
        with shown(found.gateway.gateway, texts()):
            yield found


def flows_policy(*agents: str) -> str:
    """The policy of the house, for these flows."""
    text = policy(*agents, more="  wide: {}\n  lost: {}\n  bound: {}\n")
    return text.replace("agents: [job]", "agents: [job, wide, lost, bound]")


async def waiting(home: House, *, beside: str = "") -> tuple[str, str]:
    """A run that waits for people, and what for; all others but `beside` are over."""
    for run in home.hop.runs.all():
        if run.state in {"running", "paused"} and run.id != beside:
            await home.service.cancel(run.id, by="test")
            await home.ended(run)
    before = home.gateway.size
    run = await home.start(given=before)  # what people have denied once is not asked again
    await home.gateway.until(lambda: bool(home.gateway.entries("approval.asked", since=before)))
    return run.id, home.gateway.entries("approval.asked", since=before)[0]["approval"]


async def test_a_run_that_waits_says_for_whom_and_leads_there(home: House, vera: Person) -> None:
    run, request = await waiting(home)
    listed = (await vera.get("/runs")).text
    assert f'href="/runs/{run}"' in listed
    assert "for people" in listed
    page = (await vera.get(f"/runs/{run}")).text
    assert page.count(f'href="/approvals/{request}"') == 2
    assert "agents.draft" in page
    (told,) = home.hop.runs.progress.of(run)
    assert f'href="/audit/entries/{told.index}">drafted</a>' in page
    assert "a secret draft" not in page
    assert (await vera.get(f"/approvals/{request}")).status_code == 200
    await home.gateway.answer(request)
    await home.ended(home.hop.runs.get(run))
    done = (await vera.get(f"/runs/{run}")).text
    assert "agents.out" in done
    assert f"/approvals/{request}" not in done


@pytest.mark.parametrize("view", ["table", "graph", "time"])
async def test_each_view_shows_every_step(home: House, vera: Person, view: str) -> None:
    run, request = await waiting(home)
    page = await vera.get(f"/runs/{run}?view={view}")
    assert page.status_code == 200
    assert "draft" in page.text
    assert "approv" in page.text
    assert ("<svg" in page.text) == (view != "table")
    await home.gateway.answer(request, "deny")


async def test_steps_lead_to_their_entries(home: House, vera: Person) -> None:
    run = await home.ended(await home.start("wide", [1, 2]))
    taken = home.hop.runs.steps(run.id)
    page = (await vera.get(f"/runs/{run.id}")).text
    for step in taken.values():
        assert f'href="/audit/entries/{step.index}"' in page
        assert f'href="/audit/entries/{step.outcome}"' in page
        assert (await vera.get(f"/audit/entries/{step.index}")).status_code == 200


async def test_what_a_contract_lent_is_shown(home: House, vera: Person) -> None:
    run = await home.ended(await home.start("bound", 1))
    assert run.result == "done", run.detail
    page = (await vera.get(f"/runs/{run.id}")).text
    assert "Rights on the way" in page
    assert "<td>agents.draft</td>" in page.partition("Rights on the way")[2]


async def test_what_is_more_than_anybody_reads_is_shown_in_parts(
    home: House, vera: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree, "MOST_SHOWN", 10)
    run = await home.ended(await home.start("wide", list(range(13))))
    page = (await vera.get(f"/runs/{run.id}")).text
    assert page.count("<tr>") == 11
    assert "3 more" in page
    onwards = (await vera.get(f"/runs/{run.id}?first=10")).text
    assert onwards.count("<tr>") == 4
    for view in ("graph", "time"):
        assert 10 <= (await vera.get(f"/runs/{run.id}?view={view}")).text.count("<rect") <= 12
    assert "Nothing has been done" in (await vera.get(f"/runs/{run.id}?first=99999")).text


async def test_what_came_out_is_shown_to_whoever_asks_and_that_is_recorded(
    home: House, vera: Person
) -> None:
    run = await home.ended(await home.start("wide", [HOSTILE]))
    page = await vera.get(f"/runs/{run.id}")
    assert "a secret draft" not in page.text
    before = home.gateway.size
    told = await vera.send(page, f"/runs/{run.id}/output")
    assert "a secret draft" in told.text
    (opened,) = home.gateway.entries("audit.opened", since=before)
    assert (opened["opened"], opened["by"]) == (run.ended_at, "operator:vera")


async def test_what_a_run_says_of_itself_is_text(home: House, vera: Person) -> None:
    run = await home.ended(await home.start("lost"))
    assert run.result == "failed"
    for path in ("/runs", *(f"/runs/{run.id}?view={each}" for each in ("table", "graph", "time"))):
        page = (await vera.get(path)).text
        assert "<script>alert" not in page
        assert not set("\x1b\u202e") & set(page)


async def test_a_run_is_paused_resumed_and_cancelled(home: House, adam: Person) -> None:
    run, _ = await waiting(home)
    path = f"/runs/{run}"
    page = await adam.get(path)
    page = await adam.send(page, f"{path}/pause", back=path)
    assert home.hop.runs.get(run).state == "paused"
    page = await adam.send(page, f"{path}/resume", back=path)
    assert home.hop.runs.get(run).state == "running"
    page = await adam.send(page, f"{path}/cancel", back=path)
    assert (await home.ended(home.hop.runs.get(run))).result == "cancelled"
    (moved,) = [body for body in home.gateway.entries("run.cancelled") if body["run"] == run]
    assert moved["by"] == "operator:adam"
    again = await adam.post(f"{path}/cancel", {"csrf": csrf_of(page)})
    assert again.status_code == 409


async def test_a_fork_says_from_which_run_it_goes_on(home: House, adam: Person) -> None:
    first = await home.ended(await home.start("wide", [1, 2]))
    made = await home.gateway.operate("POST", f"/api/runs/{first.id}/fork", {"step": 1})
    fork = made.json()["id"]
    await home.ended(home.hop.runs.get(fork))
    assert f'href="/runs/{first.id}"' in (await adam.get(f"/runs/{fork}")).text


async def test_whoever_may_only_look_can_change_nothing(home: House, vera: Person) -> None:
    run, _ = await waiting(home)
    page = await vera.get(f"/runs/{run}")
    assert "Cancel this run" not in page.text
    assert "Start a run" not in (await vera.get("/runs")).text
    for action in (*(f"/runs/{run}/{act}" for act in ("pause", "resume", "cancel")), "/runs/start"):
        sent = await vera.post(action, {"csrf": csrf_of(page), "flow": "job"})
        assert sent.status_code == 403
    assert home.hop.runs.get(run).state == "running"


@pytest.mark.parametrize("act", ["cancel", "pause", "output", "start"])
async def test_a_form_of_somebody_else_does_nothing(home: House, adam: Person, act: str) -> None:
    run, _ = await waiting(home)
    action = "/runs/start" if act == "start" else f"/runs/{run}/{act}"
    before = home.gateway.size
    assert (await adam.post(action, {"flow": "job"})).status_code == 403
    token = csrf_of(await adam.get("/runs"))
    elsewhere = await adam.post(
        action, {"csrf": token, "flow": "job"}, origin="http://evil.example"
    )
    assert elsewhere.status_code == 403
    assert {body["kind"] for body in home.gateway.entries(since=before)} <= {"refusal"}


async def test_a_run_is_started_from_the_page(home: House, adam: Person) -> None:
    page = await adam.get("/runs")
    begun = await adam.send(page, "/runs/start", flow="wide", input="[1]", key="mine")
    run = begun.url.path.removeprefix("/runs/")
    assert (await home.ended(home.hop.runs.get(run))).by == "operator:adam"
    again = await adam.send(page, "/runs/start", flow="wide", input="[1]", key="mine")
    assert again.url.path == begun.url.path


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        pytest.param({"flow": "nothing"}, 404, id="no-such-flow"),
        pytest.param({"flow": ""}, 404, id="no-flow"),
        pytest.param({"flow": "wide", "input": "{"}, 400, id="no-json"),
        pytest.param({"flow": "wide", "input": '{"a":1,"a":2}'}, 400, id="key-twice"),
        pytest.param({"flow": "wide", "key": "x" * 201}, 400, id="long-key"),
    ],
)
async def test_what_cannot_be_started_is_refused(
    home: House, adam: Person, fields: dict[str, str], status: int
) -> None:
    token = csrf_of(await adam.get("/runs"))
    before = home.gateway.size
    sent = await adam.post("/runs/start", {"csrf": token, **fields})
    assert sent.status_code == status, sent.text
    assert home.gateway.entries("run.started", since=before) == []


@pytest.mark.parametrize(
    ("path", "status"),
    [
        pytest.param("/runs/nothing", 404, id="no-such-run"),
        pytest.param("/runs/%3Cscript%3E", 404, id="markup"),
        pytest.param("/runs/RUN?view=everything", 400, id="no-such-view"),
        pytest.param("/runs/RUN?first=x", 400, id="no-number"),
        pytest.param("/runs?first=-7", 200, id="below-the-first"),
        pytest.param("/runs/RUN?at=%3Cscript%3E&first=-1", 200, id="no-such-part"),
        pytest.param("/events/runs/nothing", 404, id="no-such-stream"),
    ],
)
async def test_an_address_that_leads_nowhere(
    home: House, vera: Person, path: str, status: int
) -> None:
    run = await home.ended(await home.start("wide", []))
    page = await vera.get(path.replace("RUN", run.id))
    assert page.status_code == status
    assert "<script>" not in page.text


async def test_an_open_page_hears_of_its_run_and_of_no_other(home: House, vera: Person) -> None:
    run, request = await waiting(home)
    other, _ = await waiting(home, beside=run)
    after = home.gateway.size
    url = f"{vera.url}/events/runs/{run}?after={after}"
    async with vera.http.stream("GET", url) as answer, asyncio.timeout(20):
        await home.gateway.answer(request)
        lines = [line async for line in answer.aiter_lines()]
    text = "\n".join(lines)
    assert "4:out" in text
    assert other not in text
    assert "1:draft" not in text


async def test_nobody_hears_without_a_session(home: House) -> None:
    run, _ = await waiting(home)
    answered = await home.gateway.http.get(f"{home.gateway.operators_url}/events/runs/{run}")
    assert (answered.status_code, answered.headers["hx-redirect"]) == (401, "/login")


async def test_a_gateway_without_flows_says_where_they_stand(tmp_path: Path) -> None:
    async with console(tmp_path) as gateway, person(gateway, "adam") as adam:
        page = await adam.get("/runs")
        assert "Flows stand under" in page.text
        token = csrf_of(page)
        assert (await adam.post("/runs/start", {"csrf": token, "flow": "x"})).status_code == 404


async def test_a_task_that_an_agent_gave_is_shown_like_any_run(home: House, vera: Person) -> None:
    agent = await home.gateway.agent("job")
    token = (agent.token or "").encode()
    caller = home.gateway.gateway.services.tokens.check(token, home.hop.now_s)
    run = await home.ended(await home.service.invoke("draft", "x", caller=caller, key=None))
    page = await vera.get(f"/runs/{run.id}")
    assert page.status_code == 200
    assert "agents.draft" in page.text
    assert "agent:job" in page.text
