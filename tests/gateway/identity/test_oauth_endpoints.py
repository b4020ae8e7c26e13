"""The authorization server through HTTP: what a client gets, and everything it does not."""

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any, Literal, cast

import httpx
import httpx2
import pytest
from fastapi import FastAPI, Request, Response
from mcp.client.auth import OAuthTokenError
from mcp.client.auth.extensions.client_credentials import (
    ClientCredentialsOAuthProvider,
    PrivateKeyJWTOAuthProvider,
)
from mcp.shared.auth import OAuthClientInformationFull, OAuthToken

from audit.canonical import Json
from audit.entry import Receipt
from audit.errors import AuditUnavailable
from gateway.epoch import Epoch
from gateway.errors import SessionEnded
from gateway.faces.http import EdgeRules
from gateway.faces.oauth import OAuthFace
from gateway.identity import client_authentication
from gateway.identity.assertions import Assertions
from gateway.identity.authorization_server import AuthorizationServer
from gateway.identity.client_authentication import ClientAuthentication
from gateway.identity.clients import Client, Clients
from gateway.identity.consents import Consents
from gateway.identity.dpop import Proofs
from gateway.identity.errors import AuthError
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


@pytest.fixture
def world(keys: KeySet) -> World:
    return World(keys)


@pytest.fixture
async def http(world: World) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(world.app(), client=("10.0.0.7", 41022))
    async with httpx.AsyncClient(transport=transport, base_url=URL) as client:
        yield client


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


# -- client credentials


async def test_a_client_gets_a_token_of_a_new_session(
    world: World, http: httpx.AsyncClient
) -> None:
    answer = await http.post("/oauth/token", data=GRANT, auth=CLERK)
    members = answer.json()
    principal = world.tokens.check(members.pop("access_token").encode(), NOW)
    assert members == {"token_type": "Bearer", "expires_in": TTL, "scope": "*"}
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["pragma"] == "no-cache"
    assert (principal.agent, principal.user, principal.chain) == ("clerk", None, ())
    assert principal.session in world.sessions
    assert (principal.hops, principal.expires) == (1, NOW + TTL)


async def test_the_secret_may_be_in_the_form(world: World, http: httpx.AsyncClient) -> None:
    form = GRANT | {"client_id": "clerk", "client_secret": SECRET}
    assert (await http.post("/oauth/token", data=form)).status_code == 200


async def test_each_request_opens_a_session_of_its_own(
    world: World, http: httpx.AsyncClient
) -> None:
    await granted(http)
    await granted(http)
    assert len(world.sessions) == 2


async def test_a_token_is_recorded_before_it_is_handed_out(
    world: World, http: httpx.AsyncClient
) -> None:
    members = await granted(http, scope="git.log")
    principal = world.tokens.check(members["access_token"].encode(), NOW)
    assert world.kinds() == ["session.open", "token.issue"]
    assert world.entries[1][1] == {
        "actor": {"agent": "clerk", "sub": None, "chain": []},
        "session": principal.session,
        "jti": principal.token_id,
        "scope": "git.log",
        "groups": [],
        "hops": 1,
        "bound_to": None,
        "iat": NOW,
        "exp": NOW + TTL,
        "by": "agent:clerk",
        "renews": None,
        "source": "10.0.0.7:41022",
    }
    assert members["access_token"] not in repr(world.entries)


async def test_what_cannot_be_recorded_is_not_issued(world: World, http: httpx.AsyncClient) -> None:
    world.full_disk = True
    refused(await http.post("/oauth/token", data=GRANT, auth=CLERK), 503, "temporarily_unavailable")


@pytest.mark.parametrize(
    ("auth", "scope", "given"),
    [
        pytest.param(CLERK, None, "*", id="all-that-is-registered"),
        pytest.param(SCOUT, None, "git.* ledger.pay", id="some-registered"),
        pytest.param(SCOUT, "*", "git.* ledger.pay", id="more-than-registered"),
        pytest.param(SCOUT, "git.log", "git.log", id="narrower"),
        pytest.param(SCOUT, "git.log crm.search", "git.log", id="partly"),
    ],
)
async def test_a_scope_is_granted_up_to_what_is_registered(
    http: httpx.AsyncClient, auth: tuple[str, str], scope: str | None, given: str
) -> None:
    form = {} if scope is None else {"scope": scope}
    assert (await granted(http, auth, **form))["scope"] == given


