"""`/api/audit`: the log as operators read it, and `/audit/log/`: as anyone may verify it."""

import asyncio

from fastapi import Response
from fastapi.responses import FileResponse, PlainTextResponse, StreamingResponse
from pydantic import BaseModel, ConfigDict
from starlette.requests import Request

from audit.canonical import Json
from audit.entry import Entry
from audit.errors import SealBroken, SubjectErased
from audit.layout import CHECKPOINT, Tile
from gateway.operator import exporting
from gateway.operator.api import Here, Routes, Viewer, body_of
from gateway.operator.credentials import Operator
from gateway.operator.errors import OperatorRefused
from gateway.operator.export_form import ExportForm
from gateway.operator.services import Services

router = Routes()
published = Routes()

PAGE = 200


class Wanted(BaseModel):
    """What is to be exported: what a search finds."""

    model_config = ConfigDict(extra="forbid", strict=True)

    q: str = ""
    form: ExportForm = "jsonl"


MOST = 1000
SEALED = ("args", "result", "reason", "input", "output", "query")
"""Members of entries whose words are kept sealed."""


@router.get("/search")
async def search(
    services: Here, _: Viewer, q: str = "", limit: int = 50, cursor: int | None = None
) -> dict[str, Json]:
    """Entries that match a query, newest first; `behind` says how many it did not see yet."""
    query = services.index.parse(q)
    most = min(max(limit, 1), MOST)
    page = await asyncio.to_thread(services.index.search, query, cursor=cursor, limit=most)
    found: list[Json] = [row(services, entry) for entry in page.entries]
    return {"entries": found, "cursor": page.cursor, "behind": page.behind}


@router.get("/entries")
async def entries(services: Here, _: Viewer, start: int = 0) -> list[dict[str, Json]]:
    """Up to PAGE entries from `start` on."""
    found = services.log.entries(max(0, start), max(0, start) + PAGE)
    return [row(services, entry) for entry in found]


@router.get("/entries/{index}")
async def entry(services: Here, operator: Viewer, index: int) -> dict[str, Json]:
    """One entry, with what it holds sealed; that it was opened is an entry itself."""
    found = find(services, index)
    answer = row(services, found)
    for name in SEALED:
        if name in found.body and found.sealed is not None:
            answer["words"] = _words(services, index, name)
            fields: dict[str, Json] = {"opened": index, "by": f"operator:{operator.name}"}
            await services.recorder.write("audit.opened", fields)
    return answer


@router.post("/export")
async def export(services: Here, operator: Viewer, http: Request) -> Response:
    """Entries that match, as a file (`gateway.operator.exporting`). Who took it is an entry."""
    wanted = await body_of(http, Wanted)
    return await exported(services, operator, wanted.q, wanted.form)


@router.get("/proof/{index}", response_class=PlainTextResponse)
async def proof(services: Here, _: Viewer, index: int) -> str:
    """A proof (c2sp.org/tlog-proof) that the entry is in the signed log."""
    find(services, index)
    return services.log.prove(index)


@router.get("/checkpoint", response_class=PlainTextResponse)
async def checkpoint(services: Here, _: Viewer) -> str:
    """The newest signed checkpoint."""
    return services.log.signed_checkpoint().decode()


@router.get("/vkey", response_class=PlainTextResponse)
async def vkey(services: Here, _: Viewer) -> str:
    """The key that verifies the log."""
    return f"{services.vkey}\n"


@published.get("/audit/log/{node:path}", include_in_schema=False)
async def tile(services: Here, _: Viewer, node: str) -> Response:
    """The published log (C2SP tlog-tiles) of this node, below its origin."""
    path = node.removeprefix(f"{services.log.origin}/")
    file = services.home.tiles / path
    is_published = path == CHECKPOINT or Tile.parse(path) is not None
    if path == node or not is_published or not file.is_file():
        raise OperatorRefused("operator.unknown", "there is nothing here")
    kind = "text/plain" if path == CHECKPOINT else "application/octet-stream"
    return FileResponse(file, media_type=kind)


async def exported(services: Services, operator: Operator, q: str, form: ExportForm) -> Response:
    """The file that an export is."""
    taken = await exporting.begun(services, operator, q, form)
    kind, ending = ("text/csv", "csv") if form == "csv" else ("application/jsonl", "jsonl")
    name = f"entries-to-{taken.size}.{ending}"
    return StreamingResponse(
        exporting.lines(services, operator, taken),
        media_type=f"{kind}; charset=utf-8",
        headers={"content-disposition": f'attachment; filename="{name}"'},
    )


def row(services: Services, found: Entry) -> dict[str, Json]:
    """An entry with its place in the log."""
    return {
        "origin": services.log.origin,
        "index": found.index,
        "leaf": found.leaf.hex(),
        "body": found.body,
    }


def find(services: Services, index: int) -> Entry:
    """A durable entry, checked against the signed root. Raises OperatorRefused."""
    if not 0 <= index < services.log.size:
        raise OperatorRefused("operator.unknown", "there is no such entry")
    return services.log.entry(index)


def _words(services: Services, index: int, name: str) -> Json:
    try:
        words = services.recorder.words(index, name)
    except SubjectErased:
        return {"state": "erased"}
    except SealBroken:
        return {"state": "broken"}
    if words is None:
        return {"state": "not kept"}
    return {"state": "open", "text": words.decode("utf-8", "replace")}
