"""Problem details: what a refused request gets over plain HTTP (RFC 9457).

One table gives every stable code its HTTP status; the body repeats the code, so that a client
need not read English.
"""

from audit.canonical import Json
from gateway.faces.http import Reply
from gateway.links.jsonrpc import dump

_STATUS = {
    "request.malformed": 400,
    "request.mismatch": 400,
    "request.too_deep": 400,
    "request.host": 403,
    "request.origin": 403,
    "request.path": 404,
    "request.unknown_method": 404,
    "request.method": 405,
    "request.accept": 406,
    "request.timeout": 408,
    "request.too_large": 413,
    "request.too_many": 429,
    "request.media_type": 415,
    "request.headers": 431,
    "request.session": 404,
    "request.sessions": 503,
    "server.unknown": 404,
    "agent.unknown": 404,
    "policy.denied": 403,
    "approval.pending": 202,
    "approval.denied": 403,
    "approval.unknown": 404,
    "approval.expired": 403,
    "policy.changed": 409,
    "session.ended": 403,
    "gateway.stopped": 503,
    "server.suspended": 503,
    "tool.suspended": 503,
    "stopped": 502,
    "tool.changed": 409,
    "args.invalid": 422,
    "args.unknown_field": 422,
    "run.unknown": 404,
    "run.pool": 403,
    "run.not-carried": 409,
    "run.later": 503,
    "audit_unavailable": 503,
    "epoch_unknown": 503,
    "upstream.down": 503,
    "upstream.credential": 503,
    "upstream.consent": 403,
    "upstream.refused": 502,
    "upstream.garbage": 502,
    "upstream.unknown_outcome": 502,
    "upstream.timeout": 504,
    "trigger.signature": 401,
    "trigger.time": 401,
    "trigger.busy": 429,
    "run.input": 413,
    "run.flow": 503,
    "run.agent": 503,
    "fleet.unavailable": 503,
    "internal": 500,
}
_BY_KIND = {"auth": 401, "limit": 429, "policy": 403, "approval": 403, "upstream": 502}
_TITLES = {
    "auth": "Not authenticated",
    "request": "Request refused",
    "server": "No such server",
    "agent": "No such agent",
    "policy": "Denied",
    "limit": "Limit reached",
    "approval": "Approval needed",
    "tool": "Tool not available",
    "gateway": "Stopped",
    "stopped": "Stopped",
    "args": "Arguments refused",
    "upstream": "Upstream failed",
    "run": "Not with this run",
}


def status_of(code: str) -> int:
    """The HTTP status of a stable code; 400 for one that has none of its own."""
    return _STATUS.get(code) or _BY_KIND.get(_kind(code), 400)


def problem(
    code: str,
    detail: str,
    *,
    headers: tuple[tuple[bytes, bytes], ...] = (),
    call: str | None = None,
    **members: Json,
) -> Reply:
    """A problem detail with our stable `code` and further members.

    detail  one sentence; never a secret, nor what others may see
    call    as in `Reply`
    """
    status = status_of(code)
    body: dict[str, Json] = {
        "type": f"urn:passavant:problem:{code}",
        "title": _TITLES.get(_kind(code), "Refused"),
        "status": status,
        "detail": detail,
        "code": code,
        **members,
    }
    kind = (b"content-type", b"application/problem+json")
    return Reply(status, dump(body), (kind, *headers), call)


def _kind(code: str) -> str:
    return code.replace(":", ".").partition(".")[0]
