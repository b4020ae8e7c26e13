"""Browser sessions: how long somebody is known, and by what."""

from collections.abc import Callable
from itertools import count

import pytest

from gateway.identity.errors import AuthError
from gateway.operator.browser_sessions import IDLE_S, LIFE_S, MAX_EACH, BrowserSessions
from gateway.operator.credentials import Operator

NOW = 1_795_154_745
OMAR = Operator("corp:omar", frozenset({"approver"}))
INES = Operator("corp:ines", frozenset({"viewer"}))


def counted() -> Callable[[int], bytes]:
    numbers = count(1)
    return lambda size: next(numbers).to_bytes(size, "big")


@pytest.fixture
def sessions() -> BrowserSessions:
    return BrowserSessions(counted())


def test_somebody_is_known_by_their_cookie(sessions: BrowserSessions) -> None:
    cookie, _ = sessions.begin(OMAR, NOW, by="code")
    assert sessions.find(cookie, NOW).operator == OMAR


def test_each_log_in_has_secrets_of_its_own(sessions: BrowserSessions) -> None:
    (first, one), (second, two) = (
        sessions.begin(OMAR, NOW, by="code"),
        sessions.begin(OMAR, NOW, by="code"),
    )
    assert len({first, second, one.csrf, two.csrf}) == 4


def test_the_secret_for_changes_is_neither_shown_nor_the_cookie(sessions: BrowserSessions) -> None:
    cookie, session = sessions.begin(OMAR, NOW, by="code")
    assert session.csrf not in repr(session)
    assert session.may_change(session.csrf)
    for other in ("", cookie, session.csrf + "A", "\ud800"):
        assert not session.may_change(other)


@pytest.mark.parametrize("cookie", ["", "x", "A" * 43, "\ud800", "../omar"])
def test_another_cookie_is_nobodys(sessions: BrowserSessions, cookie: str) -> None:
    sessions.begin(OMAR, NOW, by="code")
    with pytest.raises(AuthError) as refused:
        sessions.find(cookie, NOW)
    assert refused.value.reason == "invalid"


def test_a_session_ends_after_its_life_however_much_it_is_used(sessions: BrowserSessions) -> None:
    cookie, _ = sessions.begin(OMAR, NOW, by="code")
    for second in range(0, LIFE_S, IDLE_S - 1):
        sessions.find(cookie, NOW + second)
    with pytest.raises(AuthError) as refused:
        sessions.find(cookie, NOW + LIFE_S)
    assert refused.value.reason == "expired"


def test_a_session_ends_when_it_is_not_used(sessions: BrowserSessions) -> None:
    cookie, _ = sessions.begin(OMAR, NOW, by="code")
    sessions.find(cookie, NOW + IDLE_S - 1)
    with pytest.raises(AuthError):
        sessions.find(cookie, NOW + 2 * IDLE_S - 1)


def test_a_session_that_ended_is_nobodys(sessions: BrowserSessions) -> None:
    cookie, _ = sessions.begin(OMAR, NOW, by="code")
    sessions.end(cookie)
    sessions.end(cookie)
    with pytest.raises(AuthError):
        sessions.find(cookie, NOW)


def test_all_sessions_of_one_person_end_and_of_nobody_else(sessions: BrowserSessions) -> None:
    his, _ = sessions.begin(OMAR, NOW, by="code")
    hers, _ = sessions.begin(INES, NOW, by="code")
    sessions.end_of("corp:omar")
    assert sessions.find(hers, NOW).operator == INES
    with pytest.raises(AuthError):
        sessions.find(his, NOW)


def test_one_person_has_so_many_browsers_and_the_oldest_is_forgotten(
    sessions: BrowserSessions,
) -> None:
    hers, _ = sessions.begin(INES, NOW, by="code")
    cookies = [sessions.begin(OMAR, NOW + place, by="code")[0] for place in range(MAX_EACH + 2)]
    for cookie in cookies[:2]:
        with pytest.raises(AuthError):
            sessions.find(cookie, NOW + 20)
    assert all(sessions.find(cookie, NOW + 20) for cookie in (*cookies[2:], hers))
