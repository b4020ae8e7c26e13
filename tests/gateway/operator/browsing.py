"""A browser of an operator that keeps cookies and follows nothing."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from gateway.operator.console_code import RANDOM_BYTES, make
from tests.harness.gateway import Running, running
from tests.harness.provider import Provider

CODE = make(bytes(range(RANDOM_BYTES)))
ROLES = {"approver": ["finance"], "administrator": ["platform"], "viewer": ["staff"]}


class Browser:
    """Keeps cookies and follows nothing."""

    def __init__(self, gateway: Running) -> None:
        self.url = gateway.operators_url
        self.gateway = gateway
        self.since = gateway.size
        self.http = httpx.AsyncClient(trust_env=False, timeout=30)

    async def get(self, path: str, **more: Any) -> httpx.Response:  # noqa: ANN401 - of httpx
        url = path if path.startswith("http") else f"{self.url}{path}"
        return await self.http.get(url, **more)

    async def post(self, path: str, **more: Any) -> httpx.Response:  # noqa: ANN401 - of httpx
        headers = {"origin": self.url, **more.pop("headers", {})}
        return await self.http.post(f"{self.url}{path}", headers=headers, **more)

    async def go(self) -> str:
        """To the provider, log in there: where it sends the browser back to."""
        begun = await self.get("/login/oidc")
        assert begun.status_code == 303, begun.text
        return (await self.get(begun.headers["location"])).headers["location"]

    async def log_in(self) -> httpx.Response:
        return await self.get(await self.go())

    async def csrf(self) -> str:
        found: str = (await self.get("/api/whoami")).json()["csrf"]
        return found

    def entries(self, kind: str | None = None) -> list[dict[str, Any]]:
        """Entries since this browser was opened."""
        return self.gateway.entries(kind, since=self.since)

    @property
    def cookies(self) -> dict[str, str]:
        return dict(self.http.cookies)


@asynccontextmanager
async def browsing(gateway: Running) -> AsyncIterator[Browser]:
    browser = Browser(gateway)
    async with browser.http:
        yield browser


def identity(corp: Provider, **more: object) -> dict[str, Any]:
    oidc = {"issuer": corp.url, "audience": corp.client, **more}
    return {
        "identity": {"tokens": {"skew": "10s"}, "operators": {"oidc": oidc, "roles": ROLES}},
    }


@asynccontextmanager
async def developing(tmp_path: Path) -> AsyncIterator[tuple[Running, Browser]]:
    """A development gateway, and somebody before it."""
    async with (
        running(tmp_path, mode="dev", console_code=CODE) as gateway,
        browsing(gateway) as browser,
    ):
        yield gateway, browser
