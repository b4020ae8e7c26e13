import asyncio
import shutil
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from audit.canonical import Json
from gateway.errors import StateAhead
from gateway.state import State
from gateway.store.view import Change
from tests.gateway.rooms import KEY, ONE_PERSON, Call, House, rows, settle


async def something(house: House, times: int = 1) -> None:
    """Entries that change several rooms."""
    for _ in range(times):
        session = await house.openings.by_agent("clerk", None)
        request = await house.answer(await house.ask(KEY, ONE_PERSON), "omar")
        await house.decide(Call(house.recorder.new_id(), KEY, emits=("web",)))
        if house.approvals.claim(request, call_id := house.recorder.new_id()):
            await house.decide(Call(call_id, KEY, effect="ask"), approval=request.id)
        await house.sessions.end(session.id, by="agent:clerk")


@pytest.fixture
def again(house: House) -> Iterator[list[House]]:
    """Houses that a test opens after the first; closed at its end."""
    opened: list[House] = []
    yield opened
    for each in opened:
        each.close()


# -- a start --------------------------------------------------------------------------------


@pytest.mark.parametrize("saved", [0, 1, 2], ids=["never", "halfway", "at-the-end"])
async def test_a_start_finds_what_was_there(house: House, again: list[House], saved: int) -> None:
    for n in range(2):
        await something(house)
        if n < saved:
            await house.keeper.save()
    before = rows(house)
    again.append(house.reopen())
    assert rows(again[0]) == before


async def test_rows_that_other_code_has_made_are_made_anew(
    house: House, again: list[House]
) -> None:
    await something(house)
    await house.keeper.save()
    before = rows(house)
    with house.view.engine.begin() as connection:  # as a room wrote them that folds otherwise now
        connection.execute(text("UPDATE state SET row = '{}'"))
    again.append(house.reopen(code="tomorrow's"))
    assert rows(again[0]) == before
    await again[0].keeper.save()
    again.append(again[0].reopen(code="tomorrow's"))
    assert rows(again[1]) == before


async def test_an_old_log_is_refused_by_other_code_too(house: House) -> None:
    await something(house)
    copy = shutil.copytree(house.folder / "log", house.folder / "old")
    await something(house)
    await house.keeper.save()
    house.close()
    shutil.rmtree(house.folder / "log")
    copy.rename(house.folder / "log")
    with pytest.raises(StateAhead):
        House.open(house.folder, house.clock, code="tomorrow's")


async def test_without_its_view_a_start_reads_the_whole_log(
    house: House, again: list[House]
) -> None:
    await something(house, 3)
    await house.keeper.save()
    before = rows(house)
    house.close()
    for file in house.folder.glob("state.db*"):
        file.unlink()
    again.append(House.open(house.folder, house.clock))
    assert rows(again[0]) == before


async def test_a_start_reads_only_what_its_view_has_not(
    house: House, again: list[House], monkeypatch: pytest.MonkeyPatch
) -> None:
    await something(house)
    await house.keeper.save()
    size = house.log.size
    await something(house)
    read: list[int] = []
    apply = State.apply

    def watched(state: State, index: int, leaf: str, body: Mapping[str, Json]) -> None:
        read.append(index)
        apply(state, index, leaf, body)

    monkeypatch.setattr(State, "apply", watched)
    again.append(house.reopen())
    assert read == list(range(size, house.log.size))


# -- a log that is not the one the view was made from ---------------------------------------


async def put_back(house: House, *, saved: bool = True) -> None:
    """Let the house live on after a copy of its log was taken, then put the old log back."""
    await something(house)
    copy = house.folder / "old"
    shutil.copytree(house.folder / "log", copy)
    await something(house)
    if saved:
        await house.keeper.save()
    house.close()
    shutil.rmtree(house.folder / "log")
    copy.rename(house.folder / "log")


async def test_an_old_log_put_back_refuses_to_start(house: House) -> None:
    await put_back(house)
    with pytest.raises(StateAhead, match="entries and the log holds") as caught:
        House.open(house.folder, house.clock)
    assert caught.value.code == "state.ahead"