@pytest.mark.parametrize(
    "scope",
    ["crm.*", "crm.search", "git", "git.lo*", "openid profile", "git.log  git.show", "гит.*"],
)
async def test_a_scope_of_which_nothing_can_be_granted_is_refused(
    world: World, http: httpx.AsyncClient, scope: str
) -> None:
    answer = await http.post("/oauth/token", data=GRANT | {"scope": scope}, auth=SCOUT)
    refused(answer, 400, "invalid_scope")
    assert world.entries == []


@pytest.mark.parametrize(
    ("asked", "life"),
    [("1", 1), ("60", 60), ("3600", MAX_TTL), ("3601", MAX_TTL), ("999999999", MAX_TTL)],
)
async def test_a_requested_lifetime_is_clipped(
    world: World, http: httpx.AsyncClient, asked: str, life: int
) -> None:
    members = await granted(http, requested_lifetime=asked)
    assert members["expires_in"] == life
    assert world.tokens.check(members["access_token"].encode(), NOW).expires == NOW + life


@pytest.mark.parametrize("asked", ["0", "-1", "1.5", "1e9", "060", "soon", "9" * 50, " 60", "٦٠"])
async def test_a_lifetime_that_is_no_number_of_seconds_is_refused(
    http: httpx.AsyncClient, asked: str
) -> None:
    form = GRANT | {"requested_lifetime": asked}
    refused(await http.post("/oauth/token", data=form, auth=CLERK), 400, "invalid_request")


@pytest.mark.parametrize("resource", [URL, f"{URL}/", f"{URL}/mcp", f"{URL}/mcp/git", f"{URL}/v1"])
async def test_the_audience_is_the_gateway_whichever_of_its_resources_is_named(
    world: World, http: httpx.AsyncClient, resource: str
) -> None:
    members = await granted(http, resource=resource)
    world.tokens.check(members["access_token"].encode(), NOW)


@pytest.mark.parametrize(
    "resource",
    [
        "https://other.example",
        "https://other.example/mcp",
        f"{URL}.evil.example",
        f"{URL}:8443/mcp",
        f"{URL}@evil.example",
        f"{URL}/../other",
        f"{URL}/mcp/%2e%2e/other",
        f"{URL}//evil.example",
        f"{URL}/mcp?tool=pay",
        f"{URL}/mcp#fragment",
        "http://agents.acme.example/mcp",
        "/mcp",
        "mcp",
        f"{URL}/mcp\n",
    ],
)
async def test_a_resource_elsewhere_is_no_target(
    world: World, http: httpx.AsyncClient, resource: str
) -> None:
    for form in ({"resource": [f"{URL}/mcp", resource]}, {"audience": resource}):
        answer = await http.post("/oauth/token", data={**GRANT, **form}, auth=CLERK)
        refused(answer, 400, "invalid_target")
    assert world.entries == []


@pytest.mark.parametrize(
    "grant_type",
    [
        "password",
        "implicit",
        "CLIENT_CREDENTIALS",
        "urn:ietf:params:oauth:grant-type:device_code",
    ],
)
async def test_another_grant_type_is_refused(http: httpx.AsyncClient, grant_type: str) -> None:
    answer = await http.post("/oauth/token", data={"grant_type": grant_type}, auth=CLERK)
    refused(answer, 400, "unsupported_grant_type")


@pytest.mark.parametrize("grant_type", ["authorization_code", "refresh_token"])
async def test_grants_of_applications_are_none_for_agents(
    http: httpx.AsyncClient, grant_type: str
) -> None:
    form = {"grant_type": grant_type, "code": "x", "refresh_token": "x"}
    refused(await http.post("/oauth/token", data=form, auth=CLERK), 400, "unauthorized_client")


async def test_a_grant_type_must_be_named(http: httpx.AsyncClient) -> None:
    answer = await http.post("/oauth/token", data={"scope": "*"}, auth=CLERK)
    refused(answer, 400, "invalid_request")


async def test_a_suspended_agent_gets_no_token(world: World, http: httpx.AsyncClient) -> None:
    token = (await granted(http))["access_token"]
    world.revocations.suspend("agent", "clerk")
    for form in (GRANT, renewal(token)):
        refused(await http.post("/oauth/token", data=form, auth=CLERK), 400, "unauthorized_client")


# -- who asks


