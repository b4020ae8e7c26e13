"""An application on somebody's own machine, such as an editor: what it asks for, and how.

editor = Application(gateway)
page = await editor.asked(ana)            # ana has logged in, and is asked
tokens = await editor.authorized(ana)     # and agreed
agent = editor.agent(tokens)
"""

from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx

from tests.harness.agent import Agent
from tests.harness.browser import Browser, onwards
from tests.harness.gateway import Running
from tests.harness.provider import Provider

REDIRECT = "http://127.0.0.1:49152/callback"
"""Where it listens: the port is its own choice, the rest is registered."""

REGISTERED = "http://127.0.0.1/callback"


def settings(corp: Provider, **applications: Mapping[str, Any]) -> dict[str, Any]:
    """Settings in which `editor` is an application that acts as `clerk-1`, beside others."""
    editor = {"agent": "clerk-1", "redirect_uris": [REGISTERED]}
    users = {"corp": {"oidc": {"issuer": corp.url, "audience": "passavant"}}}
    identity = {
        "users": users,
        "applications": {"editor": editor, **applications},
        "tokens": {"skew": "0s"},
    }
    return {"identity": identity}


@dataclass
class Application:
    """One of them, with one secret for each request that it makes."""

    gateway: Running
    id: str = "editor"
    redirect: str = REDIRECT
    agent_name: str = "clerk-1"
    verifier: str = field(default_factory=lambda: "v" * 43)

    @property
    def challenge(self) -> str:
        """What it names before anybody is asked."""
        return urlsafe_b64encode(sha256(self.verifier.encode()).digest()).rstrip(b"=").decode()

    def url(self, **changes: str | None) -> str:
        """Where it sends a browser; None: without that parameter."""
        asked: dict[str, str | None] = {
            "response_type": "code",
            "client_id": self.id,
            "redirect_uri": self.redirect,
            "code_challenge": self.challenge,
            "code_challenge_method": "S256",
            "state": "the-state",
            "resource": f"{self.gateway.url}/mcp",
            **changes,
        }
        given = {name: value for name, value in asked.items() if value is not None}
        return f"{self.gateway.url}/oauth/authorize?{urlencode(given)}"

    async def asked(self, person: Browser, **changes: str | None) -> httpx.Response:
        """The question that somebody is asked after they logged in."""
        page = await person.open(self.url(**changes))
        assert "act for you" in page.text, page.text
        return page

    async def back(self, person: Browser, page: httpx.Response, answer: str = "allow") -> str:
        """Where a browser is sent after somebody answered."""
        url = onwards(await person.post(page, {"answer": answer}))
        assert url is not None
        return url

    def answer(self, back: str | None) -> dict[str, str]:
        """What came back to it."""
        assert back is not None
        assert back.startswith(f"{self.redirect}?"), back
        return dict(parse_qsl(urlsplit(back).query))

    async def code(self, person: Browser, **changes: str | None) -> str:
        """The code that it gets when somebody agrees."""
        page = await self.asked(person, **changes)
        return self.answer(await self.back(person, page))["code"]

    async def exchange(self, code: str, **changes: str) -> httpx.Response:
        """Ask for tokens for a code."""
        form = {
            "grant_type": "authorization_code",
            "client_id": self.id,
            "code": code,
            "redirect_uri": self.redirect,
            "code_verifier": self.verifier,
            **changes,
        }
        return await self.ask(**form)

    async def refresh(self, token: str, **changes: str) -> httpx.Response:
        """Ask for tokens for a refresh token."""
        form = {"grant_type": "refresh_token", "client_id": self.id, "refresh_token": token}
        return await self.ask(**{**form, **changes})

    async def ask(self, proof: str | None = None, /, **form: str) -> httpx.Response:
        """A request to the token endpoint."""
        headers = {} if proof is None else {"dpop": proof}
        url = f"{self.gateway.url}/oauth/token"
        return await self.gateway.http.post(url, data=form, headers=headers)

    async def authorized(self, person: Browser, **changes: str | None) -> dict[str, Any]:
        """What it gets when somebody agrees."""
        answered = await self.exchange(await self.code(person, **changes))
        assert answered.is_success, answered.text
        tokens: dict[str, Any] = answered.json()
        return tokens

    def agent(self, tokens: Mapping[str, Any]) -> Agent:
        """The agent that it acts as with these tokens."""
        token = str(tokens["access_token"])
        now_s = self.gateway.clock() // 1_000_000
        principal = self.gateway.gateway.services.tokens.check(token.encode(), now_s)
        return Agent(self.gateway.http, self.gateway.url, token, self.agent_name, principal.session)
