"""T9: what the gateway alone may know is told by every server in every way, and read by nobody.

Three servers over HTTP repeat the header they were sent, one local server its environment: in
results, errors, definitions of tools, streams, headers and standard error, plainly and packed.
Then everything that anybody can read is searched with decoders that are not the gateway's.
"""

import asyncio
import json
import re
import sys
from base64 import b64decode
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, unquote_plus

import pytest
import pytest_asyncio

from gateway.catalogue.pins import Lock
from gateway.home import Home
from gateway.identity.secret_hash import SecretHash
from gateway.links.masking import MASK
from tests.gateway.links.http_upstream import Heard, Upstream, chunked, event, http
from tests.harness import echo_server
from tests.harness.agent import LEGACY, MODERN, REST, WAYS, Agent, Answer
from tests.harness.authorization_server import IssuerStub, issuer
from tests.harness.child import Child, child
from tests.harness.policy import AGENTS, HEAD

pytestmark = pytest.mark.asyncio(loop_scope="module")

BEARER = 'planted+be/rer "7f3a9c"=='
CLIENT = "planted-client/secret+41=="
LOCAL = 'planted "local"\\env/5e+ 1'

REMOTE = ("crm", "pay", "bank")
SERVERS = (*REMOTE, "local")
SHAPES = ("raw", "url", "base64", "json", "structured", "error", "rpc-error")
STREAMED = ("progress", "question", "header", "status", "garbage")
COMPLAINTS = ("stderr", "halves", "stderr-base64")

POLICY = (
    HEAD
    + "tools:\n"
    + "".join(f"  {server}.look: {{risk: write, emits: []}}\n" for server in SERVERS)
    + "rules:\n"
    + f"  - {{id: looks, roles: [clerk], tools: [{', '.join(f'{s}.look' for s in SERVERS)}],"
    + " effect: allow}\n"
    + f"front_ends: {{portal: {{users: [ana, bob], agents: [{AGENTS[0]}]}}}}\n"
)
PORTAL = "what-the-portal-proves-itself-with"
IDENTITY = {
    "tokens": {"skew": "0s"},
    "clients": {"portal": {"secret_hash": str(SecretHash.of(PORTAL, bytes(16)))}},
}


@dataclass
class Planted:
    """A gateway that serves, and everything that was planted and given out."""

    gateway: Child
    idp: IssuerStub
    servers: Mapping[str, Upstream]
    answers: list[Answer]

    @property
    def secrets(self) -> set[str]:
        return {BEARER, CLIENT, LOCAL, *self.idp.valid, *self.idp.subjects}

    async def clerk(self, user: str) -> Agent:
        """An agent that acts for a user, as a front end begins it."""
        form = {"grant_type": "client_credentials", "agent": AGENTS[0], "user": user}
        url, http = self.gateway.url, self.gateway.http
        answered = await http.post(f"{url}/oauth/token", data=form, auth=("portal", PORTAL))
        return Agent(http, url, answered.json()["access_token"], AGENTS[0])

    async def call(self, agent: Agent, server: str, at: str) -> Answer:
        answered = await agent.call(f"{server}.look", at=at)
        self.answers.append(answered)
        return answered


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def planted(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Planted]:
    folder = tmp_path_factory.mktemp("planted")
    async with issuer() as idp, echoing(*REMOTE) as servers:
        specs = _specs(folder, idp, servers)
        lock = Lock()
        for name, scheme in zip(SERVERS, ("Bearer ", "Bearer ", "Bearer ", ""), strict=True):
            lock = lock.accept(name, echo_server.tools(scheme + MASK)[:1])
        lock.write(Home.at(folder / "home").lock)
        async with child(folder, POLICY, specs, {"identity": IDENTITY}) as gateway:
            yield Planted(gateway, idp, servers, [])