@pytest.mark.parametrize(
    "auth",
    [
        pytest.param(None, id="none"),
        pytest.param(("clerk", "wrong"), id="wrong-secret"),
        pytest.param(("clerk", SECRET + "x"), id="longer-secret"),
        pytest.param(("nobody", SECRET), id="unknown-client"),
        pytest.param(("CLERK", SECRET), id="case"),
        pytest.param(("agent:clerk", SECRET), id="prefixed"),
        pytest.param(("../clerk", SECRET), id="path"),
        pytest.param(("' OR 1=1 --", SECRET), id="sql"),
    ],
)
@pytest.mark.parametrize("path", ["/oauth/token", "/oauth/revoke", "/oauth/introspect"])
async def test_who_is_not_authenticated_gets_nothing(
    world: World, http: httpx.AsyncClient, auth: tuple[str, str] | None, path: str
) -> None:
    answer = await http.post(
        path, data=GRANT | {"token": "x"}, auth=auth or httpx.USE_CLIENT_DEFAULT
    )
    refused(answer, 401, "invalid_client")
    assert answer.headers["www-authenticate"].startswith("Basic")
    assert world.entries == []
    ((source, code, detail),) = world.refusals
    assert (source, code) == ("10.0.0.7:41022", "oauth.invalid_client")
    assert "clerk" not in detail.lower()


async def test_an_unknown_client_and_a_wrong_secret_are_answered_alike(
    http: httpx.AsyncClient,
) -> None:
    wrong = await http.post("/oauth/token", data=GRANT, auth=("clerk", "x" * 40))
    unknown = await http.post("/oauth/token", data=GRANT, auth=("nobody", "x" * 40))
    assert wrong.content == unknown.content
    assert wrong.headers == unknown.headers


async def test_a_token_does_not_authenticate_a_client(http: httpx.AsyncClient) -> None:
    token = (await granted(http))["access_token"]
    headers = {"authorization": f"Bearer {token}"}
    refused(await http.post("/oauth/token", data=GRANT, headers=headers), 401, "invalid_client")


async def test_an_assertion_is_no_authentication_here(http: httpx.AsyncClient) -> None:
    form = GRANT | {"client_id": "clerk", "client_assertion": "a.b.c"}
    refused(await http.post("/oauth/token", data=form), 401, "invalid_client")


