import secrets

import pytest

from gateway.errors import ConnectRefused
from gateway.links.tickets import LIFETIME_S, MOST, Tickets
from tests.gateway.links.conftest import Clock

MINE, OTHERS = "my-browser", "another-browser"


@pytest.fixture
def tickets(clock: Clock) -> Tickets[str]:
    return Tickets(secrets.token_bytes, clock)


def test_a_ticket_stands_for_its_value_once(tickets: Tickets[str]) -> None:
    ticket = tickets.issue("value", MINE)
    assert len(ticket) == 43
    assert tickets.take(ticket, MINE) == "value"
    with pytest.raises(ConnectRefused, match="already"):
        tickets.take(ticket, MINE)


@pytest.mark.parametrize("browser", [OTHERS, "", None])
def test_a_ticket_is_good_in_its_browser_alone_and_used_up_by_the_attempt(
    browser: str | None, tickets: Tickets[str]
) -> None:
    ticket = tickets.issue("value", MINE)
    with pytest.raises(ConnectRefused, match="another browser"):
        tickets.take(ticket, browser)
    with pytest.raises(ConnectRefused):
        tickets.take(ticket, MINE)


@pytest.mark.parametrize("ticket", ["", "x", "\udcff", "x" * 5000])
def test_what_was_never_issued_stands_for_nothing(ticket: str, tickets: Tickets[str]) -> None:
    with pytest.raises(ConnectRefused):
        tickets.take(ticket, MINE)


def test_a_ticket_ends_by_itself(tickets: Tickets[str], clock: Clock) -> None:
    early, late = tickets.issue("early", MINE), tickets.issue("late", MINE)
    clock.now += LIFETIME_S - 1
    assert tickets.take(early, MINE) == "early"
    clock.now += 1
    with pytest.raises(ConnectRefused, match="too long"):
        tickets.take(late, MINE)


def test_no_more_than_so_many_are_kept_and_the_oldest_goes(tickets: Tickets[str]) -> None:
    issued = [tickets.issue(str(number), MINE) for number in range(MOST + 1)]
    with pytest.raises(ConnectRefused):
        tickets.take(issued[0], MINE)
    assert tickets.take(issued[1], MINE) == "1"
    assert tickets.take(issued[-1], MINE) == str(MOST)
