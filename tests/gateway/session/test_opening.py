import asyncio
from pathlib import Path

import pytest

from audit.errors import AuditUnavailable
from gateway.identity.errors import DelegationRefused, OAuthError
from gateway.session.opening import HandedOn, Openings
from gateway.session.session import Session
from tests.gateway.rooms import Disk, House

MOST = 2


@pytest.fixture
def openings(house: House) -> Openings:
    """As the house's, for agents that may have few sessions of their own."""
    return Openings(house.recorder, house.sessions, most_own=MOST)


def below(parent: Session, *, of_most: int) -> HandedOn:
    return HandedOn(parent, "scout", ("clerk",), parent.ends, "t1", of_most)


async def test_a_session_is_counted_once_while_its_opening_returns(
    house: House, openings: Openings
) -> None:
    """Its entry stands by then, and who asked for it has not gone on."""
    counted: list[int] = []
    house.sessions.on_begun = lambda _: counted.append(openings._count_own("clerk", house.now_s))
    for _ in range(MOST):
        await openings.by_agent("clerk", "ana")
    assert counted == [1, 2]


async def test_an_agent_with_too_many_sessions_of_its_own_opens_no_more(
    openings: Openings,
) -> None:
    for _ in range(MOST):
        await openings.by_agent("clerk", "ana")
    with pytest.raises(OAuthError, match="has 2 open sessions"):
        await openings.by_agent("clerk", "ben")
    await openings.by_agent("scout", "ana")
    await openings.clean("clerk", "ana", by="operator:omar")


async def test_a_session_that_has_ended_makes_room_for_another(
    house: House, openings: Openings
) -> None:
    first = await openings.by_agent("clerk", "ana")
    await openings.by_agent("clerk", "ana")
    await house.sessions.end(first.id, by="agent:clerk")
    await openings.by_agent("clerk", "ana")


async def test_what_is_handed_on_ends_with_its_parent_and_takes_no_room_of_its_agents(
    openings: Openings,
) -> None:
    parent = await openings.clean("clerk", "ana", by="operator:omar")
    for _ in range(MOST + 1):
        child = await openings.handed_on(below(parent, of_most=9))
        assert (child.user, child.root, child.ends) == ("ana", parent.id, parent.ends)
    await openings.by_agent("scout", "ana")


async def test_a_tree_that_is_full_takes_no_other(openings: Openings) -> None:
    parent = await openings.clean("clerk", "ana", by="operator:omar")
    child = await openings.handed_on(below(parent, of_most=1))
    for each in (parent, child):
        with pytest.raises(DelegationRefused, match="a request has 1"):
            await openings.handed_on(below(each, of_most=1))


async def test_what_is_under_way_counts(openings: Openings) -> None:
    asked = [openings.by_agent("clerk", "ana") for _ in range(MOST + 1)]
    answered = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(each) for each in answered] == [Session, Session, OAuthError]


async def test_what_could_not_be_recorded_takes_no_room(tmp_path: Path) -> None:
    disk = Disk()
    house = House.open(tmp_path, files=disk)
    openings = Openings(house.recorder, house.sessions, most_own=1)
    disk.fails = True
    with pytest.raises(AuditUnavailable):
        await openings.by_agent("clerk", "ana")
    assert openings._count_own("clerk", house.now_s) == 0
    house.close()
