"""Client documents: where an application may have people sent back to, by its own word.

Its client id is the address of that document (OAuth Client ID Metadata Document, as MCP asks for).
Only documents that an operator registered are read, and nothing of them but the addresses: names
and pictures are an application's own words, and people are shown its client id instead.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

from audit.canonical import Json
from gateway.errors import AddressRefused, FetchFailed
from gateway.identity.applications import Application
from gateway.identity.errors import ApplicationRefused, RedirectRefused
from gateway.identity.redirects import Redirect
from gateway.links.address import Destination
from gateway.links.fetch import Fetched, Fetcher

KEPT_S = 3600
ASKED_AGAIN_S = 30
"""How long after one that could not be read nobody is asked again."""

MOST = 16
"""Addresses of one application."""


@dataclass(frozen=True, slots=True)
class _Known:
    redirects: tuple[Redirect, ...]
    until: int


class ClientDocuments:
    """The documents that were read lately.

    now_s  seconds since 1970, by the log's clock
    """

    def __init__(self, fetcher: Fetcher, now_s: Callable[[], int]) -> None:
        self._fetcher = fetcher
        self._now_s = now_s
        self._known: dict[str, _Known] = {}
        self._one_at_a_time = asyncio.Lock()

    async def completed(self, application: Application) -> Application:
        """The application with its addresses. Raises ApplicationRefused when it says none."""
        if not application.is_a_document:
            return application
        async with self._one_at_a_time:  # however many browsers come, one asks
            known = self._known.get(application.id)
            if known is None or known.until <= self._now_s():
                known = self._known[application.id] = await self._read(application.id)
        if not known.redirects:
            raise ApplicationRefused("what this application says of itself cannot be read")
        return replace(application, redirects=known.redirects)

    async def _read(self, client_id: str) -> _Known:
        try:
            answer = await self._fetcher.get(Destination.parse(client_id))
            redirects = _redirects(answer, client_id)
        except (FetchFailed, AddressRefused, RedirectRefused):
            return _Known((), self._now_s() + ASKED_AGAIN_S)
        return _Known(redirects, self._now_s() + KEPT_S)


def _redirects(answer: Fetched, client_id: str) -> tuple[Redirect, ...]:
    """Raises FetchFailed, or RedirectRefused: it must name itself exactly, and no secret."""
    members = answer.members()
    if answer.status != 200 or members.get("client_id") != client_id:
        raise RedirectRefused("a document of another application")
    if members.get("token_endpoint_auth_method", "none") != "none" or "client_secret" in members:
        raise RedirectRefused("an application of this kind proves nothing")
    listed = members.get("redirect_uris")
    if not isinstance(listed, list) or not 0 < len(listed) <= MOST:
        raise RedirectRefused(f"expected 1 to {MOST} addresses")
    return tuple(_redirect(each) for each in listed)


def _redirect(text: Json) -> Redirect:
    redirect = Redirect.parse(text if isinstance(text, str) else "")
    # Whichever program took a scheme first gets what is sent to it: only an operator may say which.
    if not (redirect.is_here or redirect.is_on_the_web):
        raise RedirectRefused("a scheme of its own is registered by an operator")
    return redirect
