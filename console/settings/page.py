"""`/settings`: the deployment as it runs, and where each value is from; no secrets."""

import re
from typing import Any

from fastapi import Request, Response

from console import frame
from console.routes import Pages
from console.values import rows
from console.visitors import Viewer
from gateway.operator import operators
from gateway.operator.api import Here
from gateway.settings import Settings

HIDDEN = "(not shown)"

_REFERENCE = re.compile(r"(env|file|keyring):\S+")
_MAY_BE_SECRET = re.compile(r"\.env\.|secret|password|token_keys$|\bcommand\[", re.IGNORECASE)
_HOLDS_MORE = re.compile(r"//[^/\s]*@|\?")  # an address with a password, or with a query

router = Pages()


@router.get("/settings")
async def settings(services: Here, visitor: Viewer, request: Request) -> Response:
    """Every setting, and who operates this gateway."""
    return frame.show(
        request,
        visitor,
        "settings/page.html",
        values=values(services.settings),
        operators=await operators.list_operators(services, visitor.operator),
        state=sorted(services.link_states().items()),
    )


def values(settings: Settings) -> list[tuple[str, str, bool]]:
    """Every setting as (path, text, whether the deployment's file states it)."""
    whole: Any = settings.model_dump(mode="json", by_alias=True)
    stated: Any = settings.model_dump(mode="json", by_alias=True, exclude_unset=True)
    named = {row.path for row in rows(stated, "")}
    return [
        (row.path.lstrip("."), _shown(row.path, row.text), row.path in named)
        for row in rows(whole, "")
    ]


def _shown(path: str, text: str) -> str:
    """A value, unless it may be a secret that stands where only a reference should."""
    if _REFERENCE.fullmatch(text) or text in {"null", "true", "false", "[]", "{}"}:
        return text
    if _MAY_BE_SECRET.search(path) or _HOLDS_MORE.search(text):
        return HIDDEN
    return text
