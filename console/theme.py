"""`/theme`: light, dark, or as the system has it; kept in a cookie that says nothing else."""

from fastapi import Response

from console.frame import THEME_COOKIE, THEMES
from console.routes import Pages, see_again
from console.visitors import Viewer
from gateway.operator.access import is_secure
from gateway.operator.api import Here
from gateway.operator.errors import OperatorRefused

_YEAR_S = 365 * 24 * 3600

router = Pages()


@router.post("/theme")
async def choose(services: Here, visitor: Viewer) -> Response:
    """Take a choice, and go back to the page that it was made on."""
    theme = visitor.field("theme")
    if theme not in THEMES:
        raise OperatorRefused("operator.body", "there are no such colours")
    answer = see_again(visitor, "/")
    answer.set_cookie(
        THEME_COOKIE,
        theme,
        max_age=_YEAR_S,
        secure=is_secure(services),
        httponly=True,
        samesite="strict",
    )
    return answer
