"""Every route of the operators' listener, in one table."""

from fastapi import FastAPI

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


def build(services: Services) -> FastAPI:
    """The operators' application."""
    routers = {
        "agents": agents.router,
        "approvals": approvals.router,
        "audit": evidence.router,
        "connections": connections.router,
        "consents": consents.router,
        "keys": keys.router,
        "operators": operators.router,
        "passkeys": passkeys.router,
        "policy": policy.router,
        "runs": runs.router,
        "servers": servers.router,
        "sessions": sessions.router,
        "tokens": tokens.router,
        "triggers": triggers.router,
        "": status.router,
    }
    app = api.build(services, routers)
    app.include_router(drafts.router, prefix="/api/policy")
    app.include_router(rollbacks.of_runs, prefix="/api/runs")
    app.include_router(rollbacks.of_sessions, prefix="/api/sessions")
    app.include_router(evidence.published)
    app.include_router(login.router)
    app.include_router(passkey_login.router)
    app.include_router(stopping.router)
    return app
