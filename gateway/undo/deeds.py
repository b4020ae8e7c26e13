"""Deeds: the calls of some sessions that may have changed something, the last one first.

They are read from the log. That a call is over is said by its outcome; one whose outcome is
`unknown` may have acted, and is a deed too. What an upstream refused, or says that it failed, is
none, and neither is what only reads or only hands work on.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Self

from audit.canonical import Json
from audit.entry import Entry
from audit.index import Index
from audit.query import Query, Term
from audit.value import value_type
from gateway.runs.run import FACE, place_of
from gateway.undo.errors import RollbackRefused

PAGE = 500

_PEOPLE = "approvals."
"""Tools that are questions to people: answering them changes nothing."""


@value_type
class Deed:
    """One call that may have changed something.

    call     id of its decision, which is entry `decided`
    settled  index of its outcome
    done     whether it acted for sure; if not, nobody knows
    keyed    when it was sent with `key`, seconds since 1970
    """

    call: str
    tool: str
    agent: str
    user: str | None
    groups: frozenset[str]
    chain: tuple[str, ...]
    decided: int
    settled: int
    done: bool
    key: str | None
    keyed: int

    @classmethod
    def of(cls, decision: Entry, outcome: Entry) -> Self:
        """The call that these two entries are of."""
        body: dict[str, Any] = decision.body
        actor = body["actor"]
        return cls(
            call=body["id"],
            tool=body["tool"]["name"],
            agent=actor["agent"],
            user=actor["sub"],
            groups=frozenset(body["facts"].get("groups", ())),
            chain=tuple(actor["chain"]),
            decided=decision.index,
            settled=outcome.index,
            done=outcome.body["status"] == "done",
            key=body.get("key"),
            keyed=body["ts"] // 1_000_000,
        )


def deeds(
    index: Index,
    sessions: Iterable[str],
    *,
    until: int,
    reads: Callable[[str], bool],
    hands_on: Callable[[str, str], bool],
) -> tuple[Deed, ...]:
    """The deeds of these sessions, in the reverse order of their outcomes. Blocks.

    until     how many entries of the log are looked at, at least
    reads     whether a tool only reads
    hands_on  whether a step of a run (its id and the path) only handed work on

    Raises RollbackRefused while the log is not searchable to its end, LogDamaged or OSError.
    """
    decisions: dict[str, Entry] = {}
    outcomes: dict[str, Entry] = {}
    for entry in _entries(index, sessions, until):
        body = entry.body
        if body["kind"] == "outcome" and body["status"] in {"done", "unknown"}:
            outcomes[body["call"]] = entry
        elif body["kind"] == "decision":
            decisions[body["id"]] = entry
    acted = [(decisions[call], outcome) for call, outcome in outcomes.items() if call in decisions]
    found = [Deed.of(*each) for each in acted if not _is_hand_on(each[0].body, hands_on)]
    changing = [deed for deed in found if not reads(deed.tool) and not _asks(deed.tool)]
    return tuple(sorted(_once(changing), key=lambda deed: deed.settled, reverse=True))


def _once(found: Iterable[Deed]) -> Iterator[Deed]:
    """Of calls that were sent with one key the one that tells most: their server acted once."""
    by_key: dict[tuple[str, str], Deed] = {}
    for deed in sorted(found, key=lambda deed: (deed.done, deed.settled)):
        if deed.key is None:
            yield deed
            continue
        first = by_key.get((deed.tool, deed.key), deed)
        by_key[deed.tool, deed.key] = replace(deed, keyed=min(deed.keyed, first.keyed))
    yield from by_key.values()


def _entries(index: Index, sessions: Iterable[str], until: int) -> Iterator[Entry]:
    for session in sessions:
        cursor: int | None = None
        query = Query(terms=(Term("session", session, is_prefix=False),))
        while True:
            page = index.search(query, cursor=cursor, limit=PAGE)
            if index.covered < until:
                raise RollbackRefused(
                    "rollback.behind", "the log is still being indexed; try again"
                )
            yield from page.entries
            if page.cursor is None:
                break
            cursor = page.cursor


def _is_hand_on(body: Mapping[str, Json], hands_on: Callable[[str, str], bool]) -> bool:
    req: Any = body["req"]
    return req["face"] == FACE and hands_on(*place_of(req["id"]))


def _asks(tool: str) -> bool:
    return tool.startswith(_PEOPLE)
