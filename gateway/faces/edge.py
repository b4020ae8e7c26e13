"""The edge: one way in for every face.

The order is fixed here: place (Host, Origin, header rules), then credential, then the rest of the
request, then its body. What fails before the face speaks is answered with a problem detail and
recorded as a refusal; nothing that fails here, or in a face, reaches the gate.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Protocol, TypeAlias

import structlog

from audit.entry import Receipt
from audit.value import value_type
from gateway.action import Action, Outcome
from gateway.catalogue.tools import Tool
from gateway.errors import RequestRefused
from gateway.faces.events import Stream, stream
from gateway.faces.http import (
    ClientGone,
    EdgeRules,
    Head,
    Lines,
    Receive,
    Reply,
    Scope,
    Send,
    has_left,
    read_head,
    respond,
    source,
)
from gateway.faces.problems import problem
from gateway.identity.errors import AuthError
from gateway.identity.public_keys import ALGORITHMS
from gateway.principal import Principal

Authenticate: TypeAlias = Callable[[Scope, Head], tuple[Principal, Lines]]
"""Who sends a request, and what its answer must carry besides. Raises AuthError."""

METADATA = "/.well-known/oauth-protected-resource"
"""Where RFC 9728 metadata stands; the path of the resource follows."""

_log = structlog.get_logger(__name__)


class Gate(Protocol):
    """What a face may ask of the gate."""

    async def cross(self, principal: Principal, action: Action) -> Outcome:
        """Decide, record and forward one action."""

    def listing(self, principal: Principal, server: str | None) -> tuple[Tool, ...]:
        """The tools that `principal` may know of; all servers' when `server` is None."""

    async def refuse(
        self, principal: Principal | None, source: str, code: str, detail: str = ""
    ) -> Receipt | None:
        """Record that a request was turned away before it became an action."""

    def delivered(self, call: str) -> None:
        """The answer of this call has been handed to its caller."""


@value_type
class Caller:
    """An authenticated request whose body has not been read."""

    principal: Principal
    head: Head
    receive: Receive


Answer: TypeAlias = Callable[[Caller], Awaitable[Reply | Stream]]
"""The face's own part. Raises RequestRefused for what is answered with a problem detail."""


class Edge:
    """The rules of one listener, and who enforces them."""

    def __init__(self, rules: EdgeRules, authenticate: Authenticate, gate: Gate) -> None:
        self.rules = rules
        self._authenticate = authenticate
        self._gate = gate

    async def serve(
        self, scope: Scope, receive: Receive, send: Send, *, resource: str | None, answer: Answer
    ) -> None:
        """Answer one HTTP request, whatever happens.

        resource  path of the protected resource as we name it; None: there is nothing at this path
        """
        try:
            reply = await self._reply(scope, receive, resource, answer)
        except ClientGone:
            return
        except Exception as error:  # noqa: BLE001 - the outermost handler: it denies
            _log.error("face.failed", resource=resource, exc_info=error)
            reply = problem("internal", "the gateway failed; nothing more is known")
        if isinstance(reply, Stream):
            await stream(send, receive, reply)
            return
        await respond(receive, send, reply)
        # Clients lose patience and send the same call again, and the gate then gives the second the
        # first one's answer, unless that was delivered. Nothing is done differently before.
        if reply.call is not None and not has_left(receive):
            self._gate.delivered(reply.call)

    async def _reply(
        self, scope: Scope, receive: Receive, resource: str | None, answer: Answer
    ) -> Reply | Stream:
        principal: Principal | None = None
        try:
            head = read_head(scope, self.rules)
            _check_found(resource)
            principal, lines = self._authenticate(scope, head)
            _check_no_query(scope)
            reply = await answer(Caller(principal, head, receive))
            return replace(reply, headers=(*reply.headers, *lines)) if lines else reply
        except (RequestRefused, AuthError) as refused:
            code, detail = refused.code, str(refused)
            await self._gate.refuse(principal, source(scope), code=code, detail=detail)
            return problem(code, detail, headers=self._demands(refused, resource or ""))

    def _demands(self, refused: RequestRefused | AuthError, resource: str) -> Lines:
        """What the answer asks of the client: a token (RFC 6750, 9728), or another method."""
        if isinstance(refused, AuthError):
            return _challenge(refused, f"{self.rules.public_url}{METADATA}{resource}")
        if isinstance(refused, MethodRefused):
            return ((b"allow", refused.allow.encode()),)
        return ()


class MethodRefused(RequestRefused):
    """The path exists, the HTTP method does not."""

    def __init__(self, allow: str) -> None:
        super().__init__("request.method", f"only {allow}")
        self.allow = allow


_ERRORS = {"proof": "invalid_dpop_proof", "nonce": "use_dpop_nonce"}


def _challenge(refused: AuthError, metadata: str) -> Lines:
    """What kind of token is wanted; with a nonce, one with a proof of possession (RFC 9449)."""
    error = _ERRORS.get(refused.reason, "invalid_token")
    said = f'resource_metadata="{metadata}"'
    if refused.reason != "missing":
        said = f'{said}, error="{error}"'
    if refused.nonce is None:
        return ((b"www-authenticate", f"Bearer {said}".encode()),)
    said = f'DPoP algs="{" ".join(ALGORITHMS)}", {said}'
    return ((b"www-authenticate", said.encode()), (b"dpop-nonce", refused.nonce.encode()))


def _check_found(resource: str | None) -> None:
    if resource is None:
        raise RequestRefused("request.path", "there is nothing here")


def _check_no_query(scope: Scope) -> None:
    # A token in a query string would end in logs and histories; nothing else has a place there.
    if scope["query_string"]:
        raise RequestRefused("request.malformed", "nothing is read from a query string")
