"""The store of MCP sessions, against a small model of what it promises."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import RequestRefused
from gateway.faces import mcp_session
from gateway.faces.mcp_session import IDLE_S, PER_OWNER, McpSessions, Owner


def owner(agent: str = "clerk", endpoint: str | None = None) -> Owner:
    return Owner(agent, "ana", (), "session-1", endpoint)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def store(clock: Clock) -> McpSessions:
    numbers = itertools.count()
    return McpSessions(clock, lambda: f"id-{next(numbers)}")


def test_of_too_many_sessions_the_one_longest_unused_ends() -> None:
    sessions = store(Clock())
    opened = [sessions.open(owner(), "2025-11-25").id for _ in range(PER_OWNER)]
    assert sessions.use(opened[0], owner())
    sessions.open(owner(), "2025-11-25")
    assert sessions.use(opened[1], owner()) is None
    assert sessions.use(opened[0], owner())
    assert len(sessions) == PER_OWNER


def test_one_principal_cannot_end_the_sessions_of_another() -> None:
    sessions = store(Clock())
    mine = sessions.open(owner(), "2025-11-25").id
    for _ in range(2 * PER_OWNER):
        sessions.open(owner("mallory"), "2025-11-25")
    assert sessions.use(mine, owner())
    assert not sessions.close(mine, owner("mallory"))
    assert sessions.use(mine, owner())


def test_all_together_have_a_limit_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mcp_session, "MAX_SESSIONS", 3)
    clock = Clock()
    sessions = store(clock)
    for number in range(3):
        sessions.open(owner(f"agent-{number}"), "2025-11-25")
    with pytest.raises(RequestRefused) as refused:
        sessions.open(owner("one-more"), "2025-11-25")
    assert refused.value.code == "request.sessions"
    clock.now = IDLE_S + 1
    sessions.open(owner("one-more"), "2025-11-25")
    assert len(sessions) == 1


@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("open"), st.sampled_from(["a", "b"])),
            st.tuples(st.just("wait"), st.sampled_from([1, IDLE_S // 2, IDLE_S + 1])),
            st.tuples(
                st.sampled_from(["use", "close"]), st.sampled_from(["a", "b"]), st.integers(0, 9)
            ),
        ),
        max_size=60,
    )
)
def test_a_session_is_found_by_its_owner_while_it_is_used_and_by_nobody_else(
    steps: list[tuple[object, ...]],
) -> None:
    clock = Clock()
    sessions = store(clock)
    model: dict[str, tuple[str, float]] = {}
    opened = 0
    for step in steps:
        match step:
            case ("wait", int(seconds)):
                clock.now += seconds
            case ("open", str(agent)):
                model[sessions.open(owner(agent), "v").id] = (agent, clock.now)
                opened += 1
            case (str(verb), str(agent), int(number)):
                name = f"id-{number}"
                whose, used = model.get(name, ("", 0.0))
                alive = whose == agent and clock.now - used <= IDLE_S
                found = getattr(sessions, verb)(name, owner(agent))
                assert bool(found) == alive
                if alive and verb == "use":
                    model[name] = (whose, clock.now)
                elif whose == agent:
                    model.pop(name)
    assert len(sessions) <= opened
