"""The authorization server put together: tokens for agents and applications, pages for people."""

import secrets
from dataclasses import dataclass

from fastapi import FastAPI

from gateway import people
from gateway.faces.authorize import AuthorizeFace
from gateway.faces.connect import ConnectFace
from gateway.faces.hand_on import HandOnFace
from gateway.faces.http import EdgeRules
from gateway.faces.log_in import LogInFace
from gateway.faces.oauth import OAuthFace, Refuse
from gateway.faces.visits import Visits
from gateway.identity import applications
from gateway.identity.assertions import Assertions
from gateway.identity.authorization_server import AuthorizationServer
from gateway.identity.client_authentication import ClientAuthentication
from gateway.identity.clients import Clients
from gateway.identity.code_grant import Held
from gateway.identity.dpop import Proofs
from gateway.identity.grants import Means
from gateway.identity.issuers import WorkloadIssuers
from gateway.identity.refresh_tokens import RefreshTokens
from gateway.identity.throttle import Throttle
from gateway.notation import milliseconds
from gateway.operator.services import Services
from gateway.parts import Parts

LOGINS_PER_SOURCE = 30
"""Log-ins of people a minute that one place may begin: each asks their issuer."""


@dataclass(frozen=True, slots=True)
class Listener:
    """The listener that all of this is reached by.

    refuse  records that a request was refused
    proofs  of possession, which all of its faces check alike
    """

    rules: EdgeRules
    refuse: Refuse
    proofs: Proofs


def authorization(parts: Parts, services: Services, listener: Listener) -> FastAPI:
    """The application. Raises GatewayError for clients that cannot be used."""
    settings = parts.settings
    face = OAuthFace(
        server=_server(parts, services, listener.proofs),
        keys=parts.keys,
        rules=listener.rules,
        refuse=listener.refuse,
        now_s=parts.now_s,
        nonce=listener.proofs.nonce,
        applications=applications.declared(settings.identity.applications),
    )
    app = FastAPI(redirect_slashes=False, docs_url=None, redoc_url=None, openapi_url=None)
    app.include_router(face.router())
    if services.connecting is not None or settings.identity.applications or settings.identity.users:
        _include_pages(app, parts, services, listener)
    return app


def _server(parts: Parts, services: Services, proofs: Proofs) -> AuthorizationServer:
    settings, rooms, state = parts.settings, parts.rooms, parts.state
    clients = Clients.load(
        settings.identity.secret_hashes,
        parts.upstream.credentials.resolve,
        settings.identity.key_files,
        settings.identity.workload_agents,
    )
    assertions = Assertions(
        clients.keys, state.single_use, public_url=settings.public_url, skew_s=parts.skew_s
    )
    means = Means(
        mint=services.mint,
        tokens=services.tokens,
        sessions=rooms.sessions,
        openings=rooms.openings,
        single_use=state.single_use,
        policy=lambda: rooms.worlds.current.snapshot,
        ttl_s=milliseconds(settings.identity.tokens.ttl) // 1000,
        users=services.users,
        consents=state.consents,
    )
    workloads = WorkloadIssuers.of(
        settings.identity.workloads, parts.upstream.fetcher, skew_s=parts.skew_s
    )
    registered = applications.declared(settings.identity.applications)
    return AuthorizationServer(
        settings.public_url,
        ClientAuthentication(clients, assertions, state.single_use, workloads, registered),
        proofs,
        means,
        _held(parts, services),
        rooms.recorder.write,
    )


def _held(parts: Parts, services: Services) -> Held:
    state = parts.state
    return Held(
        codes=services.authorizing.codes,
        consents=state.consents,
        renewals=state.renewals,
        refresh_tokens=RefreshTokens(parts.home.refresh_key()),
        revocations=parts.rooms.revocations,
        end_session=lambda session, by: state.sessions.end(session, by=by),
    )


def _include_pages(app: FastAPI, parts: Parts, services: Services, listener: Listener) -> None:
    log_in = LogInFace(
        visits=Visits(listener.rules, listener.refuse, title="Not logged in"),
        log_ins=people.log_ins(parts),
        starts=Throttle(attempts=LOGINS_PER_SOURCE, window_s=60),
        now_s=parts.now_s,
        random=secrets.token_bytes,
    )
    app.include_router(log_in.router())
    if services.connecting is not None:
        visits = Visits(listener.rules, listener.refuse, title="Not connected")
        app.include_router(ConnectFace(services.connecting, visits, log_in).router())
    visits = Visits(listener.rules, listener.refuse, title="Not handed on")
    app.include_router(HandOnFace(people.handing_on(parts), visits, log_in).router())
    if parts.settings.identity.applications:
        visits = Visits(listener.rules, listener.refuse, title="Not let through")
        app.include_router(AuthorizeFace(services.authorizing, visits, log_in).router())
