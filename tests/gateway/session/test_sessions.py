import asyncio
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.errors import AuditUnavailable
from gateway.errors import SessionEnded
from gateway.principal import Principal
from gateway.session.opening import LIFETIME_S
from gateway.session.session import Session
from gateway.session.sessions import MEMORY_S, TOUCHED_EVERY_S
from gateway.store.row import from_row, to_row
from tests.gateway.rooms import KEY, Call, House


def principal(session: Session) -> Principal:
    call = Call("", replace(KEY, session=session.id, agent=session.agent, user=session.user))
    return call.principal


async def touch(house: House, session: Session, *labels: str) -> None:
    """A call in this session whose tool emits `labels`, as the gate records it."""
    key = replace(KEY, session=session.id)
    call = Call(house.recorder.new_id(), key, emits=labels)
    await house.end(call, await house.decide(call))


def labels(house: House, session: Session) -> frozenset[str]:
    return house.sessions.live(principal(session), house.now_s).labels


# -- who may act in one ---------------------------------------------------------------------


async def test_a_session_is_there_when_its_opening_returns(house: House) -> None:
    session = await house.openings.clean("clerk", "ana", by="operator:omar")
    assert house.sessions.live(principal(session), house.now_s) == session
    assert session.ends - session.opened == LIFETIME_S
    (body,) = house.bodies("session.open")
    assert (body["by"], body["own"], body["labels"]) == ("operator:omar", False, [])


@pytest.mark.parametrize(
    "stranger",
    [
        pytest.param({"session": "none"}, id="no-such-session"),
        pytest.param({"agent": "scout"}, id="another-agent"),
        pytest.param({"user": None}, id="nobody's"),
        pytest.param({"user": "omar"}, id="another-user's"),
    ],
)
async def test_a_session_is_nobody_elses(house: House, stranger: dict[str, str | None]) -> None:
    session = await house.openings.clean("clerk", "ana", by="operator:omar")
    with pytest.raises(SessionEnded):
        house.sessions.live(replace(principal(session), **stranger), house.now_s)  # type: ignore[arg-type]  # by name


async def test_nothing_is_done_in_an_ended_session(house: House) -> None:
    session = await house.openings.clean("clerk", None, by="operator:omar")
    await house.sessions.end(session.id, by="operator:omar")
    with pytest.raises(SessionEnded):
        house.sessions.live(principal(session), house.now_s)
    assert house.revocations.revoked(principal(session))


async def test_a_session_ends_by_itself_to_the_second(house: House) -> None:
    session = await house.openings.clean("clerk", None, by="operator:omar")
    house.sessions.live(principal(session), session.ends - 1)
    with pytest.raises(SessionEnded):
        house.sessions.live(principal(session), session.ends)


async def test_ending_what_was_never_opened_changes_nothing(house: House) -> None:
    await house.sessions.end("none", by="operator:omar")
    assert house.sessions.all() == ()


async def test_a_session_that_cannot_be_recorded_is_not_opened(house: House) -> None:
    house.log.close_now()
    with pytest.raises(AuditUnavailable):
        await house.openings.by_agent("clerk", None)
    assert house.sessions.all() == ()


# -- labels ---------------------------------------------------------------------------------


async def test_a_label_is_put_on_before_anything_is_forwarded(house: House) -> None:
    session = await house.openings.clean("clerk", None, by="operator:omar")
    call = Call(house.recorder.new_id(), replace(KEY, session=session.id), emits=("untrusted",))
    await house.decide(call)
    assert labels(house, session) == {"untrusted"}


async def test_what_comes_back_may_add_labels(house: House) -> None:
    session = await house.openings.clean("clerk", None, by="operator:omar")
    call = Call(
        house.recorder.new_id(), replace(KEY, session=session.id), emits=("web",), labels=("pii",)
    )
    await house.end(call, await house.decide(call))
    assert labels(house, session) == {"web", "pii"}


