"""Webhooks: `POST /v1/triggers/{name}`, where signed messages from outside start flows.

Who sends one has no credential here and gets none: a signature says that the message comes from
whom the secret was given to. A name that there is not is answered like a wrong signature.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace

from audit.canonical import Json, read
from audit.errors import AuditError, NotStrict
from gateway.errors import CredentialMissing, FleetUnavailable, RequestRefused
from gateway.faces.edge import Gate, MethodRefused
from gateway.faces.http import (
    ClientGone,
    EdgeRules,
    Receive,
    Reply,
    Scope,
    Send,
    check_json_request,
    read_body,
    read_head,
    respond,
    source,
)
from gateway.faces.problems import problem
from gateway.links.jsonrpc import dump
from gateway.runs.errors import RunRefused
from gateway.triggers import message
from gateway.triggers.triggers import Triggers

PREFIX = "/v1/triggers"

_JSON = ((b"content-type", b"application/json"),)
_UNSIGNED = "the message is not signed as it must be"


class WebhookFace:
    """The endpoints of triggers that wait for messages.

    secret  what a reference leads to; raises CredentialMissing
    now_s   seconds since 1970
    """

    def __init__(
        self,
        triggers: Triggers,
        secret: Callable[[str], Awaitable[str]],
        *,
        rules: EdgeRules,
        gate: Gate,
        now_s: Callable[[], int],
    ) -> None:
        self._triggers = triggers
        self._secret = secret
        self._rules = replace(rules, max_body=message.MAX_BYTES)
        self._gate = gate
        self._now_s = now_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request; never raises for anything its sender can cause."""
        try:
            reply = await self._reply(scope, receive)
        except ClientGone:
            return
        except (RequestRefused, RunRefused, FleetUnavailable) as refused:
            await self._gate.refuse(None, source(scope), refused.code, str(refused))
            headers = ((b"allow", b"POST"),) if isinstance(refused, MethodRefused) else ()
            reply = problem(refused.code, str(refused), headers=headers)
        except AuditError as error:
            reply = problem(error.code, "the log cannot be written; nothing was done")
        await respond(receive, send, reply)

    async def _reply(self, scope: Scope, receive: Receive) -> Reply:
        head = read_head(scope, self._rules)
        if head.method != "POST":
            raise MethodRefused("POST")
        check_json_request(head)
        body = await read_body(receive, head, self._rules)
        name = head.path.removeprefix(f"{PREFIX}/")
        secret = await self._secret_of(name)
        number = message.check(head.headers, body, secret, self._now_s())
        try:
            run = await self._triggers.message(name, number, _payload(body))
        except RunRefused as refused:
            if refused.code != "trigger.elsewhere":
                raise
            return Reply(202, dump({"run": None}), _JSON)
        return Reply(202, dump({"run": run.id}), _JSON)

    async def _secret_of(self, name: str) -> str:
        trigger = self._triggers.all().get(name)
        if trigger is None or trigger.webhook is None:
            raise RequestRefused("trigger.signature", _UNSIGNED)
        try:
            return await self._secret(trigger.webhook)
        except CredentialMissing as error:
            raise RequestRefused("trigger.signature", _UNSIGNED) from error


def _payload(body: bytes) -> Json:
    try:
        return read(body, max_bytes=message.MAX_BYTES)
    except NotStrict as error:
        raise RequestRefused(f"request.{error.code}", str(error)) from None
