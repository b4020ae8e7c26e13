"""An authorization server on loopback, as upstreams have them: it checks who asks and notes it all.

    async with issuer() as idp:
        idp.secrets["gw"] = "the-secret-of-gw"
        ... {"oauth_client": {"issuer": idp.url, "client": "gw", "secret": "env:SECRET"}}
        assert idp.forms[-1]["resource"] == "https://crm.example/mcp"

It answers properly until a test has `then` answer instead.
"""

import asyncio
import json
from base64 import b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qsl, unquote_plus, urlencode

import jwt

from tests.gateway.links.http_upstream import Heard, _read, http

EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
METADATA = "/.well-known/oauth-authorization-server"


class Refused(Exception):
    """What the server refuses, as an OAuth error."""


@dataclass
class IssuerStub:
    """The server. `forms` are the token requests it granted or refused, oldest first.

    secrets, keys  how its clients authenticate
    valid          tokens that upstreams take
    subjects       subject tokens that were exchanged
    account        whose account it is, of whoever comes to its log-in page
    owners         account by token
    """

    secrets: dict[str, str] = field(default_factory=dict)
    keys: dict[str, Any] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    at: str = METADATA
    lifetime_s: int | None = 300
    forms: list[dict[str, str]] = field(default_factory=list)
    heard: list[Heard] = field(default_factory=list)
    valid: list[str] = field(default_factory=list)
    subjects: list[str] = field(default_factory=list)
    then: Callable[[Heard], bytes] | None = None
    before: Callable[[], Awaitable[object]] | None = None
    port: int = 0
    account: str = "ana@upstream"
    owners: dict[str, str] = field(default_factory=dict)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    refreshes: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def targets(self) -> list[str]:
        return [heard.target for heard in self.heard]

    # -- what it does -----------------------------------------------------------------------

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            heard = await _read(reader)
            self.heard.append(heard)
            if self.before is not None:
                await self.before()
            writer.write(self._answer(heard))
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def _answer(self, heard: Heard) -> bytes:
        if heard.target == "/token":
            return self.then(heard) if self.then is not None else self._token(heard)
        if heard.target == self.at:
            return http(json.dumps(self._metadata()).encode())
        if heard.target.startswith("/authorize?"):
            back = self.logged_in(heard.target.partition("?")[2])
            return http(b"", "302 Found", extra=f"Location: {back}\r\n")
        return http(b"", "404 Not Found")

    def _metadata(self) -> dict[str, Any]:
        return {
            "issuer": self.url,
            "token_endpoint": f"{self.url}/token",
            "authorization_endpoint": f"{self.url}/authorize",
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
            **self.metadata,
        }

    def logged_in(self, query: str) -> str:
        """Where somebody is sent who came with this query and said yes."""
        asked = dict(parse_qsl(query))
        code = f"code-{len(self.codes)}-{self.port}"
        self.codes[code] = {**asked, "account": self.account}
        back = urlencode({"code": code, "state": asked["state"], "iss": self.url})
        return f"{asked['redirect_uri']}?{back}"

    def _token(self, heard: Heard) -> bytes:
        form = dict(parse_qsl(heard.body.decode(), strict_parsing=True))
        self.forms.append(form)
        try:
            self._authenticate(heard, form)
            self._check(form)
        except Refused as error:
            return http(json.dumps({"error": str(error)}).encode(), "400 Bad Request")
        account = self._account(form)
        if account is None:
            return self.grants()
        refresh = f"refresh-token-{len(self.forms)}-{self.port}"
        self.refreshes[refresh] = account
        answer = self.grants(refresh_token=refresh)
        self.owners[self.valid[-1]] = account
        return answer

    def _account(self, form: dict[str, str]) -> str | None:
        """Whose account a token is for; of the client itself, nobody's."""
        if form["grant_type"] == "authorization_code":
            return self.codes.pop(form["code"])["account"]
        if form["grant_type"] == "refresh_token":
            return self.refreshes.pop(form["refresh_token"])
        return None

    def grants(self, **members: Any) -> bytes:  # noqa: ANN401 - JSON
        """The bytes of an answer with a new token."""
        token = f"upstream-token-{len(self.valid)}-{self.port}"
        self.valid.append(token)
        told = {"access_token": token, "token_type": "Bearer"} | members
        if self.lifetime_s is not None:
            told.setdefault("expires_in", self.lifetime_s)
        return http(json.dumps(told).encode())

    def _authenticate(self, heard: Heard, form: dict[str, str]) -> None:
        basic = heard.headers.get("authorization", "")
        if basic.startswith("Basic "):
            pair = b64decode(basic.removeprefix("Basic ")).decode().partition(":")
            name, secret = unquote_plus(pair[0]), unquote_plus(pair[2])
        elif "client_assertion" in form:
            name = self._asserted(form["client_assertion"])
            secret = self.secrets.setdefault(name, "proved-by-key")
        else:
            name, secret = form.get("client_id", ""), form.get("client_secret", "")
        if self.secrets.get(name) != secret:
            raise Refused("invalid_client")

    def _asserted(self, assertion: str) -> str:
        name = str(jwt.decode(assertion, options={"verify_signature": False})["sub"])
        if name not in self.keys:
            raise Refused("invalid_client")
        required = ["iss", "sub", "aud", "exp", "iat", "jti"]
        claims = jwt.decode(
            assertion,
            self.keys[name],
            algorithms=["EdDSA", "ES256", "RS256"],
            audience=self.url,
            issuer=name,
            options={"require": required},
        )
        return str(claims["sub"])

    def _check(self, form: dict[str, str]) -> None:
        if "resource" not in form:
            raise Refused("invalid_target")
        if form["grant_type"] == EXCHANGE:
            self.subjects.append(form["subject_token"])
        elif form["grant_type"] == "authorization_code":
            self._check_code(form)
        elif form["grant_type"] == "refresh_token":
            if form["refresh_token"] not in self.refreshes:
                raise Refused("invalid_grant")
        elif form["grant_type"] != "client_credentials":
            raise Refused("unsupported_grant_type")

    def _check_code(self, form: dict[str, str]) -> None:
        asked = self.codes.get(form["code"])
        proven = sha256(form["code_verifier"].encode()).digest()
        challenge = urlsafe_b64encode(proven).rstrip(b"=").decode()
        if asked is None or asked["code_challenge"] != challenge:
            raise Refused("invalid_grant")
        if any(asked[name] != form[name] for name in ("redirect_uri", "resource")):
            raise Refused("invalid_grant")


@asynccontextmanager
async def issuer() -> AsyncIterator[IssuerStub]:
    """An authorization server that listens."""
    stub = IssuerStub()
    server = await asyncio.start_server(stub.serve, "127.0.0.1", 0)
    stub.port = server.sockets[0].getsockname()[1]
    try:
        yield stub
    finally:
        server.close()
        await server.wait_closed()