async def test_guessing_a_secret_is_slowed_down_even_for_the_right_one(
    world: World, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(client_authentication.ATTEMPTS_PER_CLIENT):
        refused(
            await http.post("/oauth/token", data=GRANT, auth=("clerk", "wrong")),
            401,
            "invalid_client",
        )
    answer = await http.post("/oauth/token", data=GRANT, auth=CLERK)
    refused(answer, 429, "slow_down")
    assert answer.headers["retry-after"] == "60"
    assert world.refusals[-1][1] == "oauth.slow_down"
    # Others are not hindered, and neither is the client a minute later.
    await granted(http, SCOUT)
    world.now += 60
    await granted(http)


async def test_guesses_at_the_same_time_are_counted_too(
    world: World, http: httpx.AsyncClient
) -> None:
    guesses = [http.post("/oauth/token", data=GRANT, auth=("clerk", "wrong")) for _ in range(30)]
    statuses = [answer.status_code for answer in await asyncio.gather(*guesses)]
    assert statuses.count(401) == client_authentication.ATTEMPTS_PER_CLIENT
    assert statuses.count(429) == 30 - client_authentication.ATTEMPTS_PER_CLIENT


async def test_names_from_one_source_are_limited_together(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Clients, "verify", lambda *_: None)  # the count, not the hashing
    limit = client_authentication.ATTEMPTS_PER_SOURCE
    answers = [
        await http.post("/oauth/token", data=GRANT, auth=(f"guess-{n}", "wrong"))
        for n in range(limit + 1)
    ]
    assert [answer.status_code for answer in answers] == [401] * limit + [429]


# -- who asks, by a key


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


@pytest.mark.parametrize("named", [{}, {"client_id": "keeper"}])
async def test_a_client_with_a_key_gets_a_token(
    world: World, http: httpx.AsyncClient, named: dict[str, str]
) -> None:
    answer = await http.post("/oauth/token", data=GRANT | asserted(world) | named)
    principal = world.tokens.check(answer.json()["access_token"].encode(), NOW)
    assert principal.agent == "keeper"
    assert world.kinds() == ["assertion.used", "session.open", "token.issue"]


async def test_a_client_with_a_key_asks_every_question(
    world: World, http: httpx.AsyncClient
) -> None:
    answer = await http.post("/oauth/token", data=GRANT | asserted(world))
    token = answer.json()["access_token"]
    answer = await http.post("/oauth/introspect", data={"token": token} | asserted(world))
    assert answer.json()["client_id"] == "keeper"
    await http.post("/oauth/revoke", data={"token": token} | asserted(world))
    answer = await http.post("/oauth/introspect", data={"token": token} | asserted(world))
    assert answer.json() == {"active": False}


async def test_an_assertion_with_another_key_is_no_authentication(
    world: World, http: httpx.AsyncClient
) -> None:
    form = GRANT | asserted(world, Key.ed25519())
    refused(await http.post("/oauth/token", data=form), 401, "invalid_client")
    assert world.entries == []


async def test_an_assertion_beside_another_client_id_is_no_authentication(
    world: World, http: httpx.AsyncClient
) -> None:
    form = GRANT | asserted(world) | {"client_id": "clerk"}
    refused(await http.post("/oauth/token", data=form), 401, "invalid_client")
    assert "token.issue" not in world.kinds()


async def test_a_client_with_a_key_has_no_secret(http: httpx.AsyncClient) -> None:
    for secret in (SECRET, "", "x" * 40):
        answer = await http.post("/oauth/token", data=GRANT, auth=("keeper", secret))
        refused(answer, 401, "invalid_client")


# -- renewal


async def test_a_renewed_token_keeps_its_session(world: World, http: httpx.AsyncClient) -> None:
    first = await granted(http, scope="git.* ledger.pay")
    world.now += 600
    answer = await http.post("/oauth/token", data=renewal(first["access_token"]), auth=CLERK)
    members = answer.json()
    assert members["issued_token_type"] == ACCESS
    assert (members["expires_in"], members["scope"]) == (TTL, "git.* ledger.pay")
    old = world.tokens.check(first["access_token"].encode(), world.now)
    new = world.tokens.check(members["access_token"].encode(), world.now)
    assert new == replace(old, token_id=new.token_id, issued=world.now, expires=world.now + TTL)
    assert new.token_id != old.token_id
    kind, entry = world.entries[-1]
    assert (kind, entry["renews"], entry["session"]) == ("token.issue", old.token_id, old.session)
    assert world.kinds().count("session.open") == 1


async def test_a_token_that_just_ended_is_renewed_and_an_older_one_is_not(
    world: World, http: httpx.AsyncClient
) -> None:
    token = (await granted(http))["access_token"]
    world.now = NOW + 2 * TTL - 1
    assert (await http.post("/oauth/token", data=renewal(token), auth=CLERK)).status_code == 200
    world.now = NOW + 2 * TTL
    answer = await http.post("/oauth/token", data=renewal(token), auth=CLERK)
    refused(answer, 400, "invalid_request")


async def test_renewal_narrows_and_never_widens(world: World, http: httpx.AsyncClient) -> None:
    token = (await granted(http, scope="git.*"))["access_token"]
    for asked, given in (("git.log", "git.log"), ("*", "git.*"), ("git.* ledger.pay", "git.*")):
        answer = await http.post("/oauth/token", data=renewal(token, scope=asked), auth=CLERK)
        assert answer.json()["scope"] == given
    answer = await http.post("/oauth/token", data=renewal(token, scope="ledger.pay"), auth=CLERK)
    refused(answer, 400, "invalid_scope")


async def test_no_token_outlives_its_session(world: World, http: httpx.AsyncClient) -> None:
    token = (await granted(http, requested_lifetime="3600"))["access_token"]
    (session,) = world.sessions.values()
    left = SESSION
    while left > MAX_TTL:
        world.now += MAX_TTL - 1
        left = session.ends - world.now
        form = renewal(token, requested_lifetime="3600")
        answer = await http.post("/oauth/token", data=form, auth=CLERK)
        token = answer.json()["access_token"]
        assert answer.json()["expires_in"] == min(MAX_TTL, left)
    assert world.tokens.check(token.encode(), world.now).expires == session.ends
    world.now = session.ends
    refused(await http.post("/oauth/token", data=renewal(token), auth=CLERK), 400, "invalid_grant")


async def test_an_ended_session_is_not_renewed(world: World, http: httpx.AsyncClient) -> None:
    token = (await granted(http))["access_token"]
    world.sessions.clear()
    refused(await http.post("/oauth/token", data=renewal(token), auth=CLERK), 400, "invalid_grant")


async def test_a_revoked_token_is_not_renewed(world: World, http: httpx.AsyncClient) -> None:
    token = (await granted(http))["access_token"]
    await http.post("/oauth/revoke", data={"token": token}, auth=CLERK)
    answer = await http.post("/oauth/token", data=renewal(token), auth=CLERK)
    refused(answer, 400, "invalid_request")


async def test_another_clients_token_is_not_renewed(world: World, http: httpx.AsyncClient) -> None:
    token = (await granted(http, CLERK))["access_token"]
    answer = await http.post("/oauth/token", data=renewal(token), auth=SCOUT)
    refused(answer, 400, "invalid_request")


async def test_a_renewed_token_keeps_the_user_it_acts_for(
    world: World, http: httpx.AsyncClient, clerk: Principal
) -> None:
    world.sessions[clerk.session] = Session(clerk.session, "clerk", "ana", NOW + SESSION)
    answer = await http.post("/oauth/token", data=renewal(world.issuer.issue(clerk)), auth=CLERK)
    new = world.tokens.check(answer.json()["access_token"].encode(), NOW)
    assert (new.user, new.user_groups) == (clerk.user, clerk.user_groups)


async def test_a_delegated_token_is_not_renewed(
    world: World, http: httpx.AsyncClient, clerk: Principal
) -> None:
    world.sessions[clerk.session] = Session(clerk.session, "clerk", "ana", NOW + SESSION)
    token = world.issuer.issue(replace(clerk, chain=("front",)))
    answer = await http.post("/oauth/token", data=renewal(token), auth=CLERK)
    refused(answer, 400, "invalid_request")


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"subject_token": ""}, id="no-subject"),
        pytest.param({"subject_token": "a.b.c"}, id="garbage"),
        pytest.param({"subject_token": "pvo_" + "A" * 43}, id="operator-key"),
        pytest.param({"subject_token": "\u00e9"}, id="not-ascii"),
        pytest.param({"subject_token_type": ""}, id="no-type"),
        pytest.param(
            {"subject_token_type": "urn:ietf:params:oauth:token-type:id_token"}, id="id-token"
        ),
        pytest.param(
            {"requested_token_type": "urn:ietf:params:oauth:token-type:refresh_token"},
            id="refresh-token",
        ),
        pytest.param({"actor_token": "a.b.c"}, id="actor-token"),
        pytest.param({"requested_lifetime": "0"}, id="lifetime"),
    ],
)
async def test_an_exchange_of_something_else_is_refused(
    world: World, http: httpx.AsyncClient, change: dict[str, str]
) -> None:
    token = (await granted(http))["access_token"]
    before = len(world.entries)
    answer = await http.post("/oauth/token", data=renewal(token) | change, auth=CLERK)
    refused(answer, 400, "invalid_request")
    assert len(world.entries) == before


