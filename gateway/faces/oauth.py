"""OAuth over HTTP: the endpoints of the authorization server, and the documents that lead to them.

POST /oauth/token, /oauth/revoke and /oauth/introspect are answered by
`gateway.identity.authorization_server`. Metadata (RFC 8414, RFC 9728) and public keys (RFC 7517)
are open to everyone: a client needs them before it has a credential, and they name nothing but
this gateway itself.
"""

import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeAlias

import structlog
from fastapi import APIRouter, Request, Response

from audit.canonical import Json
from audit.errors import AuditUnavailable
from gateway.errors import RequestRefused
from gateway.faces.edge import METADATA
from gateway.faces.http import ClientGone, EdgeRules, Head, Reply, read_body, read_head, source
from gateway.faces.problems import problem
from gateway.identity.applications import NONE, Applications
from gateway.identity.authorization_server import (
    AUTHORIZATION_CODE,
    CLIENT_CREDENTIALS,
    REFRESH_TOKEN,
    TOKEN_EXCHANGE,
    AuthorizationServer,
)
from gateway.identity.errors import DelegationRefused, OAuthError
from gateway.identity.keys import KeySet
from gateway.identity.oauth_request import MAX_BODY, OAuthRequest
from gateway.identity.public_keys import ALGORITHMS
from gateway.links.jsonrpc import dump
from gateway.principal import Principal

Refuse: TypeAlias = Callable[[Principal | None, str, str, str], Awaitable[object]]
"""Records that a request was refused: nobody known, peer address, code, our own words."""

_log = structlog.get_logger(__name__)

_FORM_TYPE = re.compile(
    rb"application/x-www-form-urlencoded(?:\s*;\s*charset=\"?utf-8\"?)?\s*", re.IGNORECASE
)
_RESOURCE = re.compile(r"|/v1|/mcp(?:/[a-z][a-z0-9-]{0,19})?|/a2a/[a-z][a-z0-9-]{0,39}")
_STATUS = {"invalid_client": 401, "slow_down": 429, "temporarily_unavailable": 503}
_AUTHENTICATION = ["client_secret_basic", "client_secret_post", "private_key_jwt"]
_KEYS_CACHED = b"public, max-age=300"  # a new key is asked for by its id anyway
_NO_STORE = ((b"cache-control", b"no-store"), (b"pragma", b"no-cache"))  # RFC 6749, section 5.1


class OAuthFace:
    """The OAuth endpoints of the agents' listener.

    now_s  seconds since 1970, never backwards
    nonce  what proofs of possession must carry at a second
    applications  for whom people are asked here, and sent back with a code
    """

    def __init__(
        self,
        *,
        server: AuthorizationServer,
        keys: KeySet,
        rules: EdgeRules,
        refuse: Refuse,
        now_s: Callable[[], int],
        nonce: Callable[[int], str],
        applications: Applications = NONE,
    ) -> None:
        self._server = server
        self._keys = keys
        self._rules = replace(rules, max_body=MAX_BODY)
        self._url = rules.public_url
        self._refuse = refuse
        self._now_s = now_s
        self._nonce = nonce
        self._applications = applications

    def router(self) -> APIRouter:
        """The routes, to be included in the listener's application.

        Plain ones, as they take nothing but the request: FastAPI would keep what it finds out about
        an endpoint, and so this face and all behind it, when the gateway has long been closed.
        """
        router = APIRouter()
        for path, endpoint in (
            ("/oauth/token", self._token),
            ("/oauth/revoke", self._revoke),
            ("/oauth/introspect", self._introspect),
        ):
            router.add_route(path, endpoint, methods=["POST"], include_in_schema=False)
        for path, document in (
            ("/.well-known/jwks.json", self._jwks),
            ("/.well-known/oauth-authorization-server", self._server_metadata),
            (METADATA, self._resource_metadata),
            (METADATA + "/{resource:path}", self._resource_metadata),
        ):
            router.add_route(path, document, methods=["GET"], include_in_schema=False)
        return router

    # -- questions

    async def _token(self, request: Request) -> Response:
        return await self._answer(request, self._server.token)

    async def _introspect(self, request: Request) -> Response:
        return await self._answer(request, self._server.introspect)

    async def _revoke(self, request: Request) -> Response:
        async def revoke(question: OAuthRequest, now_s: int) -> dict[str, Json]:
            await self._server.revoke(question, now_s)
            return {}

        return await self._answer(request, revoke)

    async def _answer(
        self,
        request: Request,
        ask: Callable[[OAuthRequest, int], Awaitable[dict[str, Json]]],
    ) -> Response:
        """Read a form, ask the server, and answer, whatever happens."""
        try:
            question = await self._read(request)
            members = await ask(question, self._now_s())
            reply = Reply(200, dump(members), (*_NO_STORE, *self._next_nonce(question)))
        except (RequestRefused, OAuthError) as refused:
            await self._refuse(
                _attempted_by(refused), source(request.scope), refused.code, str(refused)
            )
            reply = _refusal(refused)
        except AuditUnavailable:
            reply = _oauth_error("temporarily_unavailable", "it could not be recorded", 503)
        except ClientGone:
            reply = Reply(400)
        except Exception as error:  # noqa: BLE001 - the outermost handler: it denies
            _log.error("oauth.failed", error=type(error).__name__)
            reply = problem("internal", "the gateway failed; nothing more is known")
        return _response(reply)

    def _next_nonce(self, question: OAuthRequest) -> tuple[tuple[bytes, bytes], ...]:
        """What the client's next proof must carry, if it makes any (RFC 9449, section 8.2)."""
        if question.proof is None:
            return ()
        return ((b"dpop-nonce", self._nonce(self._now_s()).encode()),)

    async def _read(self, request: Request) -> OAuthRequest:
        head = self._head(request)
        kind = head.headers.get(b"content-type", b"")
        if not _FORM_TYPE.fullmatch(kind) or b"content-encoding" in head.headers:
            raise RequestRefused("request.media_type", "the body must be a form, in UTF-8")
        body = await read_body(request.receive, head, self._rules)
        authorization = head.headers.get(b"authorization")
        return OAuthRequest.read(
            body,
            authorization=authorization,
            source=head.source,
            proof=head.headers.get(b"dpop"),
        )

    def _head(self, request: Request) -> Head:
        head = read_head(request.scope, self._rules)
        if request.scope["query_string"]:  # a credential there would end up in logs
            raise RequestRefused("request.malformed", "nothing is read from a query string")
        return head

    # -- documents

    async def _jwks(self, request: Request) -> Response:
        return await self._publish(request, lambda _: self._keys.jwks(), cache=_KEYS_CACHED)

    async def _server_metadata(self, request: Request) -> Response:
        return await self._publish(
            request, lambda _: server_metadata(self._url, self._applications)
        )

    async def _resource_metadata(self, request: Request) -> Response:
        return await self._publish(
            request, lambda head: resource_metadata(self._url, head.path.removeprefix(METADATA))
        )

    async def _publish(
        self, request: Request, document: Callable[[Head], Json], *, cache: bytes = b"no-cache"
    ) -> Response:
        try:
            body = dump(document(self._head(request)))
        except RequestRefused as refused:
            await self._refuse(None, source(request.scope), refused.code, str(refused))
            return _response(problem(refused.code, str(refused)))
        return _response(Reply(200, body, ((b"cache-control", cache),)))