@pytest.mark.parametrize("effect", ["deny", "ask"])
async def test_a_call_that_is_not_authorised_puts_nothing_on(house: House, effect: str) -> None:
    session = await house.openings.clean("clerk", None, by="operator:omar")
    call = Call(house.recorder.new_id(), replace(KEY, session=session.id), emits=("untrusted",))
    call.effect = effect  # type: ignore[assignment]  # one of the three
    await house.decide(call)
    assert labels(house, session) == frozenset()


async def test_a_session_that_an_agent_opens_keeps_what_its_last_ones_touched(
    house: House,
) -> None:
    first = await house.openings.clean("clerk", None, by="operator:omar")
    await touch(house, first, "web")
    await house.sessions.end(first.id, by="agent:clerk")
    second = await house.openings.by_agent("clerk", None)
    assert second.labels == {"web"}
    third = await house.openings.by_agent("clerk", None)
    assert third.labels == {"web"}


async def test_another_agent_or_user_inherits_nothing(house: House) -> None:
    await touch(house, await house.openings.by_agent("clerk", None), "web")
    assert (await house.openings.by_agent("scout", None)).labels == frozenset()
    assert (await house.openings.by_agent("clerk", "ana")).labels == frozenset()


async def test_a_clean_session_is_clean_and_stays_so(house: House) -> None:
    own = await house.openings.by_agent("clerk", None)
    await touch(house, own, "web")
    clean = await house.openings.clean("clerk", None, by="operator:omar")
    await touch(house, own, "pii")
    assert labels(house, clean) == frozenset()


async def test_opening_sessions_in_advance_is_no_way_to_be_rid_of_a_label(house: House) -> None:
    reading = await house.openings.by_agent("clerk", None)
    acting = await house.openings.by_agent("clerk", None)
    await touch(house, reading, "web")
    assert labels(house, acting) == {"web"}


async def test_a_label_put_on_while_a_session_is_opened_is_inherited(house: House) -> None:
    first = await house.openings.clean("clerk", None, by="operator:omar")
    touching = asyncio.create_task(touch(house, first, "web"))
    await asyncio.sleep(0)  # its entry is in the line, and nobody knows of it yet
    opened = await house.openings.by_agent("clerk", None)
    await touching
    assert labels(house, opened) == {"web"}


@pytest.mark.parametrize(
    ("passed_s", "inherited"),
    [(MEMORY_S - 1, {"web"}), (MEMORY_S + TOUCHED_EVERY_S + 1, set())],
)
async def test_what_was_touched_is_remembered_for_a_day(
    house: House, passed_s: int, inherited: set[str]
) -> None:
    first = await house.openings.by_agent("clerk", None)
    await touch(house, first, "web")
    house.clock.pass_s(passed_s)
    house.sessions.forget(house.now_s)
    assert (await house.openings.by_agent("clerk", None)).labels == inherited


async def test_the_day_begins_anew_with_every_call(house: House) -> None:
    session = await house.openings.by_agent("clerk", None)
    await touch(house, session, "web")
    house.clock.pass_s(LIFETIME_S - 60)
    await touch(house, session)
    house.clock.pass_s(MEMORY_S - 60)
    house.sessions.forget(house.now_s)
    assert (await house.openings.by_agent("clerk", None)).labels == {"web"}


async def test_a_forgotten_session_is_gone_from_the_view(house: House) -> None:
    session = await house.openings.by_agent("clerk", None)
    house.sessions.forget(session.opened + MEMORY_S + TOUCHED_EVERY_S + 1)
    assert house.sessions.get(session.id) is None
    assert house.sessions.stored(session.id) is None
    assert session.id in house.sessions.changed


@given(
    st.builds(
        Session,
        id=st.text(),
        agent=st.text(),
        user=st.none() | st.text(),
        opened=st.integers(0),
        ends=st.integers(0),
        labels=st.frozensets(st.text()),
        touched=st.integers(0),
        purpose_at=st.lists(st.integers(0)).map(tuple),
        by=st.text(),
        parent=st.none() | st.text(),
        root=st.text(),
        granted_by=st.none() | st.text(),
        tools=st.none() | st.lists(st.text()).map(tuple),
        own=st.booleans(),
        ended=st.booleans(),
    )
)
def test_a_row_restores_the_session_it_was_made_of(session: Session) -> None:
    assert from_row(Session, to_row(session)) == session