async def test_a_renewal_that_cannot_be_recorded_is_refused(
    world: World, http: httpx.AsyncClient
) -> None:
    token = (await granted(http))["access_token"]
    world.full_disk = True
    answer = await http.post("/oauth/token", data=renewal(token), auth=CLERK)
    refused(answer, 503, "temporarily_unavailable")


# -- tokens bound to a key


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


@pytest.mark.parametrize("key", [KEEPER, Key.p256()], ids=["EdDSA", "ES256"])
async def test_a_client_that_proves_a_key_gets_a_token_bound_to_it(
    world: World, http: httpx.AsyncClient, key: Key
) -> None:
    answer = await http.post("/oauth/token", data=GRANT, auth=CLERK, headers=proof(world, key))
    members = answer.json()
    principal = world.tokens.check(members["access_token"].encode(), NOW)
    assert (members["token_type"], principal.bound_to) == ("DPoP", key.public.thumbprint)
    assert world.entries[-1][1]["bound_to"] == key.public.thumbprint
    assert answer.headers["dpop-nonce"] == world.proofs.nonce(NOW)
    form = {"token": members["access_token"]}
    told = (await http.post("/oauth/introspect", data=form, auth=CLERK)).json()
    assert (told["token_type"], told["cnf"]) == ("DPoP", {"jkt": key.public.thumbprint})


async def test_a_proof_without_a_nonce_is_answered_with_one(
    world: World, http: httpx.AsyncClient
) -> None:
    headers = proof(world, KEEPER, nonce="x")
    answer = await http.post("/oauth/token", data=GRANT, auth=CLERK, headers=headers)
    refused(answer, 400, "use_dpop_nonce")
    headers = proof(world, KEEPER, nonce=answer.headers["dpop-nonce"])
    answer = await http.post("/oauth/token", data=GRANT, auth=CLERK, headers=headers)
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"htm": "GET"}, id="other-method"),
        pytest.param({"htu": f"{URL}/oauth/revoke"}, id="other-endpoint"),
        pytest.param({"htu": f"{URL}/oauth/token?"}, id="with-a-query"),
        pytest.param({"ath": "A" * 43}, id="about-a-token"),
        pytest.param({"iat": NOW - 61 - SKEW}, id="old"),
    ],
)
async def test_a_proof_of_something_else_binds_no_token(
    world: World, http: httpx.AsyncClient, changes: dict[str, object]
) -> None:
    headers = proof(world, KEEPER, **changes)
    answer = await http.post("/oauth/token", data=GRANT, auth=CLERK, headers=headers)
    refused(answer, 400, "invalid_dpop_proof")
    assert "dpop-nonce" not in answer.headers
    assert world.entries == []


