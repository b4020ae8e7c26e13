"""The console on the operators' listener of a running gateway."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from fastapi import APIRouter

from console import assets, live, theme
from console.agents import page as agents
from console.approvals import page as approvals
from console.audit import page as audit
from console.flows import page as flows
from console.help import page as help_
from console.log import page as log
from console.now import page as now
from console.rules import draft, grants, playground, trials
from console.rules import page as rules
from console.runs import fork, rollback
from console.runs import page as runs
from console.servers import page as servers
from console.settings import page as settings
from console.stop import page as stop
from gateway.applications import Gateway

RULES = (rules, playground, draft, trials, grants)
RUNS = (flows, fork, rollback, runs)  # in this order: their pages stand where those of runs would
PAGES = (now, approvals, *RUNS, audit, agents, servers, *RULES, log, stop, settings, help_)

_routes = APIRouter()  # one for all gateways: to lay it out takes longer than a page
for _router in (assets.router, live.router, theme.router, *(page.router for page in PAGES)):
    _routes.include_router(_router)


@contextmanager
def shown(gateway: Gateway, codes: Mapping[str, str]) -> Iterator[None]:
    """Add the pages to a gateway; at the end, let go of who would wait as long as it lasts.

    codes  what each stable code means
    """
    gateway.operators.state.codes = codes
    gateway.operators.router.routes.extend(_routes.routes)
    try:
        yield
    finally:
        gateway.leave()
