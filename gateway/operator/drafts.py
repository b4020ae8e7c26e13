"""`/api/policy/diff`, `/api/policy/replay`: what other rules would say, before they are in force.

A draft is a whole set of policy texts: what the files amount to by now, or what an author has sent.
It is compiled against the catalogue in force and compared with the policy in force; nothing of it
is kept, and there is no way from here to put it into force.
"""

import asyncio
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request

from audit.canonical import Json
from gateway.activation import compile_contents, read_stable
from gateway.operator import replaying
from gateway.operator.api import Here, Routes, Viewer, body_of
from gateway.operator.credentials import Operator
from gateway.operator.errors import OperatorRefused
from gateway.operator.replaying import Recorded, Told
from gateway.operator.services import Services
from gateway.world import Contents
from policies.decision import Decision
from policies.difference import Cell, Change, cells, changes
from policies.finding import Finding
from policies.lint import lint
from policies.loader import read_policies
from policies.replay import Replayed
from policies.snapshot import Snapshot

router = Routes()

MOST_FILES = 50


class Sent(BaseModel):
    """A draft; without `files` what the gateway's own files amount to.

    last  how many decisions are decided anew
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    files: dict[str, str] | None = Field(default=None, min_length=1, max_length=MOST_FILES)
    last: int = Field(default=replaying.MOST, ge=1, le=replaying.MOST)


@dataclass(frozen=True, slots=True)
class Draft:
    """A set of texts that compiles.

    findings  what a careful reviewer would ask about
    """

    snapshot: Snapshot
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """What a draft says otherwise than what is in force."""

    changes: tuple[Change, ...]
    cells: tuple[Cell, ...]


@router.post("/diff")
async def diff(services: Here, operator: Viewer, http: Request) -> dict[str, Json]:
    """What changes, by name and by cell of the matrix."""
    draft = await drafted(services, _contents(services, operator, await body_of(http, Sent)))
    found = await difference(services, draft)
    return {
        "snapshot": services.worlds.current.snapshot.digest,
        "draft": draft.snapshot.digest,
        "findings": [str(each) for each in draft.findings],
        "changes": [{**asdict(each), "at": _place(each)} for each in found.changes],
        "cells": [asdict(each) for each in found.cells],
    }


@router.post("/replay")
async def replay(services: Here, operator: Viewer, http: Request) -> dict[str, Json]:
    """Which of the newest decisions would come out otherwise. That it was looked is an entry."""
    sent = await body_of(http, Sent)
    draft = await drafted(services, _contents(services, operator, sent))
    told = await replaying.replayed(services, operator, draft.snapshot, most=sent.last)
    return {"draft": draft.snapshot.digest, **summary(told)}


def check_author(operator: Operator) -> None:
    """Raises OperatorRefused for whoever may not try texts of their own.

    Who may put texts into force may try them, too.
    """
    if not (operator.may("author") or operator.may("administrator")):
        raise OperatorRefused("operator.role", "this needs the role author")


async def drafted(services: Services, contents: Contents) -> Draft:
    """Compile a whole set of texts. Raises PolicyInvalid with every finding."""
    return await asyncio.to_thread(_drafted, services, contents)


def replaced(services: Services, file: str, text: str) -> Contents:
    """The set in force with another text for one of its files."""
    kept = services.worlds.current.contents
    return tuple((name, text.encode() if name == file else raw) for name, raw in kept)


async def difference(services: Services, draft: Draft) -> Difference:
    """What a draft says otherwise than what is in force."""
    current, now = services.worlds.current.snapshot, services.recorder.now()

    def compared() -> Difference:
        found = cells(current, draft.snapshot, user=None, now=now)
        return Difference(tuple(changes(current, draft.snapshot)), tuple(found))

    return await asyncio.to_thread(compared)  # of a large policy it takes its time


def summary(told: Told) -> dict[str, Json]:
    """A replay as JSON."""
    return {
        "looked": told.looked,
        "unkept": told.unkept,
        "effects": {f"{one} to {other}": n for (one, other), n in sorted(told.effects.items())},
        "changed": [_row(*each) for each in told.changed],
    }


def _drafted(services: Services, contents: Contents) -> Draft:
    snapshot = compile_contents(contents, services.worlds.current.catalogue)
    today = datetime.fromtimestamp(services.recorder.now() / 1_000_000, UTC).date()
    findings = (*snapshot.warnings, *lint(read_policies(contents), today=today))
    return Draft(snapshot, findings)


def _contents(services: Services, operator: Operator, sent: Sent) -> Contents:
    if sent.files is None:
        return read_stable(services.activation.paths)
    check_author(operator)
    return tuple((name, text.encode()) for name, text in sent.files.items())


def _place(change: Change) -> str | None:
    return None if change.at is None else str(change.at)


def _row(found: Recorded, played: Replayed) -> dict[str, Json]:
    return {
        "index": found.index,
        "ts": found.ts,
        "agent": found.facts.agent,
        "user": found.facts.user,
        "tool": found.facts.tool,
        "recorded": {"effect": found.effect, "rules": list(found.rules)},
        "before": _answer(played.before),
        "after": _answer(played.after),
        "wider": played.is_wider,
        "unknown": list(played.unknown),
    }


def _answer(decision: Decision) -> dict[str, Json]:
    return {"effect": decision.effect, "rules": list(decision.rules)}