def server_metadata(public_url: str, applications: Applications) -> Json:
    """The authorization server's metadata (RFC 8414).

    applications  for whom people are asked here, and sent back with a code
    """
    proving = list[Json](_AUTHENTICATION)
    public: list[Json] = ["none"] if applications else []
    metadata: dict[str, Json] = {
        "issuer": public_url,
        # Also where nobody is asked and nothing answers there: the official MCP client (2.3) reads
        # no metadata without this member.
        "authorization_endpoint": f"{public_url}/oauth/authorize",
        "token_endpoint": f"{public_url}/oauth/token",
        "token_endpoint_auth_methods_supported": [*proving, *public],
        "token_endpoint_auth_signing_alg_values_supported": list[Json](ALGORITHMS),
        "revocation_endpoint": f"{public_url}/oauth/revoke",
        "revocation_endpoint_auth_methods_supported": [*proving, *public],
        "revocation_endpoint_auth_signing_alg_values_supported": list[Json](ALGORITHMS),
        "introspection_endpoint": f"{public_url}/oauth/introspect",
        "introspection_endpoint_auth_methods_supported": proving,
        "introspection_endpoint_auth_signing_alg_values_supported": list[Json](ALGORITHMS),
        "dpop_signing_alg_values_supported": list[Json](ALGORITHMS),
        "jwks_uri": f"{public_url}/.well-known/jwks.json",
        "grant_types_supported": [CLIENT_CREDENTIALS, TOKEN_EXCHANGE],
        "response_types_supported": [],
    }
    if applications:
        metadata |= {
            "grant_types_supported": [
                AUTHORIZATION_CODE,
                REFRESH_TOKEN,
                CLIENT_CREDENTIALS,
                TOKEN_EXCHANGE,
            ],
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,  # RFC 9207
            "client_id_metadata_document_supported": applications.any_document,
        }
    return metadata


def resource_metadata(public_url: str, path: str) -> Json:
    """The metadata of the protected resource at `path` below `public_url` (RFC 9728).

    A server's name is not looked up: whoever has no token does not learn which ones there are.
    Raises RequestRefused (`request.path`) for a path that no face has.
    """
    if not _RESOURCE.fullmatch(path):
        raise RequestRefused("request.path", "there is nothing here")
    return {
        "resource": public_url + path,
        "authorization_servers": [public_url],
        "bearer_methods_supported": ["header"],
        "dpop_signing_alg_values_supported": list[Json](ALGORITHMS),
        "resource_name": "Passavant",
    }


def _attempted_by(refused: Exception) -> Principal | None:
    """Who is known to have asked in vain: both sides of a delegation have authenticated."""
    return refused.attempted if isinstance(refused, DelegationRefused) else None


def _refusal(refused: RequestRefused | OAuthError) -> Reply:
    if isinstance(refused, RequestRefused):
        return problem(refused.code, str(refused))
    headers: tuple[tuple[bytes, bytes], ...] = ()
    if refused.reason == "invalid_client":
        headers = ((b"www-authenticate", b'Basic realm="passavant"'),)
    if refused.retry_after is not None:
        headers = ((b"retry-after", b"%d" % refused.retry_after),)
    if refused.nonce is not None:
        headers = ((b"dpop-nonce", refused.nonce.encode()),)
    return _oauth_error(refused.reason, str(refused), _STATUS.get(refused.reason, 400), headers)


def _oauth_error(
    reason: str, description: str, status: int, headers: tuple[tuple[bytes, bytes], ...] = ()
) -> Reply:
    body: dict[str, Json] = {"error": reason, "error_description": description}
    return Reply(status, dump(body), (*_NO_STORE, *headers))


def _response(reply: Reply) -> Response:
    headers = {
        "content-type": "application/json",
        "x-content-type-options": "nosniff",
        **{name.decode(): value.decode() for name, value in reply.headers},
    }
    return Response(reply.body, reply.status, headers)
