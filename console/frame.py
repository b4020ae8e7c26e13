"""The frame of every page: what stands around it, and the headers that keep it from doing harm.

Scripts are ours, by a nonce that is new for each page; nothing is loaded from elsewhere, nothing is
framed, forms lead back here. Attributes of htmx act only with that nonce (its `hx-csp`), so that
markup in a stranger's text, were it ever not escaped, could not act either.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from console import marks
from console.assets import MORE, SCRIPTS, STYLE, assets
from console.visitors import Visitor
from gateway import page
from gateway.identity.public_keys import base64url
from gateway.operator.api import services_of
from gateway.operator.services import Services

NAVIGATION = (
    ("/", "Now"),
    ("/approvals", "Approvals"),
    ("/runs", "Runs"),
    ("/audit", "Audit"),
    ("/agents", "Agents"),
    ("/servers", "Servers"),
    ("/policies", "Policies"),
    ("/log", "Log"),
    ("/stop", "Stop"),
    ("/settings", "Settings"),
    ("/help", "Help"),
)
THEMES = ("system", "light", "dark")
THEME_COOKIE = "passavant-theme"

_NONCE_BYTES = 16
_POLICY = (
    "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'; "
    "require-trusted-types-for 'script'; trusted-types htmx"
)


@dataclass(frozen=True, slots=True)
class Bar:
    """What every page says of the gateway.

    waiting  requests that nobody has answered
    owing    requests that somebody approved alone and nobody else has reviewed
    """

    size: int
    log: str
    snapshot: str
    is_stopped: bool
    waiting: int
    owing: int
    alarms: int


def show(
    request: Request, visitor: Visitor, template: str, /, *, status: int = 200, **view: object
) -> HTMLResponse:
    """A page for somebody who is logged in.

    template  its path below this package
    view      what the template names
    """
    services = services_of(request)
    nonce = base64url(services.random(_NONCE_BYTES))
    around: Mapping[str, object] = {
        "bar": bar(services),
        "csrf": visitor.session.csrf,
        "here": _path(request),
        "more": {name: assets()[name].path for name in MORE},
        "may": visitor.operator.may,
        "navigation": NAVIGATION,
        "nonce": nonce,
        "scripts": [assets()[name].path for name in SCRIPTS],
        "style": assets()[STYLE].path,
        "theme": theme_of(request),
        "themes": THEMES,
        "version": services.version,
        "who": visitor.operator.name,
    }
    html = templates().get_template(template).render({**around, **view})
    return HTMLResponse(html, status, headers=_headers(nonce))


@cache
def templates() -> Environment:
    """Every template; a name that nobody gave is an error, and whatever is given is escaped."""
    made = Environment(
        loader=PackageLoader("console", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    marks.install(made)
    return made


def bar(services: Services) -> Bar:
    """What every page says of the gateway now."""
    return Bar(
        size=services.log.size,
        log=services.log.state,
        snapshot=services.worlds.current.snapshot.digest,
        is_stopped=services.state.revocations.stopped,
        waiting=sum(each.state == "asked" for each in services.state.approvals.all()),
        owing=sum(each.owes_review for each in services.state.approvals.all()),
        alarms=len(services.state.alarms.recent()),
    )


def theme_of(request: Request) -> str:
    """Light or dark as somebody chose, or as their system has it."""
    chosen = request.cookies.get(THEME_COOKIE, "")
    return chosen if chosen in THEMES else THEMES[0]


def _path(request: Request) -> str:
    query = request.url.query
    return f"{request.url.path}?{query}" if query else request.url.path


def _headers(nonce: str) -> Mapping[str, str]:
    policy = _POLICY.format(nonce=nonce)
    return {**page.HEADERS, "content-security-policy": policy}
