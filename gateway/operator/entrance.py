"""The entrance: how somebody who proved who they are is let in with a browser, or turned away.

Whatever the proof was (a code, a provider, a passkey), it ends here: the entry first, then a
session that nobody had, and its cookie.
"""

from collections.abc import Mapping
from types import MappingProxyType

from fastapi import Request, Response

from audit.canonical import Json
from gateway.errors import GatewayError
from gateway.operator.access import (
    check_standing,
    cookie_of,
    is_secure,
    session_cookie,
)
from gateway.operator.api import peer
from gateway.operator.browser_sessions import LIFE_S
from gateway.operator.credentials import Operator
from gateway.operator.errors import OperatorRefused
from gateway.operator.services import Services

RECORDED = frozenset({"operator.no-role", "operator.code", "operator.passkey"})
"""Refusals of people who were known, or could be: an entry each. Others are counted."""

NOTHING: Mapping[str, Json] = MappingProxyType({})


async def let_in(
    services: Services,
    http: Request,
    answer: Response,
    operator: Operator,
    *,
    by: str,
    proof: Mapping[str, Json] = NOTHING,
) -> None:
    """Record the log-in, then give the browser a session of its own, with `answer`.

    by     how they proved who they are: `code`, `passkey`, or at which provider
    proof  further members of the entry

    Raises AuthError (`revoked`) for somebody who is suspended, and AuditUnavailable.
    """
    check_standing(services, operator)
    entry: dict[str, Json] = {
        "operator": operator.name,
        "roles": list[Json](sorted(operator.roles)),
        "groups": list[Json](sorted(operator.groups)),
        "by": by,
        "source": peer(http),
        **proof,
    }
    await services.recorder.write("operator.login", entry)
    name = session_cookie(services)
    earlier = cookie_of(http, name)
    if earlier is not None:
        services.ways_in.browsers.end(earlier)
    cookie, _ = services.ways_in.browsers.begin(operator, now_s(services), by=by)
    answer.set_cookie(
        name,
        cookie,
        max_age=LIFE_S,
        secure=is_secure(services),
        httponly=True,
        samesite="strict",
    )


async def turn_away(services: Services, http: Request, error: GatewayError, *, by: str) -> None:
    """Record that somebody was not let in."""
    source = peer(http)
    if error.code not in RECORDED:
        detail = f"operators' listener, log-in by {by}"
        await services.refusals.refuse(None, source=source, code=error.code, detail=detail)
        return
    entry: dict[str, Json] = {
        "by": by,
        "code": error.code,
        "detail": str(error)[:200],
        "source": source,
    }
    await services.recorder.write("operator.refused", entry)


def check_own_page(http: Request) -> None:
    """Raises OperatorRefused unless a page of ours sent this; a foreign one has been refused."""
    if "origin" not in http.headers:
        raise OperatorRefused("operator.origin", "expected a page of this gateway")


def now_s(services: Services) -> int:
    """Seconds since 1970, by the log's clock."""
    return services.recorder.now() // 1_000_000