async def test_a_proof_is_good_for_one_token(world: World, http: httpx.AsyncClient) -> None:
    headers = proof(world, KEEPER)
    assert (
        await http.post("/oauth/token", data=GRANT, auth=CLERK, headers=headers)
    ).status_code == 200
    answer = await http.post("/oauth/token", data=GRANT, auth=CLERK, headers=headers)
    refused(answer, 400, "invalid_dpop_proof")


async def test_a_proof_is_no_client_authentication(world: World, http: httpx.AsyncClient) -> None:
    form = GRANT | {"client_id": "keeper"}
    answer = await http.post("/oauth/token", data=form, headers=proof(world, KEEPER))
    refused(answer, 401, "invalid_client")


async def test_renewal_keeps_the_key_that_a_token_is_bound_to(
    world: World, http: httpx.AsyncClient
) -> None:
    answer = await http.post("/oauth/token", data=GRANT, auth=CLERK, headers=proof(world, KEEPER))
    form = renewal(answer.json()["access_token"])
    for headers in ({}, proof(world, Key.ed25519())):
        answer = await http.post("/oauth/token", data=form, auth=CLERK, headers=headers)
        refused(answer, 400, "invalid_dpop_proof")
    answer = await http.post("/oauth/token", data=form, auth=CLERK, headers=proof(world, KEEPER))
    assert answer.json()["token_type"] == "DPoP"


async def test_renewal_may_bind_a_token_that_was_not(world: World, http: httpx.AsyncClient) -> None:
    form = renewal((await granted(http))["access_token"])
    answer = await http.post("/oauth/token", data=form, auth=CLERK, headers=proof(world, KEEPER))
    principal = world.tokens.check(answer.json()["access_token"].encode(), NOW)
    assert principal.bound_to == KEEPER.public.thumbprint


# -- revocation and introspection


async def test_a_revoked_token_is_refused_at_the_next_call(
    world: World, http: httpx.AsyncClient
) -> None:
    token = (await granted(http))["access_token"]
    principal = world.tokens.check(token.encode(), NOW)
    answer = await http.post("/oauth/revoke", data={"token": token}, auth=CLERK)
    assert answer.status_code == 200
    with pytest.raises(AuthError) as gone:
        world.tokens.check(token.encode(), NOW)
    assert gone.value.code == "auth.revoked"
    kind, entry = world.entries[-1]
    assert (kind, entry["jti"], entry["until"]) == (
        "token.revoke",
        principal.token_id,
        NOW + 2 * TTL,
    )


async def test_a_token_that_cannot_be_revoked_is_not_said_to_be(
    world: World, http: httpx.AsyncClient
) -> None:
    token = (await granted(http))["access_token"]
    world.full_disk = True
    answer = await http.post("/oauth/revoke", data={"token": token}, auth=CLERK)
    refused(answer, 503, "temporarily_unavailable")
    world.tokens.check(token.encode(), NOW)


@pytest.mark.parametrize("token", ["garbage", "a.b.c", "pvo_" + "A" * 43, "\u00e9\ud7ff"])
async def test_revoking_what_is_no_token_changes_nothing(
    world: World, http: httpx.AsyncClient, token: str
) -> None:
    answer = await http.post("/oauth/revoke", data={"token": token}, auth=CLERK)
    assert (answer.status_code, world.entries) == (200, [])


async def test_another_clients_token_is_not_revoked(world: World, http: httpx.AsyncClient) -> None:
    token = (await granted(http, CLERK))["access_token"]
    answer = await http.post("/oauth/revoke", data={"token": token}, auth=SCOUT)
    refused(answer, 400, "invalid_grant")
    world.tokens.check(token.encode(), NOW)


async def test_revoking_twice_is_recorded_once(world: World, http: httpx.AsyncClient) -> None:
    token = (await granted(http))["access_token"]
    for _ in range(2):
        answer = await http.post("/oauth/revoke", data={"token": token}, auth=CLERK)
        assert answer.status_code == 200
    assert world.kinds().count("token.revoke") == 1


