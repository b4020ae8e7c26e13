"""The official MCP client as a desktop application: it finds its way in by itself, with a browser.

It asks without a token, follows the metadata, sends its person here, comes back with a code, and
renews what it got when that ends.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
from mcp import Client
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import (
    AuthorizationCodeResult,
    OAuthClientInformationFull,
    OAuthClientMetadata,
    OAuthToken,
)
from pydantic import AnyUrl

from tests.harness.application import REDIRECT, Application, settings
from tests.harness.browser import Browser, browser
from tests.harness.gateway import Running, running
from tests.harness.provider import provider
from tests.harness.upstream import Desk, desk


@dataclass
class Kept:
    """What the application keeps; its client id was registered by an operator."""

    tokens: OAuthToken | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull:
        return OAuthClientInformationFull(
            client_id="editor",
            redirect_uris=[AnyUrl(REDIRECT)],
            token_endpoint_auth_method="none",
        )

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        raise AssertionError("nothing is registered from outside")


@dataclass
class Editor:
    """The application with its person in front of it."""

    gateway: Running
    person: Browser
    kept: Kept
    asked: int = 0
    back: str | None = None

    async def send(self, url: str) -> None:
        self.asked += 1
        page = await self.person.open(url)
        assert "act for you" in page.text, page.text
        self.back = await Application(self.gateway).back(self.person, page)

    async def returned(self) -> AuthorizationCodeResult:
        answer = Application(self.gateway).answer(self.back)
        return AuthorizationCodeResult(
            code=answer["code"], state=answer["state"], iss=answer["iss"]
        )

    def provider(self) -> OAuthClientProvider:
        metadata = OAuthClientMetadata(
            redirect_uris=[AnyUrl(REDIRECT)],
            grant_types=["authorization_code", "refresh_token"],
            token_endpoint_auth_method="none",
        )
        url = f"{self.gateway.url}/mcp"
        return OAuthClientProvider(url, metadata, self.kept, self.send, self.returned)

    async def pay(self, auth: OAuthClientProvider, amount: int) -> bool:
        url = f"{self.gateway.url}/mcp"
        async with (
            httpx2.AsyncClient(auth=auth, trust_env=False, timeout=20) as http,
            Client(streamable_http_client(url, http_client=http)) as client,
        ):
            result = await client.call_tool("desk__pay", {"amount": amount, "to": "paper"})
            return not result.is_error


@pytest.fixture
async def upstream() -> AsyncIterator[Desk]:
    async with desk() as made:
        yield made


async def test_the_official_client_logs_its_person_in_and_renews(
    tmp_path: Path, upstream: Desk
) -> None:
    async with provider() as corp, browser() as ana:
        corp.client = "passavant"
        made = settings(corp)
        async with running(tmp_path, servers={"desk": upstream}, settings=made) as gateway:
            editor = Editor(gateway, ana, Kept())
            auth = editor.provider()
            assert await editor.pay(auth, 40)
            first = editor.kept.tokens
            auth.context.token_expiry_time = 1  # by its own clock the token has ended
            assert await editor.pay(auth, 41)
            second = editor.kept.tokens
            assert first is not None
            assert second is not None
            assert first.refresh_token != second.refresh_token
            assert (upstream.paid, editor.asked) == ([40, 41], 1)
            assert len({each["session"] for each in gateway.entries("token.issue")}) == 1
