"""`/runs/flows`: the flows of this gateway, and a draft beside its picture. Nothing is run."""

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING

from fastapi import Request, Response

from audit.canonical import Json
from console import frame
from console.routes import Pages
from console.visitors import Viewer, Visitor
from gateway.operator.api import Here
from gateway.operator.drafts import check_author
from gateway.operator.errors import OperatorRefused
from gateway.operator.services import Services

if TYPE_CHECKING:
    from console.flows.look import Look

MOST_CHARS = 32 * 1024
EXAMPLE = """\
apiVersion: passavant/v1
kind: Flow
name: report
flow:
  sequential:
    - map: {each: web.search, over: /queries, max_parallel: 4, on_error: drop}
    - approve: {by: editors, question: "Publish this?"}
    - tool: {name: site.publish, args: {text: {from: /0/text}}}
"""

router = Pages()


@router.get("/runs/flows")
async def flows(services: Here, visitor: Viewer, request: Request, name: str = "") -> Response:
    """The flows that can be started, and one of them with its picture."""
    known = _known(services)
    if name and name not in known:
        raise OperatorRefused("run.flow", "there is no such flow")
    look = await asyncio.to_thread(_look_at, services, name) if name else None
    listed = [(each, _title(flow)) for each, flow in sorted(known.items())]
    return frame.show(request, visitor, "flows/list.html", flows=listed, name=name, look=look)


@router.get("/runs/flows/draft")
async def draft(services: Here, visitor: Viewer, request: Request) -> Response:
    """A text to begin with, and its picture."""
    return await _drafted(services, visitor, request, EXAMPLE)


@router.post("/runs/flows/draft")
async def look(services: Here, visitor: Viewer, request: Request) -> Response:
    """A changed text and its picture. Nothing of it is kept."""
    check_author(visitor.operator)
    text = visitor.field("text")
    if len(text) > MOST_CHARS:
        raise OperatorRefused("operator.body", f"a draft has at most {MOST_CHARS} characters")
    return await _drafted(services, visitor, request, text)


async def _drafted(services: Services, visitor: Visitor, request: Request, text: str) -> Response:
    found = await asyncio.to_thread(_look_at_draft, services, text)
    return frame.show(request, visitor, "flows/draft.html", text=text, look=found)


def _look_at(services: Services, name: str) -> "Look":
    from console.flows import look  # noqa: PLC0415 - where flows are, it is loaded already

    snapshot = services.worlds.current.snapshot
    return look.known(name, _known(services), snapshot, services.recorder.now())


def _look_at_draft(services: Services, text: str) -> "Look":
    from console.flows import look  # noqa: PLC0415 - a gateway without flows need not load it

    snapshot = services.worlds.current.snapshot
    return look.drafted(text, _known(services), snapshot, services.recorder.now())


def _known(services: Services) -> Mapping[str, Json]:
    return {} if services.runs is None else services.runs.flows()


def _title(flow: Json) -> str:
    title = flow.get("title") if isinstance(flow, dict) else None
    return str(title or "")
