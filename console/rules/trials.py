"""`/policies/tests`: the test files beside the policy files, and what they come to."""

from fastapi import Request, Response

from console import frame
from console.routes import Pages
from console.visitors import Viewer
from gateway.operator import trials
from gateway.operator.api import Here

router = Pages()


@router.get("/policies/tests")
async def run(services: Here, visitor: Viewer, request: Request) -> Response:
    """Every call of every test file, decided by the files as they are now."""
    tried = await trials.tried(services)
    return frame.show(request, visitor, "rules/tests.html", tried=tried)