async def test_a_client_may_look_at_its_own_token(world: World, http: httpx.AsyncClient) -> None:
    token = (await granted(http, scope="git.log"))["access_token"]
    answer = await http.post("/oauth/introspect", data={"token": token}, auth=CLERK)
    principal = world.tokens.check(token.encode(), NOW)
    assert answer.json() == {
        "active": True,
        "token_type": "Bearer",
        "iss": URL,
        "aud": URL,
        "sub": "agent:clerk",
        "client_id": "clerk",
        "act": {"sub": "agent:clerk"},
        "sid": principal.session,
        "scope": "git.log",
        "hops": 1,
        "jti": principal.token_id,
        "iat": NOW,
        "exp": NOW + TTL,
    }


@pytest.mark.parametrize("case", ["another's", "expired", "revoked", "session-over", "garbage"])
async def test_every_other_token_looks_alike(
    world: World, http: httpx.AsyncClient, case: str
) -> None:
    token = (await granted(http))["access_token"]
    auth = CLERK
    match case:
        case "another's":
            auth = SCOUT
        case "expired":
            world.now += TTL + SKEW
        case "revoked":
            await http.post("/oauth/revoke", data={"token": token}, auth=CLERK)
        case "session-over":
            world.sessions.clear()
        case _:
            token = token[:-6] + "AAAAAA"
    answer = await http.post("/oauth/introspect", data={"token": token}, auth=auth)
    assert (answer.status_code, answer.json()) == (200, {"active": False})


@pytest.mark.parametrize("path", ["/oauth/revoke", "/oauth/introspect"])
async def test_a_question_about_no_token_is_refused(http: httpx.AsyncClient, path: str) -> None:
    refused(await http.post(path, data={"other": "x"}, auth=CLERK), 400, "invalid_request")


# -- the edge


@pytest.mark.parametrize("path", ["/oauth/token", "/oauth/revoke", "/oauth/introspect"])
@pytest.mark.parametrize(
    ("request_parts", "status", "code"),
    [
        pytest.param({"headers": {"host": "evil.example"}}, 403, "request.host", id="host"),
        pytest.param(
            {"headers": {"origin": "https://evil.example"}}, 403, "request.origin", id="origin"
        ),
        pytest.param(
            {"params": {"client_secret": "hushhush"}}, 400, "request.malformed", id="query"
        ),
        pytest.param(
            {"headers": {"content-type": "application/json"}},
            415,
            "request.media_type",
            id="json-type",
        ),
        pytest.param(
            {"headers": {"content-encoding": "gzip"}}, 415, "request.media_type", id="compressed"
        ),
        pytest.param({"data": {"scope": "x" * 40_000}}, 413, "request.too_large", id="huge"),
    ],
)
async def test_a_request_that_is_no_form_for_us_is_refused(
    world: World,
    http: httpx.AsyncClient,
    path: str,
    request_parts: dict[str, Any],
    status: int,
    code: str,
) -> None:
    answer = await http.post(path, auth=CLERK, **{"data": GRANT, **request_parts})
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert world.entries == []
    assert [refusal[1] for refusal in world.refusals] == [code]
    assert "hushhush" not in f"{world.refusals} {answer.text}"


async def test_two_authorization_headers_are_refused(world: World, http: httpx.AsyncClient) -> None:
    basic = "Basic " + b64encode(f"clerk:{SECRET}".encode()).decode()
    headers = [("authorization", basic), ("authorization", basic)]
    answer = await http.post("/oauth/token", data=GRANT, headers=headers)
    assert answer.json()["code"] == "request.malformed"


@pytest.mark.parametrize("path", ["/oauth/token", "/oauth/revoke", "/oauth/introspect"])
async def test_no_question_is_asked_with_get(http: httpx.AsyncClient, path: str) -> None:
    assert (await http.get(path)).status_code == 405


