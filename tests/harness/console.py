"""People before the console: each in a browser of their own, logged in as operators are.

async with console(tmp_path) as gateway, person(gateway, "omar") as omar:
    page = await omar.get("/approvals")
    done = await omar.send(page, "/approvals/ID/deny", reason="no")
"""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any

import httpx

from cli.help import texts
from console.app import shown
from tests.harness.gateway import Running, running

_CSRF = re.compile(r'name="csrf" value="([^"]+)"')


@dataclass
class Person:
    """One person, logged in."""

    name: str
    url: str
    http: httpx.AsyncClient

    async def get(self, path: str, **more: Any) -> httpx.Response:  # noqa: ANN401 - of httpx
        """A page, wherever one is sent."""
        return await self.http.get(f"{self.url}{path}", follow_redirects=True, **more)

    async def send(self, page: httpx.Response, action: str, **fields: str) -> httpx.Response:
        """Press the button of the form of a page that leads to `action`."""
        assert f'action="{action}"' in unescape(page.text), f"no form for {action}: {page.text}"
        return await self.post(action, {"csrf": csrf_of(page), **fields})

    async def post(
        self, action: str, fields: dict[str, str], **headers: str | None
    ) -> httpx.Response:
        """Send a form that may be anybody's; a header that is None is left out."""
        sent = {"origin": self.url, **headers}
        return await self.http.post(
            f"{self.url}{action}",
            data=fields,
            headers={name: value for name, value in sent.items() if value is not None},
            follow_redirects=True,
        )


def csrf_of(page: httpx.Response) -> str:
    """The secret of the session that a page was made for."""
    found = _CSRF.search(page.text)
    assert found is not None, page.text
    return found[1]


def said(page: httpx.Response) -> str:
    """What stands in a page, without its markup."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page.text)).split())


@asynccontextmanager
async def console(folder: Path, *given: Any, **more: Any) -> AsyncIterator[Running]:  # noqa: ANN401 - of `running`
    """A gateway with its pages."""
    async with running(folder, *given, **more) as gateway:
        with shown(gateway.gateway, texts()):
            yield gateway


@asynccontextmanager
async def person(gateway: Running, name: str) -> AsyncIterator[Person]:
    """Somebody who holds a key and has logged in with a code."""
    given = await gateway.operate("POST", "/api/operators/code", {}, by=name)
    async with httpx.AsyncClient(trust_env=False, timeout=30) as http:
        found = Person(name, gateway.operators_url, http)
        entered = await found.post("/login", {"code": given.json()["code"]})
        assert entered.status_code == 200, entered.text
        yield found