def _specs(
    folder: Path, idp: IssuerStub, servers: Mapping[str, Upstream]
) -> dict[str, dict[str, Any]]:
    for name, secret in {"bearer": BEARER, "client": CLIENT, "local": LOCAL}.items():
        (folder / name).write_text(secret)
    idp.secrets["gw"] = CLIENT
    client = {"issuer": idp.url, "client": "gw", "secret": f"file:{folder}/client"}
    credentials: dict[str, dict[str, Any]] = {
        "crm": {"bearer": f"file:{folder}/bearer"},
        "pay": {"oauth_client": client},
        "bank": {"token_exchange": client},
    }
    specs: dict[str, dict[str, Any]] = {
        name: {"url": servers[name].url, "credential": credential}
        for name, credential in credentials.items()
    }
    command = [sys.executable, "-I", "-S", str(Path(echo_server.__file__))]
    specs["local"] = {
        "command": command,
        "env": {"TOKEN": {"secret": f"file:{folder}/local"}},
        "sandbox": {"read": [str(Path(echo_server.__file__).parent)]},
    }
    return specs


# -- servers that repeat what they were sent ------------------------------------------------


@asynccontextmanager
async def echoing(*names: str) -> AsyncIterator[Mapping[str, Upstream]]:
    async with AsyncExitStack() as stack:
        servers = {name: await stack.enter_async_context(Upstream()) for name in names}
        for server in servers.values():
            for method in ("server/discover", "tools/list", "tools/call"):
                server.behaviours[method] = _echo
        yield servers


async def _echo(heard: Heard, writer: asyncio.StreamWriter) -> None:
    secret = heard.headers["authorization"]
    at = heard.message["params"].get("arguments", {}).get("at", "")
    told = echo_server.reply(secret, {"method": heard.method, **heard.message})
    message = {"jsonrpc": "2.0", "id": heard.message["id"], **told}
    plain = json.dumps(message).encode()
    notice = {"jsonrpc": "2.0", "method": "notifications/progress", "params": {"message": secret}}
    question = {"jsonrpc": "2.0", "id": secret, "method": f"sampling/{secret}", "params": {}}
    answers = {
        "progress": lambda: chunked(event(notice), event(message)),
        "question": lambda: chunked(event(question), event(message)),
        "header": lambda: http(plain, extra=f"X-Echo: {secret}\r\nMcp-Session-Id: x\r\n"),
        "status": lambda: http(secret.encode(), f"500 {secret}"),
        "garbage": lambda: http(secret.encode()),
    }
    writer.write(answers.get(at, lambda: http(plain))())
    await writer.drain()


# -- what anybody can read ------------------------------------------------------------------


def read(text: str) -> Iterator[str]:
    """The text in all the ways in which a reader may unpack it."""
    yield text
    yield unquote(text)
    yield unquote_plus(text)
    unescaped = text
    for _ in range(3):
        unescaped = re.sub(r"\\(u[0-9a-fA-F]{4}|.)", _unescape, unescaped)
        yield unescaped
        yield unquote(unescaped)
    for run in re.findall(r"[A-Za-z0-9+/_-]{8,}", unquote(unescaped)):
        packed = run.replace("-", "+").replace("_", "/")
        for start in range(4):
            group = packed[start:]
            group = group[: len(group) - (len(group) % 4 == 1)]
            yield b64decode(group + "=" * (-len(group) % 4)).decode("latin-1")


def _unescape(found: re.Match[str]) -> str:
    code = found[1]
    return chr(int(code[1:], 16)) if len(code) == 5 else code


def leaked(raw: bytes, secrets: set[str]) -> set[str]:
    """The secrets that the bytes give away."""
    unused = re.compile(rb"\0{16,}")  # of files that were made longer beforehand
    ways = "\0".join(read(unused.sub(b"", raw).decode("latin-1")))
    return {secret for secret in secrets if secret in ways}


@pytest.mark.parametrize("secret", [BEARER, LOCAL])
@pytest.mark.parametrize("shape", SHAPES)
async def test_t09_the_search_finds_what_a_server_plants(secret: str, shape: str) -> None:
    message = {"method": "tools/call", "params": {"arguments": {"at": shape}}}
    told = json.dumps(echo_server.reply(secret, message)).encode()
    assert leaked(told, {secret}) == {secret}


