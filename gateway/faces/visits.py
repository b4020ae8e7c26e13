"""Visits: what every page of the agents' listener does with what a browser sends.

For people, and without any credential of ours. One cookie ties the steps of one journey to one
browser; forms must come from a page of ours; what goes wrong is said in words for the person.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from html import escape
from urllib.parse import parse_qsl

import structlog
from fastapi import Request, Response
from fastapi.responses import RedirectResponse

from audit.errors import AuditError
from gateway import page
from gateway.errors import ConnectRefused, GatewayError, RequestRefused
from gateway.faces.http import ClientGone, EdgeRules, read_body, read_head, source
from gateway.faces.oauth import Refuse
from gateway.faces.problems import status_of
from gateway.identity.errors import ApplicationRefused, SentBack
from gateway.links.tickets import LIFETIME_S

MAX_BODY = 2048
MAX_QUERY = 8192
MAX_PARAMETERS = 32

_log = structlog.get_logger(__name__)


class Visits:
    """Reads visits, and answers each.

    title  of the page that says what went wrong
    """

    def __init__(self, rules: EdgeRules, refuse: Refuse, *, title: str) -> None:
        self._rules = replace(rules, max_body=MAX_BODY)
        self._refuse = refuse
        self._title = title
        self._secure = rules.public_url.startswith("https://")
        # A browser takes a cookie of that prefix only from this very host, and encrypted.
        self._cookie = "__Host-passavant-visit" if self._secure else "passavant-visit"

    async def answer(self, request: Request, step: Callable[[], Awaitable[Response]]) -> Response:
        """Do one step, and say what went wrong."""
        try:
            read_head(request.scope, self._rules)
            return await step()
        except SentBack as error:
            await self._refuse(None, source(request.scope), error.code, str(error))
            return RedirectResponse(error.url, 303, headers=page.HEADERS)
        except GatewayError as error:
            await self._refuse(None, source(request.scope), error.code, str(error))
            said = str(error) if isinstance(error, _FOR_PEOPLE) else _SILENT
            return self._said(said, status_of(error.code))
        except AuditError:
            return self._said("It cannot be recorded at the moment", 503)
        except ClientGone:
            return Response(status_code=400)
        except Exception as error:  # noqa: BLE001 - the outermost handler: it denies
            _log.error("visit.failed", error=type(error).__name__)
            return self._said("The gateway failed", 500)

    def query(self, request: Request) -> dict[str, str]:
        """The parameters of the address, each given once. Raises RequestRefused."""
        return _once(_pairs(request.scope["query_string"], MAX_QUERY))

    def parameters(self, request: Request) -> Mapping[str, tuple[str, ...]]:
        """The parameters of the address, of which `resource` may be given more than once.

        Raises RequestRefused.
        """
        pairs = _pairs(request.scope["query_string"], MAX_QUERY)
        resources = tuple(value for name, value in pairs if name == "resource" and value)
        found = _once([pair for pair in pairs if pair[0] != "resource"])
        # RFC 6749, section 3.1: without a value is as if omitted.
        return {**{name: (value,) for name, value in found.items() if value}, "resource": resources}

    async def form(self, request: Request) -> dict[str, str]:
        """A form that a page of ours sent. Raises RequestRefused and ClientGone."""
        head = read_head(request.scope, self._rules)
        if b"origin" not in head.headers:  # a foreign one has been refused already
            raise RequestRefused("request.origin", "expected a form of this gateway")
        return _once(_pairs(await read_body(request.receive, head, self._rules), MAX_BODY))

    def browser(self, request: Request) -> str | None:
        """The secret of the browser's journey; None when it has none, or two: one was planted."""
        lines = "; ".join(request.headers.getlist("cookie")).split(";")
        pairs = [line.strip().partition("=") for line in lines]
        found = [value for name, _, value in pairs if name == self._cookie]
        return found[0] if len(found) == 1 and found[0] else None

    def begin(self, answer: Response, browser: str) -> None:
        """Give the browser the secret of a new journey."""
        answer.set_cookie(
            self._cookie,
            browser,
            max_age=LIFETIME_S,
            secure=self._secure,
            httponly=True,
            samesite="lax",  # it must come along when others send the browser back
        )

    def end(self, answer: Response) -> None:
        """The journey is over."""
        answer.delete_cookie(self._cookie, secure=self._secure, httponly=True)

    def _said(self, text: str, status: int) -> Response:
        return page.page(self._title, f'<p role="alert">{escape(text)}.</p>', status=status)


_FOR_PEOPLE = (ConnectRefused, RequestRefused, ApplicationRefused)
_SILENT = "The other side did not answer as it should; try again later"


def _pairs(raw: bytes, most: int) -> list[tuple[str, str]]:
    if len(raw) > most:
        raise RequestRefused("request.too_large", f"more than {most} bytes")
    try:
        return parse_qsl(raw.decode("ascii"), max_num_fields=MAX_PARAMETERS, errors="strict")
    except ValueError:
        raise RequestRefused("request.malformed", "these are no parameters") from None


def _once(pairs: list[tuple[str, str]]) -> dict[str, str]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise RequestRefused("request.malformed", "a parameter appears twice")
    return found
