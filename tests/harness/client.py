"""Registered clients with keys of their own: they ask for tokens over HTTP, and prove their keys.

ada = Client(gateway, "ada")
agent = await ada.begin()                   # a session of its own
helper = await Client(gateway, "bo").receive(agent)   # ada's work, handed on
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any

import httpx

from gateway.identity.authorization_server import CLIENT_CREDENTIALS, TOKEN_EXCHANGE
from gateway.identity.oauth_request import ASSERTION_TYPE
from gateway.identity.token_exchange import ACCESS_TOKEN
from tests.gateway.identity.signing import Key, base64
from tests.harness.agent import Agent, Answer
from tests.harness.gateway import Running

KEYS: dict[str, Key] = {}
_NUMBERS = count()


def key_of(name: str) -> Key:
    """The key that a client of this name has in all tests."""
    return KEYS.setdefault(name, Key.ed25519())


def registered(folder: Path, names: Iterable[str]) -> dict[str, Any]:
    """Settings in which these are clients; their keys are written below `folder`."""
    folder.mkdir(exist_ok=True)
    clients = {}
    for name in names:
        path = folder / f"{name}.jwk"
        path.write_text(json.dumps(key_of(name).jwk))
        clients[name] = {"private_key_jwt": str(path)}
    return {"identity": {"clients": clients, "tokens": {"skew": "0s"}}}


@dataclass
class Client:
    """One client of a running gateway."""

    gateway: Running
    name: str

    @property
    def now_s(self) -> int:
        return self.gateway.clock() // 1_000_000

    def assertion(self, key: Key | None = None, **changes: object) -> dict[str, str]:
        """What it authenticates itself with."""
        key = key or key_of(self.name)
        stated = {
            "iss": self.name,
            "sub": self.name,
            "aud": self.gateway.url,
            "exp": self.now_s + 60,
            "jti": f"assertion-{next(_NUMBERS)}",
        }
        text = key.jwt({"alg": key.algorithm}, stated | changes)
        return {"client_assertion_type": ASSERTION_TYPE, "client_assertion": text}

    async def ask(self, proof: str | None = None, /, **form: str) -> httpx.Response:
        """A request to the token endpoint."""
        headers = {} if proof is None else {"dpop": proof}
        return await self.gateway.http.post(
            f"{self.gateway.url}/oauth/token", data=self.assertion() | form, headers=headers
        )

    async def begin(self, **form: str) -> Agent:
        """An agent with a token of a new session; its own, or as the form says."""
        answered = await self.ask(grant_type=CLIENT_CREDENTIALS, **form)
        return self._agent(answered, form.get("agent", self.name))

    async def exchange(self, token: str | None, **form: str) -> httpx.Response:
        """Ask for a token for a token."""
        assert token is not None
        subject = {"subject_token": token, "subject_token_type": ACCESS_TOKEN}
        return await self.ask(grant_type=TOKEN_EXCHANGE, **{**subject, **form})

    async def receive(self, work: Agent, **form: str) -> Agent:
        """Take over the work of another agent: an agent that acts for it."""
        return self._agent(await self.exchange(work.token, **form), self.name)

    def _agent(self, answered: httpx.Response, name: str) -> Agent:
        assert answered.is_success, answered.text
        token = answered.json()["access_token"]
        principal = self.gateway.gateway.services.tokens.check(token.encode(), self.now_s)
        return Agent(self.gateway.http, self.gateway.url, token, name, principal.session)


@dataclass
class Holder:
    """Who holds a key, and makes proofs of it as RFC 9449 says."""

    gateway: Running
    key: Key
    nonce: str = ""

    def proof(self, method: str, path: str, token: str | None = None, **changes: object) -> str:
        """A proof for one request."""
        stated: dict[str, object] = {
            "htm": method,
            "htu": self.gateway.url + path,
            "iat": self.gateway.clock() // 1_000_000,
            "jti": f"proof-number-{next(_NUMBERS)}",
            "nonce": self.nonce,
        }
        if token is not None:
            stated["ath"] = base64(sha256(token.encode()).digest())
        header = {"typ": "dpop+jwt", "alg": self.key.algorithm, "jwk": self.key.jwk}
        return self.key.jwt(header, stated | changes)

    async def bind(self, client: Client) -> Agent:
        """An agent whose token is bound to this key; it is asked for twice, once for a nonce."""
        first = await client.ask(self.proof("POST", "/oauth/token"), grant_type=CLIENT_CREDENTIALS)
        assert first.json()["error"] == "use_dpop_nonce"
        self.nonce = first.headers["dpop-nonce"]
        answered = await client.ask(
            self.proof("POST", "/oauth/token"), grant_type=CLIENT_CREDENTIALS
        )
        assert answered.json()["token_type"] == "DPoP"
        return client._agent(answered, client.name)

    def headers(self, agent: Agent, path: str, **changes: object) -> dict[str, str]:
        """What goes with a POST of this agent."""
        assert agent.token is not None
        return {
            "authorization": f"DPoP {agent.token}",
            "dpop": self.proof("POST", path, agent.token, **changes),
        }

    async def call(self, agent: Agent, tool: str, /, **args: Any) -> Answer:  # noqa: ANN401 - JSON
        """An ordinary call over REST, with its proof."""
        path = f"/v1/tools/{tool.replace('.', '/', 1)}"
        answered = await agent.post(json.dumps(args).encode(), self.headers(agent, path), path=path)
        self.nonce = answered.headers.get("dpop-nonce", self.nonce)
        return answered
