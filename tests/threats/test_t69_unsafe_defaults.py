"""T69: what is installed and started without a thought is closed."""

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from gateway.catalogue.names import RESERVED
from gateway.errors import GatewayError, SandboxMissing
from gateway.identity.errors import KeyFileRefused
from gateway.settings import Settings
from tests.harness.agent import LEGACY, MODERN, WAYS, Agent
from tests.harness.gateway import Running, running
from tests.harness.ledger import POLICY as LEDGER_POLICY
from tests.harness.ledger import ledger
from tests.harness.policy import HEAD
from tests.harness.upstream import Desk, desk

module = pytest.mark.asyncio(loop_scope="module")

LEAST: dict[str, Any] = {"apiVersion": "passavant/v1", "kind": "Gateway", "policy": ["p.yaml"]}
PATHS = [
    ("POST", "/mcp"),
    ("POST", "/mcp/desk"),
    ("GET", "/mcp"),
    ("DELETE", "/mcp"),
    ("POST", "/v1/tools/desk/look"),
    ("GET", "/v1/openapi.json"),
    ("GET", "/v1/session"),
    ("DELETE", "/v1/session"),
    ("GET", "/v1/approvals/01a1f7fc-3213-73f3-8801-c62614cd9bf4"),
]


def test_t69_nobody_but_this_machine_is_listened_to_and_no_warning_is_waived() -> None:
    settings = Settings.model_validate(LEAST)
    assert settings.listen.agents.startswith("127.0.0.1:")
    assert settings.listen.operators.startswith("127.0.0.1:")
    assert not any(value for name, value in settings if name.startswith("insecure_"))
    assert settings.audit.publish is False
    assert settings.identity.clients == {}
    assert settings.servers == {}


@module
@pytest.mark.parametrize(("verb", "path"), PATHS)
async def test_t69_an_unauthenticated_call_is_refused(
    gateway: Running, upstream: Desk, verb: str, path: str
) -> None:
    answered = await gateway.http.request(verb, f"{gateway.url}{path}")
    assert answered.status_code == 401
    assert answered.json()["code"] == "auth.missing"
    assert upstream.calls == []


@module
@pytest.mark.parametrize("way", WAYS)
async def test_t69_an_unauthenticated_tool_call_is_refused_in_every_protocol(
    gateway: Running, upstream: Desk, way: str
) -> None:
    refused = gateway.refusals("auth.missing")
    stranger = Agent(gateway.http, gateway.url, None, way=way)
    assert (await stranger.call("desk.look", at="x")).http == 401
    assert upstream.calls == []
    assert gateway.refusals("auth.missing") > refused


ORIGINS = [
    "https://evil.test",
    "http://evil.test:7300",
    "http://localhost",
    "http://127.0.0.1",
    "http://127.0.0.1:1",
    "null",
    "",
    "file://",
    "chrome-extension://abc",
    "http://127.0.0.1:{port}.evil.test",
    "http://evil.test/http://127.0.0.1:{port}",
    "HTTP://127.0.0.1:{port}@evil.test",
    "http://127.0.0.1:{port}/",
    "http://127.0.0.1:{port} https://evil.test",
]


@module
@pytest.mark.parametrize("origin", ORIGINS)
@pytest.mark.parametrize("listener", ["agents", "operators"])
async def test_t69_a_request_with_a_foreign_origin_is_refused_with_403(
    gateway: Running, upstream: Desk, clerk: Agent, origin: str, listener: str
) -> None:
    url = gateway.url if listener == "agents" else gateway.operators_url
    path = "/v1/tools/desk/look" if listener == "agents" else "/api/tokens"
    token = clerk.token if listener == "agents" else gateway.keys["adam"]
    headers = {
        "authorization": f"Bearer {token}",
        "origin": origin.format(port=url.rpartition(":")[2]),
    }
    answered = await gateway.http.post(f"{url}{path}", json={"agent": "clerk-1"}, headers=headers)
    assert answered.status_code == 403
    assert answered.json()["code"] in {"request.origin", "operator.origin"}
    assert not any(name.startswith("access-control") for name in answered.headers)
    assert upstream.calls == []


@module
@pytest.mark.parametrize(
    "host",
    [
        "evil.test",
        "evil.test:{port}",
        "localhost.evil.test:{port}",
        "127.0.0.1.evil.test",
        "127.0.0.1:1",
        "127.0.0.1",
        "0.0.0.0:{port}",
        "[::1]:{port}",
        "127.0.0.1:{port}:{port}",
        "127.0.0.1:{port}@evil.test",
        "127.0.0.1:{port}, evil.test",
        "",
    ],
)
@pytest.mark.parametrize("listener", ["agents", "operators"])
async def test_t69_a_request_under_a_foreign_name_is_refused_with_403(
    gateway: Running, upstream: Desk, clerk: Agent, host: str, listener: str
) -> None:
    """A name that leads here after the page was loaded (DNS rebinding) is not ours."""
    url = gateway.url if listener == "agents" else gateway.operators_url
    path = "/v1/tools/desk/look" if listener == "agents" else "/api/status"
    token = clerk.token if listener == "agents" else gateway.keys["adam"]
    headers = {
        "authorization": f"Bearer {token}",
        "host": host.format(port=url.rpartition(":")[2]),
    }
    verb = "POST" if listener == "agents" else "GET"
    answered = await gateway.http.request(verb, f"{url}{path}", headers=headers)
    assert answered.status_code in {400, 403}
    assert upstream.calls == []


