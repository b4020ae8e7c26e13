"""The two applications of a gateway: what agents reach, and what operators reach.

They share rooms and nothing else: no route of one is a route of the other.
"""

import secrets
import time
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version as distribution_version

from fastapi import FastAPI

from gateway import people
from gateway.activation import Activation
from gateway.evidence import Evidence
from gateway.faces.access import Access
from gateway.faces.agents import AgentsApp, App
from gateway.faces.connect import ConnectFace
from gateway.faces.http import EdgeRules
from gateway.faces.mcp import McpFace
from gateway.faces.mcp import Sources as McpSources
from gateway.faces.oauth import OAuthFace
from gateway.faces.own import OwnFace
from gateway.faces.published import PREFIX, PublishedFace
from gateway.faces.rest import RestFace
from gateway.fleet import Fleet
from gateway.gate import Gate, Rooms
from gateway.home import Home
from gateway.identity.assertions import Assertions
from gateway.identity.authorization_server import AuthorizationServer
from gateway.identity.client_authentication import ClientAuthentication
from gateway.identity.clients import Clients
from gateway.identity.dpop import Proofs
from gateway.identity.grants import Means
from gateway.identity.issuer_keys import IssuerKeys
from gateway.identity.issuers import TrustedIssuer, UserIssuers, WorkloadIssuers
from gateway.identity.keys import KeySet
from gateway.identity.minting import Mint
from gateway.identity.provider import Provider
from gateway.identity.rotation import Rotation
from gateway.identity.throttle import Throttle
from gateway.identity.tokens import TokenCheck
from gateway.identity.trust import OPERATORS
from gateway.identity.user_proof import UserProofs
from gateway.links.connecting import Connecting
from gateway.links.credentials import Credentials
from gateway.metrics import Scrape
from gateway.metrics import Sources as MetricSources
from gateway.operator import routes
from gateway.operator.browser_sessions import BrowserSessions
from gateway.operator.console_code import ConsoleCode
from gateway.operator.credentials import Operators
from gateway.operator.services import Services
from gateway.operator.single_sign_on import Means as SignOnMeans
from gateway.operator.single_sign_on import SingleSignOn
from gateway.runs.service import RunService
from gateway.settings import Settings, milliseconds
from gateway.state import State
from gateway.upstream import Upstream

LOGINS_PER_SOURCE = 30
"""Log-ins of operators a minute that one place may begin: each asks the provider."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What both applications are made of."""

    settings: Settings
    home: Home
    evidence: Evidence
    keys: KeySet
    rotation: Rotation
    state: State
    upstream: Upstream
    activation: Activation
    rooms: Rooms
    operators: Operators
    mint: Mint
    runs: RunService | None
    fleet: Fleet | None
    console_code: ConsoleCode | None
    users_by_name: bool


@dataclass(frozen=True, slots=True)
class Gateway:
    """A gateway that runs: its two applications, and what operators act on."""

    agents: AgentsApp
    operators: FastAPI
    services: Services


def assemble(parts: Parts) -> Gateway:
    """Make the applications. Raises GatewayError for clients that cannot be used."""
    services = _services(parts)
    return Gateway(_agents(parts, services), routes.build(services), services)


def _services(parts: Parts) -> Services:
    settings, rooms, keys = parts.settings, parts.rooms, parts.keys
    tokens = settings.identity.tokens
    check = TokenCheck(
        keys,
        rooms.revocations,
        rooms.epoch,
        public_url=settings.public_url,
        skew_s=milliseconds(tokens.skew) // 1000,
    )
    return Services(
        settings=settings,
        home=parts.home,
        log=parts.evidence.log,
        index=parts.evidence.index,
        recorder=rooms.recorder,
        refusals=rooms.refusals,
        state=parts.state,
        worlds=rooms.worlds,
        epoch=rooms.epoch,
        activation=parts.activation,
        review=parts.upstream.review,
        mint=parts.mint,
        runs=parts.runs,
        tokens=check,
        keys=keys,
        rotation=parts.rotation,
        operators=parts.operators,
        connecting=people.connecting(
            settings,
            parts.upstream,
            rooms.recorder.write,
            lambda agent: agent in rooms.worlds.current.snapshot.agents,
        ),
        fleet=parts.fleet,
        users=UserProofs(_users(parts), parts.state.single_use),
        users_by_name=parts.users_by_name,
        browsers=BrowserSessions(secrets.token_bytes),
        logins=Throttle(attempts=LOGINS_PER_SOURCE, window_s=60),
        sign_on=_sign_on(parts),
        console_code=parts.console_code,
        scrape=Scrape(rooms.metrics, _metric_sources(parts)),
        vkey=parts.evidence.vkey,
        version=distribution_version("passavant"),
        link_states=parts.upstream.states,
        random=secrets.token_bytes,
    )


def _sign_on(parts: Parts) -> SingleSignOn | None:
    settings, upstream = parts.settings, parts.upstream
    login = settings.identity.operators
    if login is None:
        return None
    oidc = login.oidc
    provider = Provider(oidc, upstream.fetcher)
    skew_s = milliseconds(settings.identity.tokens.skew) // 1000
    means = SignOnMeans(
        issuer=TrustedIssuer(
            settings.identity.operators_issuer,
            oidc.issuer,
            oidc.audience,
            IssuerKeys(provider.key_set, name=OPERATORS),
            skew_s=skew_s,
        ),
        provider=provider,
        fetcher=upstream.fetcher,
        secret=partial(_secret, upstream.credentials, oidc.client_secret),
        callback=f"{settings.operators_url}/login/callback",
        random=secrets.token_bytes,
    )
    return SingleSignOn(login, means)


