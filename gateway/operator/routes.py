"""Every route of the operators' listener, in one table."""

from fastapi import APIRouter, FastAPI

from gateway.operator import (
    agents,
    api,
    approvals,
    connections,
    consents,
    drafts,
    evidence,
    keys,
    login,
    operators,
    passkey_login,
    passkeys,
    policy,
    rollbacks,
    runs,
    servers,
    sessions,
    status,
    stopping,
    tokens,
    triggers,
)
from gateway.operator.services import Services

_TABLE = (
    ("/api/agents", agents.router),
    ("/api/approvals", approvals.router),
    ("/api/audit", evidence.router),
    ("/api/connections", connections.router),
    ("/api/consents", consents.router),
    ("/api/keys", keys.router),
    ("/api/operators", operators.router),
    ("/api/passkeys", passkeys.router),
    ("/api/policy", policy.router),
    ("/api/runs", runs.router),
    ("/api/servers", servers.router),
    ("/api/sessions", sessions.router),
    ("/api/tokens", tokens.router),
    ("/api/triggers", triggers.router),
    ("", status.router),
    ("/api/policy", drafts.router),
    ("/api/runs", rollbacks.of_runs),
    ("/api/sessions", rollbacks.of_sessions),
    ("", evidence.published),
    ("", login.router),
    ("", passkey_login.router),
    ("", stopping.router),
)
"""Routers by what their paths begin with."""

_routes = APIRouter()  # one for all applications: to lay it out takes longer than a request
for _prefix, _router in _TABLE:
    _routes.include_router(_router, prefix=_prefix)


def build(services: Services) -> FastAPI:
    """The operators' application."""
    return api.build(services, _routes.routes)
