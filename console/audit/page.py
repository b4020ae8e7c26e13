"""`/audit`: search of the log, one entry, and the proof that it is in it."""

from base64 import b64encode
from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import urlencode

from fastapi import Request, Response

from audit.entry import Entry
from audit.errors import QueryInvalid
from audit.proof import Proof
from console import frame
from console.audit.proof import check
from console.audit.sentence import sentence
from console.routes import Pages
from console.values import rows
from console.visitors import Viewer, Visitor
from gateway.operator import evidence, replaying
from gateway.operator.api import Here, validated
from gateway.operator.services import Services

Range = Literal["1h", "24h", "7d", "30d", "all"]
RANGES: tuple[Range, ...] = ("1h", "24h", "7d", "30d", "all")

PRESETS: Mapping[str, str] = {
    "Denials": "effect:deny",
    "Questions": "kind:approval.asked",
    "Answers": "kind:approval.decided",
    "First uses": "kind:alarm.raised first-use",
    "Policy": "kind:policy.changed",
    "Stops": "kind:gateway.stopped kind:gateway.resumed",
    "Log-ins": "kind:operator.login kind:operator.refused",
}
PAGE = 100

router = Pages()


@router.get("/audit")
async def search(
    services: Here,
    visitor: Viewer,
    request: Request,
    q: str = "",
    within: Range = "24h",
    cursor: int | None = None,
) -> Response:
    """Entries that match, newest first; the time is always bounded unless somebody says `all`."""
    is_timed = within == "all" or "after:" in q
    text = q if is_timed else f"{q} after:{within}"
    view: dict[str, Any] = {
        "text": text,
        "q": q,
        "within": within,
        "ranges": RANGES,
        "presets": PRESETS,
    }
    try:
        found = await evidence.search(services, visitor.operator, text, PAGE, cursor)
    except QueryInvalid as error:
        view |= {"found": [], "wrong": f"{error}", "next": None, "behind": 0}
        return frame.show(request, visitor, "audit/search.html", status=400, **view)
    entries: Any = found["entries"]
    onwards = {"q": q, "within": within, "cursor": found["cursor"]}
    view |= {
        "found": [(each["index"], each["body"], sentence(each["body"])) for each in entries],
        "wrong": "",
        "next": f"/audit?{urlencode(onwards)}" if found["cursor"] else None,
        "behind": found["behind"],
    }
    return frame.show(request, visitor, "audit/search.html", **view)


@router.post("/audit/export")
async def export(services: Here, visitor: Viewer) -> Response:
    """What a search found, as a file; who took it becomes an entry."""
    given = {"q": visitor.field("q"), "form": visitor.field("form")}
    wanted = validated(evidence.Wanted, given)
    return await evidence.exported(services, visitor.operator, wanted.q, wanted.form)


@router.get("/audit/entries/{index}")
async def entry(services: Here, visitor: Viewer, request: Request, index: int) -> Response:
    """One entry, whole, with its proof; what it holds sealed stays so."""
    return _shown(services, visitor, request, evidence.find(services, index), None)


@router.post("/audit/entries/{index}/open")
async def open_sealed(services: Here, visitor: Viewer, request: Request, index: int) -> Response:
    """One entry with what it holds sealed; that somebody read it becomes an entry."""
    told: Any = await evidence.entry(services, visitor.operator, index)
    found = evidence.find(services, index)
    return _shown(services, visitor, request, found, told.get("words", {"state": "not kept"}))


def _shown(
    services: Services,
    visitor: Visitor,
    request: Request,
    found: Entry,
    words: Mapping[str, Any] | None,
) -> Response:
    body = found.body
    text = services.log.prove(found.index)
    return frame.show(
        request,
        visitor,
        "audit/entry.html",
        here=f"/audit/entries/{found.index}",
        entry=found,
        body=body,
        said=sentence(body),
        members=[row for name, value in body.items() for row in rows(value, name)],
        sealed=[name for name in evidence.SEALED if name in body] if found.sealed else [],
        words=words,
        is_call=body["kind"] in replaying.KINDS,
        raw=b64encode(found.raw).decode(),
        proof=text,
        steps=check(found, Proof.parse(text), services.vkey),
        vkey=services.vkey,
        tiles=str(services.home.tiles),
        last=services.log.size - 1,
    )
