"""The authorization server through HTTP: what a client gets, and everything it does not."""

from base64 import b64encode
from typing import Any

import httpx
import pytest

from gateway.identity.clients import Clients
from tests.gateway.identity.endpoints import (
    CLERK,
    GRANT,
    MAX_TTL,
    NOW,
    SCOUT,
    SECRET,
    TTL,
    URL,
    World,
    granted,
    refused,
    renewal,
)

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
