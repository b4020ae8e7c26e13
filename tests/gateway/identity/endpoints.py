"""The endpoints of the authorization server over rooms small enough to see through."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any, cast

import httpx
from fastapi import FastAPI

from audit.canonical import Json
from audit.entry import Receipt
from audit.errors import AuditUnavailable
from gateway.epoch import Epoch
from gateway.errors import SessionEnded
from gateway.faces.http import EdgeRules
from gateway.faces.oauth import OAuthFace
from gateway.identity.assertions import Assertions
from gateway.identity.authorization_server import AuthorizationServer
from gateway.identity.client_authentication import ClientAuthentication
from gateway.identity.clients import Client, Clients
from gateway.identity.consents import Consents
from gateway.identity.dpop import Proofs
from gateway.identity.grants import Means
from gateway.identity.issuers import UserIssuers
from gateway.identity.keys import KeySet
from gateway.identity.minting import Mint
from gateway.identity.oauth_request import ASSERTION_TYPE
from gateway.identity.revocation import Revocations
from gateway.identity.secret_hash import SecretHash
from gateway.identity.single_use import SingleUse
from gateway.identity.tokens import Issuer, TokenCheck
from gateway.identity.user_proof import UserProofs
from gateway.principal import Principal
from gateway.session.opening import Openings
from gateway.session.sessions import Sessions
from policies.compile import compile_snapshot
from policies.loader import read_policies
from tests.gateway.identity.desk import no_application
from tests.gateway.identity.signing import Key

URL = "https://agents.acme.example"
NOW = 1_795_154_745
TTL, MAX_TTL, SKEW, SESSION = 900, 3600, 10, 8 * 3600

SECRET = "c4N7n0tb3gu3ss3d-c4N7n0tb3gu3ss3d"
KEEPER = Key.ed25519()
HASH = SecretHash.of(SECRET, bytes(16), log_n=4)  # little work: it is not what is tested here
CLERK, SCOUT = ("clerk", SECRET), ("scout", SECRET)
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS = "urn:ietf:params:oauth:token-type:access_token"
GRANT = {"grant_type": "client_credentials"}


POLICY = compile_snapshot(
    read_policies(
        [
            (
                "policy.yaml",
                b"""\
apiVersion: passavant/v1
kind: Policy
name: test
default: deny
agents: {clerk: {}, scout: {}, keeper: {}}
tools: {git.log: {risk: read}}
delegation: {edges: [{id: lent, from: clerk, to: keeper, tools: [git.log]}]}
""",
            )
        ]
    ),
    None,
)


@dataclass
class Session:
    id: str
    agent: str
    user: str | None
    ends: int


@dataclass
class World:
    """The rooms that the endpoints lean on, small enough to see through."""

    keys: KeySet
    now: int = NOW
    entries: list[tuple[str, Mapping[str, Json]]] = field(default_factory=list)
    refusals: list[tuple[str, str, str]] = field(default_factory=list)
    sessions: dict[str, Session] = field(default_factory=dict)
    epoch: Epoch = field(default_factory=Epoch)
    full_disk: bool = False
    numbers: Any = field(default_factory=count)

    def __post_init__(self) -> None:
        self.revocations = Revocations(self.epoch)
        self.tokens = TokenCheck(
            self.keys, self.revocations, self.epoch, public_url=URL, skew_s=SKEW
        )
        self.issuer = Issuer(self.keys, public_url=URL)
        self.proofs = Proofs(bytes(32), skew_s=SKEW)

    def new_id(self) -> str:
        return f"id-{next(self.numbers)}"

    async def record(self, kind: str, fields: Mapping[str, Json]) -> Receipt:
        await asyncio.sleep(0)
        if self.full_disk:
            raise AuditUnavailable("no space")
        self.entries.append((kind, fields))
        if kind == "token.revoke":
            until = fields["until"]
            assert isinstance(until, int)
            self.revocations.revoke_token(str(fields["jti"]), until_s=until)
        return Receipt("node-1", len(self.entries) - 1, bytes(32))

    async def refuse(
        self, principal: Principal | None, source: str, code: str, detail: str
    ) -> None:
        assert (principal is not None) is code.startswith("delegation.")
        self.refusals.append((source, code, detail))

    async def by_agent(self, agent: str, user: str | None) -> Session:
        session = Session(self.new_id(), agent, user, self.now + SESSION)
        await self.record("session.open", {"session": session.id})
        self.sessions[session.id] = session
        return session

    async def use(self, owner: str, statement: str, *, until_s: int, source: str) -> bool:
        await self.record("assertion.used", {"by": owner})
        return True

    def live(self, principal: Principal, now_s: int) -> Session:
        session = self.sessions.get(principal.session)
        if (
            session is None
            or session.ends <= now_s
            or (session.agent, session.user) != (principal.agent, principal.user)
        ):
            raise SessionEnded
        return session

    def app(self) -> FastAPI:
        clients = Clients(
            Client("clerk", HASH),
            Client("scout", HASH, scopes=("git.*", "ledger.pay"), hops=0),
            Client("keeper", keys=(KEEPER.public,)),
        )
        used = cast("SingleUse", self)
        assertions = Assertions(clients.keys, used, public_url=URL, skew_s=SKEW)
        means = Means(
            mint=Mint(self.issuer, self.record, self.new_id, max_ttl_s=MAX_TTL),
            tokens=self.tokens,
            sessions=cast("Sessions", self),
            openings=cast("Openings", self),
            single_use=used,
            policy=lambda: POLICY,
            ttl_s=TTL,
            consents=Consents(),
            users=UserProofs(UserIssuers(), used),
        )
        server = AuthorizationServer(
            URL,
            ClientAuthentication(clients, assertions, used),
            self.proofs,
            means,
            no_application(self.revocations),
            self.record,
        )
        face = OAuthFace(
            server=server,
            keys=self.keys,
            rules=EdgeRules(URL, frozenset({b"agents.acme.example"})),
            refuse=self.refuse,
            now_s=lambda: self.now,
            nonce=self.proofs.nonce,
        )
        app = FastAPI()
        app.include_router(face.router())
        return app

    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.entries]


async def granted(
    http: httpx.AsyncClient, auth: tuple[str, str] = CLERK, **form: str
) -> dict[str, Any]:
    answer = await http.post("/oauth/token", data=GRANT | form, auth=auth)
    assert answer.status_code == 200, answer.text
    members: dict[str, Any] = answer.json()
    return members


def renewal(token: str, **form: str) -> dict[str, str]:
    subject = {"subject_token": token, "subject_token_type": ACCESS}
    return {"grant_type": EXCHANGE, **subject, **form}


def refused(answer: httpx.Response, status: int, error: str) -> None:
    assert (answer.status_code, answer.json().get("error")) == (status, error), answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert "access_token" not in answer.text
    assert SECRET not in answer.text


def asserted(world: World, key: Key = KEEPER, **changes: object) -> dict[str, str]:
    stated = {
        "iss": "keeper",
        "sub": "keeper",
        "aud": URL,
        "exp": world.now + 60,
        "jti": world.new_id() + "-statement",
    }
    return {
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": key.jwt({"alg": key.algorithm}, stated | changes),
    }


def proof(world: World, key: Key, **changes: object) -> dict[str, str]:
    stated = {
        "htm": "POST",
        "htu": f"{URL}/oauth/token",
        "iat": world.now,
        "jti": world.new_id() + "-proof",
        "nonce": world.proofs.nonce(world.now),
    }
    return {
        "dpop": key.jwt({"typ": "dpop+jwt", "alg": key.algorithm, "jwk": key.jwk}, stated | changes)
    }
