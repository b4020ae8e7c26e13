"""A person's browser: keeps cookies, follows redirects and pages that go on, and sends forms."""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from html import unescape
from urllib.parse import urljoin, urlsplit

import httpx
import pytest

FROM_ELSEWHERE = [
    pytest.param({"origin": "https://evil.example"}, id="another-origin"),
    pytest.param({"origin": "null"}, id="no-origin-to-speak-of"),
    pytest.param({"origin": ""}, id="empty-origin"),
    pytest.param({"host": "evil.example"}, id="another-name"),
]
"""Headers with which a form comes from another page, or for another site."""

Fields = Mapping[str, str]
"""What somebody fills into a form, by name."""


@dataclass
class Browser:
    """One browser. `seen` are the addresses it was at."""

    http: httpx.AsyncClient
    seen: list[str] = field(default_factory=list)

    async def open(self, url: str, *, until: str | None = None) -> httpx.Response:
        """Go there, and wherever one is sent; an address with `until` in it is not gone to."""
        response = await self.http.get(url)
        self.seen.append(url)
        following = onwards(response)
        if following is None or (until is not None and until in following):
            return response
        return await self.open(following, until=until)

    async def agree(
        self, page: httpx.Response, *, until: str | None = None, fill: Fields | None = None
    ) -> httpx.Response:
        """Send the form of a page; of several buttons the last one, as they agree."""
        response = await self.post(page, fill)
        following = onwards(response)
        if following is None or (until is not None and until in following):
            return response
        return await self.open(following, until=until)

    async def post(
        self, page: httpx.Response, fill: Fields | None = None, /, **headers: str
    ) -> httpx.Response:
        """Send the form of a page, filled in, and go nowhere from there."""
        found = re.search(r'action="([^"]+)"', page.text)
        assert found is not None, page.text
        fields = dict(re.findall(r'name="([^"]+)" value="([^"]*)"', page.text))
        parts = urlsplit(str(page.url))
        return await self.http.post(
            urljoin(str(page.url), found[1]),
            data={**fields, **(fill or {})},
            headers={"origin": f"{parts.scheme}://{parts.netloc}", **headers},
        )


def onwards(response: httpx.Response) -> str | None:
    """Where a response sends the browser."""
    if response.has_redirect_location:
        return urljoin(str(response.url), response.headers["location"])
    found = re.search(r'http-equiv="refresh" content="0;url=([^"]+)"', response.text)
    return None if found is None else unescape(found[1])


@asynccontextmanager
async def browser() -> AsyncIterator[Browser]:
    """A new one."""
    async with httpx.AsyncClient(trust_env=False, timeout=20) as http:
        yield Browser(http)