async def test_t09_a_secret_comes_back_masked_in_every_shape(planted: Planted) -> None:
    clerk = await planted.clerk("ana")
    for way in WAYS:
        agent = clerk.by(way)
        for server in SERVERS:
            for shape in SHAPES:
                answered = await planted.call(agent, server, shape)
                assert MASK in answered.text + json.dumps(answered.body), (way, server, shape)
                assert not leaked(json.dumps(answered.body).encode(), planted.secrets)


async def test_t09_streams_headers_and_broken_answers_tell_nothing(planted: Planted) -> None:
    clerk = await planted.clerk("bob")
    for way in WAYS:
        for server in REMOTE:
            for shape in STREAMED:
                answered = await planted.call(clerk.by(way), server, shape)
                told = f"{answered.body}{dict(answered.headers)}".encode()
                assert not leaked(told, planted.secrets), (way, server, shape)


async def test_t09_what_a_local_server_complains_of_is_masked(planted: Planted) -> None:
    clerk = await planted.gateway.agent()
    for shape in COMPLAINTS:
        await planted.call(clerk, "local", shape)
    await planted.gateway.until(lambda: planted.gateway.said.count("server.stderr") >= 3)
    assert not leaked(planted.gateway.said.encode(), planted.secrets)
    assert "is bad" in planted.gateway.said


@pytest.mark.parametrize("way", [MODERN, LEGACY, REST])
async def test_t09_tools_are_listed_without_it(planted: Planted, way: str) -> None:
    clerk = (await planted.clerk("ana")).by(way)
    listed = await (clerk.get("/v1/openapi.json") if way == REST else clerk.rpc("tools/list"))
    assert not leaked(json.dumps(listed.body).encode(), planted.secrets)
    assert json.dumps(listed.body).count(MASK) >= len(SERVERS)


@pytest.mark.parametrize("server", SERVERS)
async def test_t09_who_reviews_a_server_is_shown_it_without_it(
    planted: Planted, server: str
) -> None:
    shown = await planted.gateway.operate("GET", f"/api/servers/{server}/review")
    changes = {change["tool"] for change in shown.json()["changes"]}
    assert changes == {"extra"}, "a tool whose name holds a secret is left out"
    assert not leaked(shown.content, planted.secrets)
    assert MASK in shown.text


async def test_t09_operators_logs_metrics_and_files_hold_none_of_it(planted: Planted) -> None:
    gateway = planted.gateway
    clerk = await planted.clerk("ana")
    before = len(await gateway.entries())
    for server in SERVERS:
        for shape in SHAPES:
            await planted.call(clerk, server, shape)
    secrets = planted.secrets
    assert len(planted.idp.valid) >= 3
    paths = ["/api/status", "/api/servers", "/api/sessions", "/api/approvals", "/metrics"]
    paths += ["/api/audit/search?limit=1000", "/api/policy"]
    paths += [f"/api/servers/{server}" for server in SERVERS]
    size = len(await gateway.entries())
    paths += [f"/api/audit/entries/{index}" for index in range(before, size)]
    opened = 0
    for path in paths:
        shown = await gateway.operate("GET", path, by="adam")
        opened += MASK in shown.text
        assert not leaked(shown.content, secrets), path
    assert opened >= len(SERVERS) * len(SHAPES), "the words of results were opened"
    assert not leaked(gateway.said.encode(), secrets)
    await gateway.stop()
    files = [path for path in gateway.home.path.rglob("*") if path.is_file()]
    assert len(files) > 10
    for file in files:
        assert not leaked(file.read_bytes(), secrets), file
    assert not leaked(gateway.said.encode(), secrets)
    await gateway.start()


async def test_t09_no_server_is_sent_anything_but_its_own_credential(planted: Planted) -> None:
    clerk = await planted.clerk("ana")
    for name in SERVERS:
        assert MASK in (await planted.call(clerk, name, "raw")).text
    for name, server in planted.servers.items():
        sent = repr(server.heard)
        assert clerk.token is not None
        assert clerk.token not in sent
        others = {BEARER, CLIENT, LOCAL, *planted.idp.subjects} - (
            {BEARER} if name == "crm" else set()
        )
        assert not any(secret in sent for secret in others)
