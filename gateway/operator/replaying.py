"""Replaying: decided calls, read back from the log and decided anew by what is in force or not yet.

An entry holds the facts that a call was decided on; its arguments are sealed beside it. Whoever has
them opened, to see them or to have rules look at them, is named in the log. A call that people were
asked about is an entry of its own, which holds fewer facts: what was shown to them.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from audit import canonical
from audit.canonical import Json
from audit.entry import Entry
from audit.errors import SealBroken, SubjectErased
from gateway.operator.credentials import Operator
from gateway.operator.errors import OperatorRefused
from gateway.operator.services import Services
from policies.decision import Facts
from policies.replay import Replayed, replay
from policies.snapshot import Snapshot

MOST = 1000
"""Calls that one replay looks at, the newest."""

KINDS = ("decision", "approval.asked")
"""Kinds of entries that a call which was decided leaves; of one that asked the second."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A call that was decided, with what the decision was made on.

    effect, rules  as recorded: limits and what stands outside the rules had a word in them
    snapshot       digest of the policy of then
    read           what conditions could read of the call
    """

    index: int
    ts: int
    effect: str
    rules: tuple[str, ...]
    snapshot: str
    read: frozenset[str]
    facts: Facts


@dataclass(frozen=True, slots=True)
class Told:
    """What came of a replay.

    looked   calls that were decided anew
    unkept   calls whose arguments are not kept: nothing is known of them
    effects  how many went from one effect to another, unchanged ones too
    changed  those whose answer differs, newest first
    """

    looked: int
    unkept: int
    effects: Mapping[tuple[str, str], int]
    changed: tuple[tuple[Recorded, Replayed], ...]


async def recorded(services: Services, operator: Operator, entry: Entry) -> Recorded:
    """One call, its arguments opened on record. Raises OperatorRefused, AuditUnavailable."""
    if entry.body["kind"] not in KINDS:
        raise OperatorRefused("operator.body", "no call was decided by this entry")
    found = await asyncio.to_thread(_read, services, entry)
    if found is None:
        raise OperatorRefused("operator.unknown", "the arguments of this call are not kept")
    fields: dict[str, Json] = {"opened": entry.index, "by": f"operator:{operator.name}"}
    await services.recorder.write("audit.opened", fields)
    return found


async def replayed(
    services: Services, operator: Operator, draft: Snapshot, *, most: int = MOST
) -> Told:
    """Decide the newest calls anew, by what is in force and by `draft`, on record.

    Raises AuditUnavailable, or what the log raises when it cannot be read.
    """
    current = services.worlds.current.snapshot
    query = services.index.parse(" ".join(f"kind:{kind}" for kind in KINDS))
    page = await asyncio.to_thread(services.index.search, query, limit=min(most, MOST))
    told = await asyncio.to_thread(_played, services, page.entries, current, draft)
    if page.entries:
        fields: dict[str, Json] = {
            "by": f"operator:{operator.name}",
            "first": page.entries[-1].index,
            "last": page.entries[0].index,
            "count": told.looked,
            "snapshots": [current.digest, draft.digest],
        }
        await services.recorder.write("audit.replayed", fields)
    return told


def _played(
    services: Services, entries: tuple[Entry, ...], before: Snapshot, after: Snapshot
) -> Told:
    effects: Counter[tuple[str, str]] = Counter()
    changed: list[tuple[Recorded, Replayed]] = []
    found = list(_kept(services, entries))
    for each in found:
        played = replay(each.facts, before, after, read=each.read)
        effects[played.before.effect, played.after.effect] += 1
        if played.differs:
            changed.append((each, played))
    return Told(len(found), len(entries) - len(found), dict(effects), tuple(changed))


def _kept(services: Services, entries: tuple[Entry, ...]) -> Iterator[Recorded]:
    for entry in entries:
        found = _read(services, entry)
        if found is not None:
            yield found


def _read(services: Services, entry: Entry) -> Recorded | None:
    """What a call was decided on; None when its arguments are not kept any more."""
    try:
        words = services.recorder.words(entry.index, "args")
    except (SubjectErased, SealBroken):
        return None
    if words is None:
        return None
    args = cast("dict[str, Json]", canonical.read(words, max_bytes=len(words)))
    body = entry.body
    if body["kind"] == "decision":
        return _decision(entry, _stated(body["facts"], _called(services, body, args)))
    return _question(entry, _called(services, body, args))


def _decision(entry: Entry, facts: Facts) -> Recorded:
    decision = entry.body["decision"]
    return Recorded(
        index=entry.index,
        ts=entry.body["ts"],
        effect=decision["effect"],
        rules=tuple(decision["rules"]),
        snapshot=decision["snapshot"],
        read=frozenset(entry.body["facts"]["read"]),
        facts=facts,
    )


def _question(entry: Entry, facts: Facts) -> Recorded:
    """What people were asked: its token covered the tool, and was bound where that was demanded."""
    body = entry.body
    shown = replace(
        facts,
        labels=frozenset(body["labels"]),
        provenance=body["provenance"],
        now=body["ts"],
        proven=True,
    )
    rules = tuple(body["rules"])
    return Recorded(entry.index, body["ts"], "ask", rules, body["snapshot"], frozenset(), shown)


def _called(services: Services, body: Mapping[str, Any], args: Mapping[str, Json]) -> Facts:
    """Who called what; purpose and tree are those of the session, as it is by now."""
    actor, session = body["actor"], services.state.sessions.get(body["session"])
    return Facts(
        agent=actor["agent"],
        tool=body["tool"]["name"],
        args=args,
        user=actor["sub"],
        chain=tuple(actor["chain"]),
        purpose=None if session is None else session.purpose,
        purpose_tools=None if session is None else session.tools,
        session=body["session"],
        tree="" if session is None else session.root,
    )


def _stated(stated: Mapping[str, Any], call: Facts) -> Facts:
    """A call with the facts that its decision states."""
    return replace(
        call,
        user_groups=frozenset(stated.get("groups", ())),
        scopes=tuple(stated["scopes"]),
        labels=frozenset(stated["labels"]),
        provenance=stated["provenance"],
        origin=stated.get("origin", {}),
        secrets=frozenset(stated.get("secrets", ())),
        totals=stated["totals"],
        history=stated.get("history", {}),
        now=stated["now"],
        proven=stated.get("proven", False),
    )
