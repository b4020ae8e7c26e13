"""The page to take a run back from: what it foretells, what is confirmed, and what is refused."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from cli.help import texts
from console.app import shown
from gateway.notices.hooks import EVENTS
from gateway.runs.run import Run
from tests.gateway.undo.test_taking_back import Bank
from tests.harness.console import console, csrf_of, person, said
from tests.orchestration.house import House, flow, house
from tests.orchestration.test_rollback import ASK, BOOK, INNER, PAY, POLICY

pytestmark = pytest.mark.asyncio

CONFIRM = "take it back"
BURN = {"tool": {"name": "desk.burn", "args": {"what": "papers"}}}
BURNING = POLICY.replace(
    "rules:\n", "  desk.burn: {risk: irreversible, emits: []}\nrules:\n"
).replace("tools: [desk.pay,", "tools: [desk.burn, desk.pay,")


@asynccontextmanager
async def paid(
    folder: Path, *steps: object, rules: str = POLICY
) -> AsyncIterator[tuple[House, Bank]]:
    """A gateway whose flow does these steps, with its pages."""
    flows = [flow({"sequential": [*steps]}), INNER]
    async with Bank() as bank, house(folder, flows, rules=rules, servers={"desk": bank}) as home:
        with shown(home.gateway.gateway, texts()):
            yield home, bank


def place(run: Run) -> str:
    return f"/runs/{run.id}/rollback"


def seen(page_text: str) -> str:
    return page_text.split('name="seen" value="')[1].partition('"')[0]


async def rests(home: House, run: Run) -> None:
    rollbacks = home.gateway.gateway.services.state.rollbacks
    await home.gateway.until(lambda: rollbacks.of(run.session).state != "running")  # type: ignore[union-attr]  # it was ordered


async def test_what_would_be_done_is_shown_then_confirmed_then_done(tmp_path: Path) -> None:
    async with (
        paid(tmp_path, PAY, "inner", PAY) as (home, bank),
        person(home.gateway, "adam") as adam,
    ):
        run = await home.ended(await home.start())
        assert f'href="{place(run)}"' in (await adam.get(f"/runs/{run.id}")).text
        page = await adam.get(place(run))
        text = said(page)
        order = [text.index(name) for name in ("1. desk.pay", "2. desk.book", "3. desk.pay")]
        assert order == sorted(order)
        assert "Calls 3 " in text
        assert "desk.free" in text
        assert "need a person" not in text
        assert home.gateway.entries("rollback.started") == []
        await adam.send(page, place(run), seen=seen(page.text), word=CONFIRM)
        await rests(home, run)
        assert [name for name, _ in bank.made[3:]] == ["refund", "free", "refund"]
        done = said(await adam.get(place(run)))
        assert done.count("undone") == 3
        assert "operator:adam" in done
        assert "Taken back" in said(await adam.get(f"/runs/{run.id}"))


async def test_what_is_irreversible_is_foretold_and_left_by_a_person(tmp_path: Path) -> None:
    steps = (BOOK, BURN)
    async with (
        paid(tmp_path, *steps, rules=BURNING.replace("agents: [job, inner]", "agents: [job]")) as (
            home,
            bank,
        ),
        person(home.gateway, "adam") as adam,
    ):
        run = await home.ended(await home.start())
        page = await adam.get(place(run))
        assert "nothing: irreversible" in page.text
        assert "2, of which 1 need a person" in said(page)
        page = await adam.send(page, place(run), seen=seen(page.text), word=CONFIRM)
        await rests(home, run)
        page = await adam.get(place(run))
        assert "nothing takes desk.burn back" in page.text
        assert "Taking back has stopped" in said(await adam.get("/"))
        told = home.gateway.gateway.services.state.notices.next("pager", EVENTS)
        assert told is not None
        assert told.kind == "rollback.stopped"
        refused = await adam.send(page, place(run), seen=seen(page.text), leave="yes")
        assert (refused.status_code, "expected the reason" in refused.text.lower()) == (400, True)
        fields = {"seen": seen(page.text), "leave": "yes", "reason": "written off"}
        await adam.send(page, place(run), **fields)
        await rests(home, run)
        assert bank.made[-1] == ("free", {"room": "r1"})
        assert " left" in said(await adam.get(place(run)))


async def test_a_call_whose_answer_was_lost_is_told_apart(tmp_path: Path) -> None:
    async with paid(tmp_path, PAY) as (home, bank), person(home.gateway, "adam") as adam:
        bank.loses.add("pay")
        run = await home.ended(await home.start())
        text = said(await adam.get(place(run)))
        assert "? unknown" in text.replace("\u00a0", " ")
        assert "nobody knows whether desk.pay acted" in text


async def test_it_is_not_taken_back_while_it_is_under_way(tmp_path: Path) -> None:
    async with paid(tmp_path, PAY, ASK, PAY) as (home, bank), person(home.gateway, "adam") as adam:
        run = await home.start()
        await home.gateway.until(lambda: bool(home.gateway.entries("approval.asked")))
        page = await adam.get(place(run))
        assert "Cancel it first" in said(page)
        assert "<form" not in page.text.partition("<main")[2].partition("</main")[0]
        fields = {"csrf": csrf_of(page), "seen": "", "word": CONFIRM}
        refused = await adam.post(place(run), fields)
        assert (refused.status_code, "run.state" in refused.text) == (409, True)
        assert home.hop.runs.get(run.id).state == "running"
        assert [name for name, _ in bank.made] == ["pay"]


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        pytest.param({}, 400, "operator.body", id="not-confirmed"),
        pytest.param({"word": "yes"}, 400, "operator.body", id="half-confirmed"),
        pytest.param({"seen": "", "word": CONFIRM}, 409, "rollback.changed", id="nothing-seen"),
        pytest.param({"seen": "0" * 64, "word": CONFIRM}, 409, "rollback.changed", id="else-seen"),
        pytest.param({"word": CONFIRM, "reason": "x" * 501}, 400, "operator.body", id="long"),
        pytest.param(
            {"word": CONFIRM, "leave": "yes", "reason": "x"}, 409, "rollback.state", id="leave"
        ),
        pytest.param({"word": CONFIRM, "csrf": "x"}, 403, "operator.csrf", id="another-csrf"),
    ],
)
async def test_nothing_is_taken_back_by_accident(
    tmp_path: Path, fields: dict[str, str], status: int, code: str
) -> None:
    async with paid(tmp_path, PAY) as (home, bank), person(home.gateway, "adam") as adam:
        run = await home.ended(await home.start())
        page = await adam.get(place(run))
        sent = {"csrf": csrf_of(page), "seen": seen(page.text), **fields}
        refused = await adam.post(place(run), sent)
        assert (refused.status_code, code in refused.text) == (status, True)
        assert "Not done" in said(refused)
        assert home.gateway.entries("rollback.started") == []
        assert [name for name, _ in bank.made] == ["pay"]


async def test_a_page_that_is_out_of_date_orders_nothing(tmp_path: Path) -> None:
    async with (
        paid(tmp_path, BOOK, BURN, BURN, rules=BURNING) as (home, bank),
        person(home.gateway, "adam") as adam,
    ):
        run = await home.ended(await home.start())
        first = await adam.get(place(run))
        await adam.send(first, place(run), seen=seen(first.text), word=CONFIRM)
        await rests(home, run)
        again = await adam.send(first, place(run), seen=seen(first.text), word=CONFIRM)
        assert (again.status_code, "rollback.changed" in again.text) == (409, True)
        stopped = await adam.get(place(run))
        leave = {"leave": "yes", "reason": "gone", "seen": seen(stopped.text)}
        await adam.send(stopped, place(run), **leave)
        await rests(home, run)
        stale = await adam.send(stopped, place(run), **leave)
        assert (stale.status_code, "rollback.changed" in stale.text) == (409, True)
        assert [name for name, _ in bank.made] == ["book", "burn", "burn"]
        assert len(home.gateway.entries("rollback.resumed")) == 1


async def test_only_administrators_take_back(tmp_path: Path) -> None:
    async with paid(tmp_path, PAY) as (home, bank), person(home.gateway, "vera") as vera:
        run = await home.ended(await home.start())
        page = await vera.get(place(run))
        assert (page.status_code, "Take it back" in page.text) == (200, False)
        fields = {"csrf": csrf_of(page), "word": CONFIRM, "seen": "x"}
        assert (await vera.post(place(run), fields)).status_code == 403
        assert home.gateway.entries("rollback.started") == []
        assert len(bank.made) == 1


async def test_a_form_of_somebody_else_takes_nothing_back(tmp_path: Path) -> None:
    async with paid(tmp_path, PAY) as (home, _), person(home.gateway, "adam") as adam:
        run = await home.ended(await home.start())
        page = await adam.get(place(run))
        fields = {"seen": seen(page.text), "word": CONFIRM}
        assert (await adam.post(place(run), fields)).status_code == 403
        for origin in ("http://evil.example", "null", None):
            sent = {"csrf": csrf_of(page), **fields}
            assert (await adam.post(place(run), sent, origin=origin)).status_code == 403
        assert home.gateway.entries("rollback.started") == []


async def test_a_run_that_is_not_there_has_no_such_page(tmp_path: Path) -> None:
    async with console(tmp_path) as gateway, person(gateway, "adam") as adam:
        assert (await adam.get("/runs/nothing/rollback")).status_code == 404
        token = csrf_of(await adam.get("/runs"))
        assert (await adam.post("/runs/nothing/rollback", {"csrf": token})).status_code == 404
