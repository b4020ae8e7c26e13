"""Every route of the operators' listener, against everybody who has no business there."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio

from tests.harness.agent import Agent
from tests.harness.gateway import Running, running
from tests.harness.reached import OPERATORS
from tests.harness.routes import served
from tests.harness.upstream import desk

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOBODY = "01a1f7fc-3213-73f3-8801-c62614cd9bf4"
HEX = "0" * 64


@dataclass(frozen=True)
class Door:
    """One route: how it is knocked at, and the least that one must be to be let in."""

    verb: str
    path: str  # as the application writes it
    role: str
    body: Any = None

    @property
    def url(self) -> str:
        path = self.path.replace("{node:path}", "gw.example/log/checkpoint").replace("{index}", "0")
        names = ("request_id", "session_id", "run_id", "name", "server", "verdict", "passkey")
        for name in names:
            values = {"verdict": "approve", "server": "desk", "name": "clerk-1"}
            path = path.replace("{" + name + "}", values.get(name, NOBODY))
        return path


DOORS = [
    Door("GET", "/api/agents", "viewer"),
    Door("GET", "/api/agents/{name}", "viewer"),
    Door("GET", "/api/approvals", "viewer"),
    Door("GET", "/api/approvals/rates", "viewer"),
    Door("GET", "/api/approvals/{request_id}", "viewer"),
    Door(
        "POST",
        "/api/approvals/{request_id}/sign",
        "approver",
        {"digest": HEX, "verdict": "approve"},
    ),
    Door("POST", "/api/approvals/{request_id}/retract", "approver", {}),
    Door("POST", "/api/approvals/{request_id}/break-glass", "approver", {"digest": HEX}),
    Door(
        "POST",
        "/api/approvals/{request_id}/review",
        "approver",
        {"finding": "justified", "reason": "x"},
    ),
    Door("POST", "/api/approvals/{request_id}/{verdict}", "approver", {"digest": HEX}),
    Door("GET", "/api/audit/search", "viewer"),
    Door("GET", "/api/audit/entries", "viewer"),
    Door("GET", "/api/audit/entries/{index}", "viewer"),
    Door("GET", "/api/audit/proof/{index}", "viewer"),
    Door("GET", "/api/audit/checkpoint", "viewer"),
    Door("GET", "/api/audit/vkey", "viewer"),
    Door("GET", "/audit/log/{node:path}", "viewer"),
    Door("GET", "/api/keys", "viewer"),
    Door("POST", "/api/keys/rotate", "administrator", {"use": "tokens"}),
    Door("GET", "/api/operators", "viewer"),
    Door(
        "POST", "/api/operators", "administrator", {"name": "mallory", "roles": ["administrator"]}
    ),
    Door("POST", "/api/operators/code", "viewer"),
    Door("POST", "/api/operators/{name}/remove", "administrator", {}),
    Door("GET", "/api/passkeys", "viewer"),
    Door("POST", "/api/passkeys/begin", "viewer", {}),
    Door("POST", "/api/passkeys", "viewer", {}),
    Door("POST", "/api/passkeys/{passkey}/remove", "viewer", {}),
    Door("GET", "/api/policy", "viewer"),
    Door("GET", "/api/policy/matrix", "viewer"),
    Door("POST", "/api/policy/apply", "administrator", {"digest": HEX}),
    Door("POST", "/api/policy/explain", "viewer", {"agent": "clerk-1", "tool": "desk.look"}),
    Door("GET", "/api/runs", "viewer"),
    Door("GET", "/api/runs/flows", "viewer"),
    Door("GET", "/api/runs/{run_id}", "viewer"),
    Door("GET", "/api/runs/{run_id}/events", "viewer"),
    Door("GET", "/api/runs/{run_id}/output", "viewer"),
    Door("POST", "/api/runs", "administrator", {"flow": "report"}),
    Door("POST", "/api/runs/{run_id}/pause", "administrator", {}),
    Door("POST", "/api/runs/{run_id}/resume", "administrator", {}),
    Door("POST", "/api/runs/{run_id}/cancel", "administrator", {}),
    Door("POST", "/api/runs/{run_id}/fork", "administrator", {"step": 1}),
    Door("GET", "/api/runs/{run_id}/rollback", "viewer"),
    Door("GET", "/api/runs/{run_id}/rollback/outlook", "viewer"),
    Door("POST", "/api/runs/{run_id}/rollback", "administrator", {}),
    Door("GET", "/api/servers", "viewer"),
    Door("GET", "/api/servers/{server}", "viewer"),
    Door("GET", "/api/servers/{server}/review", "viewer"),
    Door("POST", "/api/servers/{server}/accept", "administrator", {"digest": HEX}),
    Door("GET", "/api/sessions", "viewer"),
    Door("GET", "/api/sessions/{session_id}", "viewer"),
    Door("POST", "/api/sessions/{session_id}/end", "administrator", {}),
    Door("GET", "/api/sessions/{session_id}/rollback", "viewer"),
    Door("GET", "/api/sessions/{session_id}/rollback/outlook", "viewer"),
    Door("POST", "/api/sessions/{session_id}/rollback", "administrator", {}),
    Door("POST", "/api/tokens", "administrator", {"agent": "clerk-1"}),
    Door("POST", "/api/tokens/revoke", "administrator", {"token": "x"}),
    Door("GET", "/api/triggers", "viewer"),
    Door("GET", "/api/whoami", "viewer"),
    Door("GET", "/api/status", "viewer"),
    Door("GET", "/api/openapi.json", "viewer"),
    Door("GET", "/metrics", "viewer"),
]
OPEN = {
    ("GET", "/login"),
    ("POST", "/login"),
    ("GET", "/login/oidc"),
    ("GET", "/login/callback"),
    ("POST", "/login/passkey/begin"),
    ("POST", "/login/passkey"),
    ("GET", "/passkeys.js"),
    ("POST", "/logout"),
}
"""Where people log in and out; tested with `gateway.operator.login`."""

IDS = [f"{door.verb} {door.path}" for door in DOORS]
WRITING = [door for door in DOORS if door.verb == "POST"]
BODIES = [
    pytest.param(b"", id="none"),
    pytest.param(b"null", id="null"),
    pytest.param(b"[]", id="list"),
    pytest.param(b'"text"', id="text"),
    pytest.param(b"{", id="cut-off"),
    pytest.param(b'{"digest":"a","digest":"b"}', id="key-twice"),
    pytest.param(b'{"digest":NaN}', id="not-a-number"),
    pytest.param(b'{"digest":"\xff"}', id="no-utf-8"),
    pytest.param(b'{"digest":"\\ud800","agent":"\\ud800"}', id="lone-surrogate"),
    pytest.param(b'{"admin":true}', id="unknown-member"),
    pytest.param(b'{"digest":1,"agent":1,"token":1,"name":1}', id="wrong-types"),
    pytest.param(b'{"digest":null,"agent":null,"token":null,"name":null}', id="nulls"),
    pytest.param(b"[" * 100_000, id="deep"),
    pytest.param(b'{"digest":"' + b"a" * (2 << 20) + b'"}', id="large"),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Running, Agent]]:
    """A gateway, and an agent of it."""
    folder = tmp_path_factory.mktemp("operators")
    async with desk() as upstream, running(folder, servers={"desk": upstream}) as gateway:
        yield gateway, await gateway.agent()


def unchanged(gateway: Running, since: int) -> bool:
    """Whether nothing but refusals was recorded."""
    return {body["kind"] for body in gateway.entries(since=since)} <= {"refusal"}


async def test_every_door_that_the_application_has_is_closed_to_strangers(
    house: tuple[Running, Agent],
) -> None:
    """Also one that the table above does not know yet; where people log in is open to all."""
    gateway, clerk = house
    before = gateway.size
    found = set(served(gateway.gateway.operators.routes))
    assert found >= {(door.verb, door.path) for door in DOORS}
    for verb, path in sorted(found - OPEN):
        url = f"{gateway.operators_url}{re.sub(r'{[^}]*}', '0', path)}"
        for headers in ({}, {"authorization": f"Bearer {clerk.token}"}):
            answered = await gateway.http.request(verb, url, headers=headers)
            assert answered.status_code == 401, (verb, path)
    assert unchanged(gateway, before)


@pytest.mark.parametrize("door", DOORS, ids=IDS)
async def test_nobody_is_let_in_without_an_operators_key(
    house: tuple[Running, Agent], door: Door
) -> None:
    gateway, clerk = house
    before, refused = gateway.size, gateway.gateway.services.refusals.counts.copy()
    key = gateway.keys["adam"]
    for authorization in (
        None,
        "Bearer nonsense",
        "Bearer a b",
        f"Bearer {clerk.token}",
        f"Bearer {key[:-1]}",
        f"Bearer {key}x",
        f"Bearer  {key}",
        f"Basic {key}",
        key,
        f"Bearer {key}, Bearer {clerk.token}",
    ):
        headers = {} if authorization is None else {"authorization": authorization}
        answered = await gateway.http.request(
            door.verb, f"{gateway.operators_url}{door.url}", json=door.body, headers=headers
        )
        assert answered.status_code == 401, authorization
        assert answered.json()["code"] in {"auth.missing", "auth.invalid"}
    assert unchanged(gateway, before)
    counts = gateway.gateway.services.refusals.counts
    assert sum(counts.values()) == sum(refused.values()) + 10


@pytest.mark.parametrize("door", DOORS, ids=IDS)
async def test_each_door_takes_its_role_and_no_other(
    house: tuple[Running, Agent], door: Door
) -> None:
    gateway, _ = house
    for name, roles in OPERATORS.items():
        before = gateway.size
        may = door.role in roles or door.role == "viewer"
        if may and door.verb == "POST":
            continue  # what it does when it is let in is tested below
        answered = await gateway.operate(door.verb, door.url, door.body, by=name, check=False)
        if may:
            assert answered.status_code in {200, 404}
        else:
            assert (answered.status_code, answered.json()["code"]) == (403, "operator.role")
            assert unchanged(gateway, before)


@pytest.mark.parametrize("door", DOORS, ids=IDS)
@pytest.mark.parametrize(
    ("headers", "code"),
    [
        pytest.param({"host": "evil.test"}, "operator.host", id="host"),
        pytest.param({"origin": "https://evil.test"}, "operator.origin", id="origin"),
        pytest.param({"origin": "null"}, "operator.origin", id="null"),
    ],
)
async def test_nobody_is_let_in_from_elsewhere_even_with_a_key(
    house: tuple[Running, Agent], door: Door, headers: dict[str, str], code: str
) -> None:
    gateway, _ = house
    before = gateway.size
    answered = await gateway.http.request(
        door.verb,
        f"{gateway.operators_url}{door.url}",
        json=door.body,
        headers={"authorization": f"Bearer {gateway.keys['adam']}", **headers},
    )
    assert (answered.status_code, answered.json()["code"]) == (403, code)
    assert unchanged(gateway, before)


@pytest.mark.parametrize("door", WRITING, ids=[f"{door.verb} {door.path}" for door in WRITING])
@pytest.mark.parametrize("body", BODIES)
async def test_a_hostile_body_is_refused_without_effect(
    house: tuple[Running, Agent], door: Door, body: bytes
) -> None:
    if body == b"" and door.path == "/api/operators/code":
        pytest.skip("it needs none")
    gateway, _ = house
    before = gateway.size
    by = "omar" if door.role == "approver" else "adam"
    answered = await gateway.http.request(
        door.verb,
        f"{gateway.operators_url}{door.url}",
        content=body,
        headers={"authorization": f"Bearer {gateway.keys[by]}"},
    )
    assert 400 <= answered.status_code < 500, answered.text
    assert answered.headers["content-type"] == "application/problem+json"
    assert "Traceback" not in answered.text
    assert unchanged(gateway, before)


@pytest.mark.parametrize("verb", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
async def test_no_other_verb_opens_any_door(house: tuple[Running, Agent], verb: str) -> None:
    gateway, _ = house
    before = gateway.size
    known = {(door.verb, door.path) for door in DOORS}
    for door in DOORS:
        if (verb, door.path) in known:
            continue
        answered = await gateway.http.request(
            verb,
            f"{gateway.operators_url}{door.url}",
            headers={"authorization": f"Bearer {gateway.keys['adam']}"},
        )
        assert answered.status_code in {404, 405}
    assert unchanged(gateway, before)


@pytest.mark.parametrize(
    "path",
    [
        "/api/audit/entries?start=-1",
        "/api/audit/entries?start=x",
        "/api/audit/entries?start=99999999999999999999999",
        "/api/audit/entries/-1",
        "/api/audit/entries/99999999999999999999999",
        "/api/audit/proof/-1",
        "/api/audit/proof/99999999",
        "/api/audit/search?limit=-5",
        "/api/audit/search?limit=99999999999999999999",
        "/api/audit/search?cursor=-1",
        "/api/audit/search?cursor=99999999999999999999999",
        "/api/audit/search?q=%22",
        "/api/audit/search?q=agent:",
        "/api/audit/search?q=nothing:x",
        "/api/audit/search?q=%27%20OR%201%3D1%20--",
        "/api/audit/search?q=NEAR%28a%20b",
        "/api/audit/search?q=%00",
        "/api/audit/search?q=" + "a" * 5000,
        "/api/approvals?state=nothing",
        "/api/approvals/..%2f..%2fstatus",
        "/api/servers/..",
        "/api/servers/nothing",
        "/api/agents/%00",
        "/api/sessions/%2e%2e",
        "/audit/log/gw.example/log/../../keys/log.pem",
        "/audit/log/gw.example/log/..%2f..%2fkeys%2flog.pem",
        "/audit/log/gw.example/log/tile/0/000.p/999",
        "/audit/log/gw.example/log/%2fetc%2fpasswd",
        "/audit/log/other/checkpoint",
    ],
)
async def test_a_hostile_path_or_query_ends_in_an_answer(
    house: tuple[Running, Agent], path: str
) -> None:
    gateway, _ = house
    answered = await gateway.operate("GET", path, by="vera", check=False)
    assert answered.status_code < 500, answered.text
    assert "PRIVATE KEY" not in answered.text
    assert "root:" not in answered.text


async def test_two_credentials_or_two_hosts_are_one_too_many(
    house: tuple[Running, Agent],
) -> None:
    gateway, _ = house
    address = urlsplit(gateway.operators_url)
    host, key = gateway.operators_url.removeprefix("http://"), gateway.keys["adam"]
    for lines, status in (
        (f"host: {host}\r\nauthorization: Bearer {key}\r\nauthorization: Bearer {key}", 401),
        (f"host: {host}\r\nhost: {host}\r\nauthorization: Bearer {key}", 403),
        (f"authorization: Bearer {key}", 403),
    ):
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        writer.write(f"GET /api/status HTTP/1.1\r\n{lines}\r\n\r\n".encode())
        answer = await asyncio.wait_for(reader.readline(), 5)
        writer.transport.abort()
        assert int(answer.split()[1]) in {status, 400}


async def test_an_agents_token_is_worth_nothing_anywhere_here(
    house: tuple[Running, Agent],
) -> None:
    gateway, clerk = house
    with_cookie = await gateway.http.get(
        f"{gateway.operators_url}/api/status",
        headers={"cookie": f"session={clerk.token}; passavant={clerk.token}"},
    )
    assert with_cookie.status_code == 401
