"""The console on the operators' listener of a running gateway."""

from collections.abc import Iterator
from contextlib import contextmanager

from console import assets, live, theme
from console.approvals import page as approvals
from console.audit import page as audit
from console.log import page as log
from console.now import page as now
from gateway.applications import Gateway

PAGES = (now, approvals, audit, log)
ROUTERS = (assets.router, live.router, theme.router, *(page.router for page in PAGES))


@contextmanager
def shown(gateway: Gateway) -> Iterator[None]:
    """Add the pages to a gateway; at the end, close the streams that keep open pages live."""
    bell = live.Bell()
    gateway.operators.state.bell = bell
    gateway.services.log.subscribe(bell.ring)
    for router in ROUTERS:
        gateway.operators.include_router(router)
    try:
        yield
    finally:
        bell.close()
