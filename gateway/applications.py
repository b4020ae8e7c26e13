"""The two applications of a gateway: what agents reach, and what operators reach.

They share rooms and nothing else: no route of one is a route of the other.
"""

import secrets
import time
from dataclasses import dataclass
from importlib.metadata import version

from fastapi import FastAPI

from gateway import people
from gateway.authorization import LOGINS_PER_SOURCE, Listener, authorization
from gateway.faces.a2a import A2aFace
from gateway.faces.access import Access
from gateway.faces.agents import AgentsApp, App
from gateway.faces.http import EdgeRules
from gateway.faces.mcp import McpFace, McpSources
from gateway.faces.own import OwnFace
from gateway.faces.published import PREFIX, PublishedFace
from gateway.faces.rest import RestFace
from gateway.faces.webhooks import PREFIX as WEBHOOKS
from gateway.faces.webhooks import WebhookFace
from gateway.faces.work import PREFIX as WORK
from gateway.faces.work import WorkFace
from gateway.gate import Gate
from gateway.identity.dpop import Proofs
from gateway.identity.issuers import UserIssuers
from gateway.identity.passkeys import Site
from gateway.identity.throttle import Throttle
from gateway.identity.tokens import TokenCheck
from gateway.identity.user_proof import UserProofs
from gateway.metrics import MetricSources, Scrape
from gateway.operator import routes
from gateway.operator.bell import Bell
from gateway.operator.browser_sessions import BrowserSessions
from gateway.operator.challenges import Challenges
from gateway.operator.services import Services
from gateway.operator.ways_in import WaysIn
from gateway.parts import Parts
from gateway.settings import Settings

VERSION = version("passavant")
"""Of this distribution."""


@dataclass(frozen=True, slots=True)
class Gateway:
    """A gateway that runs: its two applications, and what operators act on."""

    agents: AgentsApp
    operators: FastAPI
    services: Services

    def leave(self) -> None:
        """End what would last as long as the gateway: open streams, and what workers wait for."""
        self.services.bell.close()
        if self.services.runs is not None and self.services.runs.work is not None:
            self.services.runs.work.close()


def assemble(parts: Parts) -> Gateway:
    """Make the applications. Raises GatewayError for clients that cannot be used."""
    services = _services(parts)
    services.log.subscribe(services.bell.ring)
    return Gateway(_agents(parts, services), routes.build(services), services)


def _services(parts: Parts) -> Services:
    settings, rooms = parts.settings, parts.rooms
    return Services(
        settings=settings,
        home=parts.home,
        log=parts.evidence.log,
        index=parts.evidence.index,
        recorder=rooms.recorder,
        refusals=rooms.refusals,
        state=parts.state,
        openings=rooms.openings,
        worlds=rooms.worlds,
        flow=rooms.flow,
        epoch=rooms.epoch,
        activation=parts.activation,
        review=parts.upstream.review,
        mint=parts.mint,
        bell=Bell(),
        runs=parts.runs,
        undo=parts.undo,
        triggers=parts.triggers,
        tokens=_token_check(parts),
        keys=parts.keys,
        rotation=parts.rotation,
        operators=parts.operators,
        connecting=people.connecting(
            settings,
            parts.upstream,
            rooms.recorder.write,
            lambda agent: agent in rooms.worlds.current.snapshot.agents,
        ),
        authorizing=people.authorizing(parts),
        fleet=parts.fleet,
        sharing=rooms.sharing,
        users=_users(parts),
        users_by_name=parts.users_by_name,
        ways_in=_ways_in(parts),
        scrape=Scrape(rooms.metrics, _metric_sources(parts)),
        vkey=parts.evidence.vkey,
        version=VERSION,
        link_states=parts.upstream.states,
        random=secrets.token_bytes,
    )


def _token_check(parts: Parts) -> TokenCheck:
    return TokenCheck(
        parts.keys,
        parts.rooms.revocations,
        parts.rooms.epoch,
        public_url=parts.settings.public_url,
        skew_s=parts.skew_s,
    )


