"""The room of rollbacks: which is a session's latest, after any entries and after a restart."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.undo.rollbacks import Rollbacks

SESSIONS = st.sampled_from(["s1", "s2", "s3"])
MOVES = st.lists(
    st.tuples(st.sampled_from(["started", "stopped", "resumed", "ended", "forget"]), SESSIONS),
    max_size=40,
)


def body(rollback: str, session: str) -> dict[str, Any]:
    return {
        "rollback": rollback,
        "session": session,
        "sessions": [session],
        "run": None,
        "by": "operator:ana",
        "ts": 1_000_000,
        "call": "c",
        "why": "w",
        "left": None,
    }


def kept(room: Rollbacks) -> Rollbacks:
    """The same room, read back from its rows."""
    again = Rollbacks()
    for each in room.all():
        row = room.stored(each.id)
        assert row is not None
        again.restore(each.id, row)
    return again


@given(MOVES)
def test_the_latest_of_a_session_is_found(moves: list[tuple[str, str]]) -> None:
    room, known = Rollbacks(), set[str]()
    for number, (move, session) in enumerate(moves):
        found = room.of(session)
        if move == "started" and (found is None or found.state == "ended"):
            room.started(body(f"r{number:02}", session))
            known.add(session)
        elif move == "forget":
            known.discard(session)
            room.forget(known)
        elif found is not None:
            getattr(room, move)(body(found.id, session))
        for each in ("s1", "s2", "s3"):
            there = [one for one in room.all() if one.session == each]
            assert room.of(each) == (there[-1] if there else None)
            assert kept(room).of(each) == room.of(each)