async def test_an_old_log_that_grew_past_the_view_refuses_to_start(house: House) -> None:
    await put_back(house)
    elsewhere = house.folder / "elsewhere"
    elsewhere.mkdir()
    shutil.move(house.folder / "log", elsewhere / "log")
    other = House.open(elsewhere, house.clock)
    await something(other, 5)
    other.close()
    shutil.move(elsewhere / "log", house.folder / "log")
    with pytest.raises(StateAhead, match="not the one"):
        House.open(house.folder, house.clock)


async def test_a_log_that_is_gone_refuses_to_start(house: House) -> None:
    await something(house)
    await house.keeper.save()
    house.close()
    shutil.rmtree(house.folder / "log")
    with pytest.raises(StateAhead):
        House.open(house.folder, house.clock)


async def test_an_old_view_put_back_revives_nothing(house: House, again: list[House]) -> None:
    await something(house)
    await house.keeper.save()
    with house.view.engine.begin() as connection:
        connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
    shutil.copy(house.folder / "state.db", house.folder / "old.db")
    await something(house)
    before = rows(house)
    house.close()
    for file in house.folder.glob("state.db*"):
        file.unlink()
    shutil.move(house.folder / "old.db", house.folder / "state.db")
    again.append(House.open(house.folder, house.clock))
    assert rows(again[0]) == before


@settings(max_examples=15)
@given(st.lists(st.sampled_from(["something", "save", "crash"]), max_size=8))
def test_whenever_it_is_saved_and_however_often_it_crashes_nothing_is_lost(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str]
) -> None:
    asyncio.run(walk(tmp_path_factory.mktemp("walk"), steps))


async def walk(folder: Path, steps: Sequence[str]) -> None:
    house = House.open(folder)
    for step in steps:
        if step == "something":
            await something(house)
        elif step == "save":
            await house.keeper.save()
        else:
            before = rows(house)
            house = house.reopen()
            assert rows(house) == before
    house.close()


# -- saving ---------------------------------------------------------------------------------


async def test_a_save_that_fails_is_made_up_for_by_the_next(
    house: House, again: list[House]
) -> None:
    await something(house)
    with house.view.engine.begin() as connection:
        connection.execute(text("ALTER TABLE state RENAME TO hidden"))
    with pytest.raises(OperationalError):
        await house.keeper.save()
    with house.view.engine.begin() as connection:
        connection.execute(text("ALTER TABLE hidden RENAME TO state"))
    await house.keeper.save()
    assert house.view.applied()[0] == house.log.size
    before = rows(house)
    again.append(house.reopen())
    assert rows(again[0]) == before


async def test_saves_do_not_overlap_even_when_one_is_given_up(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await something(house)
    may_end, sizes = threading.Event(), []
    save = house.view.save

    def slow(changes: Sequence[Change], *, size: int, leaf: str) -> None:
        may_end.wait(10)
        save(changes, size=size, leaf=leaf)
        sizes.append(size)

    monkeypatch.setattr(house.view, "save", slow)
    first = asyncio.create_task(house.keeper.save())
    await settle()
    first.cancel()
    await settle()
    await something(house)
    second = asyncio.create_task(house.keeper.save())
    await settle()
    assert not first.done()  # its thread cannot be stopped
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await first
    await second
    assert sizes == sorted(sizes)
    assert house.view.applied()[0] == sizes[-1] == house.log.size


async def test_nothing_new_is_nothing_to_save(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await something(house)
    await house.keeper.save()
    monkeypatch.setattr(house.view, "save", None)  # would fail if it were called
    await house.keeper.save()


# -- a fold that fails ----------------------------------------------------------------------


async def test_a_state_that_missed_an_entry_confirms_nothing_any_more(house: House) -> None:
    await something(house)
    entries = list(house.log.entries())
    assert house.epoch.confirmed(house.recorder.now())
    before = house.epoch.value
    with pytest.raises(AssertionError):
        house.keeper.follow(entries[-1:])
    assert house.epoch.value > before
    assert not house.epoch.confirmed(house.recorder.now())