def _ways_in(parts: Parts) -> WaysIn:
    return WaysIn(
        browsers=BrowserSessions(secrets.token_bytes),
        site=Site.of(parts.settings.operators_url),
        challenges=Challenges(secrets.token_bytes),
        attempts=Throttle(attempts=LOGINS_PER_SOURCE, window_s=60),
        sign_on=people.sign_on(parts),
        codes=parts.codes,
    )


def _users(parts: Parts) -> UserProofs:
    """Who proves on whose behalf an agent acts."""
    users = parts.settings.identity.users
    issuers = UserIssuers.of(users, parts.upstream.fetcher, skew_s=parts.skew_s)
    return UserProofs(issuers, parts.state.single_use)


def _agents(parts: Parts, services: Services) -> AgentsApp:
    """The agents' listener: faces over one gate."""
    gate = Gate(parts.rooms)
    rules = EdgeRules(parts.settings.public_url, _hosts(parts.settings))
    proofs = Proofs(secrets.token_bytes(32), skew_s=parts.skew_s)
    access = Access(services.tokens, proofs, parts.now_s, public_url=parts.settings.public_url)
    faces = {
        **_faces_of_tools(parts, services, gate, access, rules),
        **_faces_of_runs(parts, services, gate, access, rules),
    }
    if parts.settings.audit.publish:
        origin, tiles = services.log.origin, parts.home.tiles
        faces[PREFIX] = PublishedFace(tiles, origin, rules=rules, gate=gate)
    return AgentsApp(
        faces,
        others=authorization(parts, services, Listener(rules, gate.refuse, proofs)),
        ready=lambda: services.log.state != "read_only",
    )


def _faces_of_tools(
    parts: Parts, services: Services, gate: Gate, access: Access, rules: EdgeRules
) -> dict[str, App]:
    """What is there on every gateway: tools, and what agents may know of themselves."""
    rooms, new_id = parts.rooms, parts.rooms.recorder.new_id
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
        now_s=parts.now_s,
    )
    return {
        "/mcp": mcp,
        "/v1/tools": rest,
        "/v1/memory": rest,
        "/v1/openapi.json": rest,
        "/v1": own,
    }


def _faces_of_runs(
    parts: Parts, services: Services, gate: Gate, access: Access, rules: EdgeRules
) -> dict[str, App]:
    """What is there where flows run: tasks for agents, their workers, and what starts them."""
    faces: dict[str, App] = {}
    if parts.tasks is not None:
        faces["/a2a"] = A2aFace(
            gate=gate,
            tasks=parts.tasks,
            authenticate=access,
            rules=rules,
            version=services.version,
        )
    if parts.runs is not None and parts.runs.work is not None:
        faces[WORK] = WorkFace(work=parts.runs.work, gate=gate, authenticate=access, rules=rules)
    if parts.triggers is not None:
        faces[WEBHOOKS] = WebhookFace(
            parts.triggers,
            parts.upstream.credentials.fetch,
            rules=rules,
            gate=gate,
            now_s=parts.now_s,
        )
    return faces


def _metric_sources(parts: Parts) -> MetricSources:
    rooms, work = parts.rooms, None if parts.runs is None else parts.runs.work
    return MetricSources(
        refusals=rooms.refusals.counts,
        log=parts.evidence.log.stats,
        epoch=lambda: rooms.epoch.value,
        epoch_age_s=lambda: (rooms.recorder.now() - parts.state.activations.raised_at) / 1e6,
        confirmed=lambda: rooms.epoch.confirmed(time.monotonic_ns() // 1000),
        stopped=lambda: rooms.revocations.stopped,
        memory=parts.state.memory.stats,
        open_approvals=lambda: sum(r.state == "asked" for r in rooms.approvals.all()),
        alarms=lambda: parts.state.alarms.counts,
        links_up=lambda: {name: link.state == "up" for name, link in rooms.links.items()},
        runs_waiting=lambda: {} if work is None else work.carriers.waiting,
        workers=lambda: 0 if work is None else work.carriers.count(),
    )


def _hosts(settings: Settings) -> frozenset[bytes]:
    """What may stand in a Host header: the public name, and where the listener really is."""
    public = settings.public_url.partition("://")[2]
    return frozenset(host.lower().encode() for host in (public, settings.listen.agents))