async def _secret(credentials: Credentials, reference: str | None) -> str | None:
    return None if reference is None else await credentials.fetch(reference)


def _agents(parts: Parts, services: Services) -> AgentsApp:
    """The agents' listener: faces over one gate."""
    settings, rooms = parts.settings, parts.rooms
    gate = Gate(rooms)
    rules = EdgeRules(settings.public_url, _hosts(settings))
    skew_s = milliseconds(settings.identity.tokens.skew) // 1000
    proofs = Proofs(secrets.token_bytes(32), skew_s=skew_s)
    access = Access(services.tokens, proofs, lambda: _now_s(parts), public_url=settings.public_url)
    new_id = rooms.recorder.new_id
    mcp = McpFace(
        gate=gate,
        worlds=rooms.worlds,
        authenticate=access,
        rules=rules,
        sources=McpSources(time.monotonic, new_id, lambda: secrets.token_urlsafe(24)),
        version=services.version,
    )
    rest = RestFace(
        gate=gate, authenticate=access, rules=rules, new_id=new_id, version=services.version
    )
    own = OwnFace(
        gate=gate,
        authenticate=access,
        rules=rules,
        sessions=rooms.sessions,
        approvals=rooms.approvals,
        now_s=lambda: _now_s(parts),
    )
    faces: dict[str, App] = {
        "/mcp": mcp,
        "/v1/tools": rest,
        "/v1/memory": rest,
        "/v1/openapi.json": rest,
        "/v1": own,
    }
    if settings.audit.publish:
        origin, tiles = services.log.origin, parts.home.tiles
        faces[PREFIX] = PublishedFace(tiles, origin, rules=rules, gate=gate)
    return AgentsApp(
        faces,
        others=_authorization_server(parts, services, gate, rules, proofs),
        ready=lambda: services.log.state != "read_only",
    )


def _authorization_server(
    parts: Parts, services: Services, gate: Gate, rules: EdgeRules, proofs: Proofs
) -> FastAPI:
    settings, rooms = parts.settings, parts.rooms
    clients = Clients.load(
        settings.identity.secret_hashes,
        parts.upstream.credentials.resolve,
        settings.identity.key_files,
        settings.identity.workload_agents,
    )
    assertions = Assertions(
        clients.keys,
        parts.state.single_use,
        public_url=settings.public_url,
        skew_s=milliseconds(settings.identity.tokens.skew) // 1000,
    )
    means = Means(
        mint=services.mint,
        tokens=services.tokens,
        sessions=rooms.sessions,
        single_use=parts.state.single_use,
        policy=lambda: rooms.worlds.current.snapshot,
        ttl_s=milliseconds(settings.identity.tokens.ttl) // 1000,
        users=services.users,
    )
    server = AuthorizationServer(
        settings.public_url,
        ClientAuthentication(clients, assertions, parts.state.single_use, _workloads(parts)),
        proofs,
        means,
        rooms.revocations,
        rooms.recorder.write,
    )
    face = OAuthFace(
        server=server,
        keys=parts.keys,
        rules=rules,
        refuse=gate.refuse,
        now_s=lambda: _now_s(parts),
        nonce=proofs.nonce,
    )
    app = FastAPI(redirect_slashes=False, docs_url=None, redoc_url=None, openapi_url=None)
    app.include_router(face.router())
    if services.connecting is not None:
        app.include_router(_connect(parts, services.connecting, gate, rules).router())
    return app


def _connect(parts: Parts, connecting: Connecting, gate: Gate, rules: EdgeRules) -> ConnectFace:
    return ConnectFace(
        connecting=connecting,
        rules=rules,
        refuse=gate.refuse,
        starts=Throttle(attempts=LOGINS_PER_SOURCE, window_s=60),
        now_s=lambda: _now_s(parts),
        random=secrets.token_bytes,
    )


def _users(parts: Parts) -> UserIssuers:
    identity = parts.settings.identity
    skew_s = milliseconds(identity.tokens.skew) // 1000
    return UserIssuers.of(identity.users, parts.upstream.fetcher, skew_s=skew_s)


def _workloads(parts: Parts) -> WorkloadIssuers:
    identity = parts.settings.identity
    skew_s = milliseconds(identity.tokens.skew) // 1000
    return WorkloadIssuers.of(identity.workloads, parts.upstream.fetcher, skew_s=skew_s)


def _metric_sources(parts: Parts) -> MetricSources:
    rooms = parts.rooms
    return MetricSources(
        refusals=rooms.refusals.counts,
        log=parts.evidence.log.stats,
        epoch=lambda: rooms.epoch.value,
        epoch_age_s=lambda: (rooms.recorder.now() - parts.state.activations.raised_at) / 1e6,
        confirmed=lambda: rooms.epoch.confirmed(time.monotonic_ns() // 1000),
        stopped=lambda: rooms.revocations.stopped,
        open_approvals=lambda: sum(r.state == "asked" for r in rooms.approvals.all()),
        links_up=lambda: {name: link.state == "up" for name, link in rooms.links.items()},
    )


def _now_s(parts: Parts) -> int:
    return parts.rooms.recorder.now() // 1_000_000


def _hosts(settings: Settings) -> frozenset[bytes]:
    """What may stand in a Host header: the public name, and where the listener really is."""
    public = settings.public_url.partition("://")[2]
    return frozenset(host.lower().encode() for host in (public, settings.listen.agents))