@module
async def test_t69_a_browser_gets_no_leave_to_read_or_to_ask(gateway: Running) -> None:
    for url in (gateway.url, gateway.operators_url):
        for path in ("/mcp", "/v1/tools/desk/look", "/oauth/token", "/api/tokens", "/readyz"):
            answered = await gateway.http.options(
                f"{url}{path}",
                headers={"origin": "https://evil.test", "access-control-request-method": "POST"},
            )
            assert answered.status_code in {401, 403, 404, 405} or path == "/readyz"
            assert not any(name.startswith("access-control") for name in answered.headers)


@module
async def test_t69_neither_listener_takes_the_credential_of_the_other(
    gateway: Running, upstream: Desk, clerk: Agent
) -> None:
    operator = Agent(gateway.http, gateway.url, gateway.keys["adam"])
    for way in (MODERN, LEGACY, "rest"):
        assert (await operator.by(way).call("desk.look", at="x")).http == 401
    for path in ("/api/status", "/api/tokens", "/metrics", "/audit/log/gw.example/log/checkpoint"):
        answered = await gateway.http.get(
            f"{gateway.operators_url}{path}", headers={"authorization": f"Bearer {clerk.token}"}
        )
        assert answered.status_code in {401, 405}
    assert upstream.calls == []


async def test_t69_a_new_gateway_has_no_operator_no_client_and_no_tool(tmp_path: Path) -> None:
    async with running(tmp_path, HEAD) as gateway:
        services = gateway.gateway.services
        assert services.link_states() == {}
        assert {tool.server for tool in services.review.catalogue.tools()} <= RESERVED
        assert await (await gateway.agent("idle")).names() == set()
        for secret in ("admin", "password", "passavant", "changeme", ""):
            answered = await gateway.http.post(
                f"{gateway.url}/oauth/token",
                data={
                    "grant_type": "client_credentials",
                    "client_id": "clerk-1",
                    "client_secret": secret,
                },
            )
            assert answered.status_code in {400, 401}


async def test_t69_what_the_gateway_keeps_is_for_its_own_account_alone(tmp_path: Path) -> None:
    previous = os.umask(0o022)
    try:
        async with desk() as upstream, running(tmp_path, servers={"desk": upstream}) as gateway:
            clerk = await gateway.agent()
            assert (await clerk.call("desk.look", at="x")).done
            home = tmp_path / "home"
            assert stat.S_IMODE(home.stat().st_mode) == 0o700
            for path in (home / "keys").rglob("*"):
                wanted = 0o700 if path.is_dir() else 0o600
                assert stat.S_IMODE(path.stat().st_mode) == wanted, path
    finally:
        os.umask(previous)


@pytest.mark.parametrize(
    ("path", "mode"),
    [
        pytest.param("keys/log.pem", 0o644, id="key-of-the-log"),
        pytest.param("keys/vault.key", 0o640, id="key-of-the-vault"),
        pytest.param("keys/operators.json", 0o666, id="operators"),
        pytest.param("keys", 0o755, id="folder-of-keys"),
        pytest.param("", 0o755, id="home"),
    ],
)
async def test_t69_keys_that_others_can_read_refuse_the_start(
    tmp_path: Path, path: str, mode: int
) -> None:
    async with desk() as upstream:
        async with running(tmp_path, servers={"desk": upstream}):
            pass
        (tmp_path / "home" / path).chmod(mode)
        with pytest.raises(KeyFileRefused, match="home"):
            async with running(tmp_path, servers={"desk": upstream}):
                pytest.fail("it started")


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        pytest.param({"default": "allow"}, "default", id="unknown-setting"),
        pytest.param({"cors": ["*"]}, "cors", id="origins"),
        pytest.param({"listen": {"agents": "127.0.0.1"}}, "listen", id="no-port"),
        pytest.param({"servers": {"s": {}}}, "servers", id="server-that-is-nothing"),
        pytest.param(
            {"servers": {"s": {"url": "x", "command": ["y"]}}}, "servers", id="both-kinds"
        ),
        pytest.param({"identity": {"tokens": {"ttl": "forever"}}}, "ttl", id="endless-tokens"),
        pytest.param({"policy": []}, "policy", id="no-policy"),
    ],
)
def test_t69_settings_that_say_more_or_less_than_they_may_are_refused(
    more: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        Settings.model_validate({**LEAST, **more})


async def test_t69_a_local_server_is_not_started_unconfined_unless_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.upstream.find_bubblewrap", lambda _: None)
    (tmp_path / "book").mkdir()
    with pytest.raises(SandboxMissing, match="ledger"):
        async with running(
            tmp_path,
            LEDGER_POLICY,
            {"ledger": ledger(tmp_path / "book" / "ledger.db")},
            settings={"insecure_unsandboxed_stdio": False},
        ):
            pytest.fail("it started")


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("http://user:hunter2@127.0.0.1/mcp", id="password"),
        pytest.param("ftp://127.0.0.1/mcp", id="other-scheme"),
    ],
)
async def test_t69_a_server_that_cannot_be_reached_safely_refuses_the_start(
    tmp_path: Path, url: str
) -> None:
    with pytest.raises(GatewayError) as refused:
        async with running(tmp_path, settings={"servers": {"far": {"url": url}}}):
            pytest.fail("it started")
    assert "hunter2" not in str(refused.value)
