"""What came before a request: the last approved call like it, and how such calls have ended."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from audit import canonical
from audit.canonical import Json
from audit.entry import Entry
from audit.errors import AuditError, SealBroken, SubjectErased
from gateway.approval.request import Request
from gateway.operator.services import Services

MOST = 200
"""Decisions that are looked at."""


@dataclass(frozen=True, slots=True)
class Past:
    """The last 30 days of one agent with one tool.

    counts  decisions by effect; of the newest MOST alone when `is_cut`
    entry   the last approved call for the same person; None: none was found
    before  its arguments; None: they are not kept
    """

    counts: tuple[tuple[str, int], ...]
    is_cut: bool
    entry: int | None
    before: Mapping[str, Json] | None


async def past(services: Services, request: Request) -> Past | None:
    """Look it up in the log; None when that cannot be searched."""
    key = request.key
    text = f'kind:decision agent:"{key.agent}" tool:"{key.tool}" after:30d'
    try:
        query = services.index.parse(text)
        page = await asyncio.to_thread(services.index.search, query, limit=MOST)
    except (AuditError, OSError):
        return None
    found = [entry for entry in page.entries if entry.index < request.index]
    counts = Counter(entry.body["decision"]["effect"] for entry in found)
    last = next((entry for entry in found if _is_like(entry, request)), None)
    return Past(
        counts=tuple(sorted(counts.items())),
        is_cut=len(page.entries) == MOST,
        entry=None if last is None else last.index,
        before=None if last is None else _arguments(services, last),
    )


def _is_like(entry: Entry, request: Request) -> bool:
    """Whether people have approved it, for the same person: others' words are not shown."""
    body = entry.body
    return body["approval"] is not None and body["actor"]["sub"] == request.key.user


def _arguments(services: Services, entry: Entry) -> Mapping[str, Json] | None:
    try:
        words = services.recorder.words(entry.index, "args")
    except (SealBroken, SubjectErased):
        return None
    if words is None:
        return None
    return cast("Mapping[str, Json]", canonical.read(words, max_bytes=len(words)))