async def test_a_failure_inside_says_nothing(
    world: World, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError(SECRET)

    monkeypatch.setattr(Clients, "verify", broken)
    answer = await http.post("/oauth/token", data=GRANT, auth=CLERK)
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert SECRET not in answer.text


# -- documents


@pytest.mark.parametrize("path", ["", "/mcp", "/mcp/git", "/mcp/no-such-server", "/v1"])
async def test_each_resource_names_itself(http: httpx.AsyncClient, path: str) -> None:
    answer = await http.get(f"/.well-known/oauth-protected-resource{path}")
    assert answer.json() == {
        "resource": URL + path,
        "authorization_servers": [URL],
        "bearer_methods_supported": ["header"],
        "dpop_signing_alg_values_supported": ["EdDSA", "ES256"],
        "resource_name": "Passavant",
    }


@pytest.mark.parametrize(
    "path",
    ["/", "/mcp/", "/mcp/Git", "/mcp/git/more", "/mcp/..%2fv1", "/api", "/v1/tools", "/mcp2"],
)
async def test_what_is_no_resource_has_no_document(
    world: World, http: httpx.AsyncClient, path: str
) -> None:
    answer = await http.get(f"/.well-known/oauth-protected-resource{path}")
    assert (answer.status_code, answer.json()["code"]) == (404, "request.path")


async def test_the_server_describes_only_what_it_does(http: httpx.AsyncClient) -> None:
    metadata = (await http.get("/.well-known/oauth-authorization-server")).json()
    assert metadata["issuer"] == URL
    assert metadata["grant_types_supported"] == ["client_credentials", EXCHANGE]
    assert metadata["token_endpoint_auth_methods_supported"] == [
        "client_secret_basic",
        "client_secret_post",
        "private_key_jwt",
    ]
    assert metadata["response_types_supported"] == []
    assert "scopes_supported" not in metadata
    for name in ("token", "revocation", "introspection"):
        endpoint = metadata[f"{name}_endpoint"]
        assert (await http.post(endpoint, data={"token": "x"})).status_code == 401
    assert (await http.get(metadata["jwks_uri"])).status_code == 200


async def test_the_key_set_is_published(world: World, http: httpx.AsyncClient) -> None:
    assert (await http.get("/.well-known/jwks.json")).json() == world.keys.jwks()


@pytest.mark.parametrize(
    "path",
    [
        "/.well-known/jwks.json",
        "/.well-known/oauth-authorization-server",
        "/.well-known/oauth-protected-resource/mcp",
    ],
)
async def test_a_document_is_not_read_under_another_name(
    world: World, http: httpx.AsyncClient, path: str
) -> None:
    answer = await http.get(path, headers={"host": "evil.example"})
    assert (answer.status_code, answer.json()["code"]) == (403, "request.host")
    assert (await http.get(path, headers={"origin": "https://evil.example"})).status_code == 403
    assert len(world.refusals) == 2


# -- the official client


async def test_the_official_client_finds_its_way_in_with_a_key(world: World) -> None:
    async def sign(audience: str) -> str:
        return asserted(world, aud=audience)["client_assertion"]

    provider = PrivateKeyJWTOAuthProvider(
        f"{URL}/mcp/git", NothingStored(), "keeper", sign, issuer=URL
    )
    transport = httpx2.ASGITransport(governed(world))
    async with httpx2.AsyncClient(transport=transport, auth=provider) as client:
        answer = await client.post(f"{URL}/mcp/git")
    assert (answer.status_code, answer.text) == (200, "keeper")


Method = Literal["client_secret_basic", "client_secret_post"]


class NothingStored:
    """A token storage that forgets."""

    async def get_tokens(self) -> OAuthToken | None:
        return None

    async def set_tokens(self, tokens: OAuthToken) -> None:
        pass

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return None

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        pass


def governed(world: World) -> FastAPI:
    """The endpoints beside an MCP path that demands a token as the faces do."""
    app = world.app()

    @app.post("/mcp/git")
    def mcp(request: Request) -> Response:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        try:
            return Response(world.tokens.check(token.encode(), world.now).agent)
        except AuthError:
            where = f"{URL}/.well-known/oauth-protected-resource/mcp/git"
            return Response("", 401, {"www-authenticate": f'Bearer resource_metadata="{where}"'})

    return app


async def reach(world: World, secret: str, how: Method) -> httpx2.Response:
    provider = ClientCredentialsOAuthProvider(
        f"{URL}/mcp/git", NothingStored(), "clerk", secret, how, issuer=URL
    )
    transport = httpx2.ASGITransport(governed(world))
    async with httpx2.AsyncClient(transport=transport, auth=provider) as client:
        return await client.post(f"{URL}/mcp/git")


@pytest.mark.parametrize("how", ["client_secret_basic", "client_secret_post"])
async def test_the_official_client_finds_its_way_in(world: World, how: Method) -> None:
    answer = await reach(world, SECRET, how)
    assert (answer.status_code, answer.text) == (200, "clerk")


async def test_the_official_client_is_told_when_its_secret_is_wrong(world: World) -> None:
    with pytest.raises(OAuthTokenError):
        await reach(world, "x" * 40, "client_secret_basic")
