"""`/log`: the log as a whole."""

import asyncio

from fastapi import Request, Response

from audit.checkpoint import Checkpoint
from audit.errors import AuditError
from audit.layout import CHECKPOINT
from audit.note import unverified_text
from audit.pin import read_pins
from audit.verify import Report, verify_directory
from console import frame
from console.routes import Pages
from console.visitors import Viewer, Visitor
from gateway.approval.signed_answers import SignedAnswers
from gateway.operator import keys
from gateway.operator.api import Here
from gateway.operator.services import Services

MOST_FINDINGS = 50

router = Pages()


@router.get("/log")
async def log(services: Here, visitor: Viewer, request: Request) -> Response:
    """How much there is, who signs it, and how it is doing."""
    return await _shown(services, visitor, request, None)


@router.post("/log/verify")
async def verify(services: Here, visitor: Viewer, request: Request) -> Response:
    """Verify the published log from its folder alone, as anybody can, and against what was kept."""
    tiles, vkey = services.home.tiles, services.vkey
    try:
        kept = read_pins(visitor.field("kept"))
        report = await asyncio.to_thread(
            verify_directory, tiles, vkey, kept, checks=[SignedAnswers()]
        )
    except AuditError as error:
        return await _shown(services, visitor, request, None, wrong=str(error))
    return await _shown(services, visitor, request, report)


async def _shown(
    services: Services,
    visitor: Visitor,
    request: Request,
    report: Report | None,
    *,
    wrong: str = "",
) -> Response:
    return frame.show(
        request,
        visitor,
        "log/page.html",
        here="/log",
        origin=services.log.origin,
        trouble=services.log.trouble,
        vkey=services.vkey,
        checkpoint=services.log.signed_checkpoint().decode(),
        keys=await keys.list_keys(services, visitor.operator),
        tiles=str(services.home.tiles),
        published=_published(services),
        kept=visitor.field("kept"),
        report=report,
        findings=[] if report is None else report.findings[:MOST_FINDINGS],
        wrong=wrong,
    )


def _published(services: Services) -> int | None:
    """How many entries the folder holds, as its checkpoint says; None: none is there yet."""
    try:
        note = (services.home.tiles / CHECKPOINT).read_bytes()
        return Checkpoint.parse(unverified_text(note)).size
    except (AuditError, OSError):
        return None
