"""`/log`: the log as a whole."""

import asyncio

from fastapi import Request, Response

from audit.errors import AuditError
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
    """Verify the published log from its folder alone, as anybody can."""
    try:
        report = await asyncio.to_thread(
            verify_directory, services.home.tiles, services.vkey, checks=[SignedAnswers()]
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
        report=report,
        findings=[] if report is None else report.findings[:MOST_FINDINGS],
        wrong=wrong,
    )
