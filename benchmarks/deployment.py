"""The gateway under measurement: a real `passavant serve`, as its users start it.

Its home is new and lies on a disk; its policy is `deployment.policy.yaml`; its one server is the
stub. The stub's tools are accepted beforehand by writing the catalogue lock, and access tokens
come from the operators' API, each in a session of its own.
"""

import json
import secrets
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from benchmarks.processes import SERVER_CPU, Child, module, running
from benchmarks.upstream import TOOLS
from gateway.catalogue.pins import Lock
from gateway.home import Home
from gateway.identity import private_files
from gateway.operator.credentials import KEY_BYTES, Operator, Operators

POLICY = Path(__file__).with_name("deployment.policy.yaml")
ORIGIN = "passavant.localhost/benchmark"
SERVER = "stub"
AGENT = "load"
SESSIONS = 32
START_S = 30.0
TOKEN_S = 3600

_LOOK_EVERY_S = 0.01


class NotMeasurable(Exception):
    """The gateway did not start, or gave no token."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """A gateway that is ready.

    agents   `host:port` of the agents' listener
    operators, key  `host:port` of the operators' listener, and an administrator's key for it
    tokens   file with access tokens, one a line
    ready_s  from its start until it said that it is ready
    rss_mib  its resident memory then
    """

    child: Child
    agents: str
    operators: str
    key: str
    tokens: Path
    ready_s: float
    rss_mib: float


@contextmanager
def deployed(
    folder: Path, upstream: str, *, cpu: int = SERVER_CPU, **more: object
) -> Iterator[Deployment]:
    """Run a gateway with its home below `folder` until the block ends.

    upstream  `host:port` of the stub
    more      further members of the deployment file

    The folder has to lie on a disk: a log in memory syncs for nothing. Raises NotMeasurable.
    """
    home = Home.at(folder / "home")
    Lock().accept(SERVER, TOOLS).write(home.lock)
    key = Operators.open(home.operators).add(
        Operator("bench", frozenset({"administrator"})), secrets.token_bytes(KEY_BYTES)
    )
    agents, operators = (f"127.0.0.1:{port}" for port in _free_ports())
    config = folder / "passavant.yaml"
    config.write_text(_settings(agents, operators, upstream, more))
    command = module("cli.main", "serve", "--config", str(config))
    diagnostics = folder / "gateway.log"
    began = time.monotonic()
    with running(command, cpu=cpu, diagnostics=diagnostics) as child:
        _await_ready(child, agents, diagnostics)
        ready_s = time.monotonic() - began
        rss_mib = child.rss_mib()
        tokens = folder / "tokens"
        private_files.create(tokens, "\n".join(_tokens(operators, key)).encode())
        yield Deployment(child, agents, operators, key, tokens, ready_s, rss_mib)


def _settings(agents: str, operators: str, upstream: str, more: Mapping[str, object]) -> str:
    """The deployment file; JSON is YAML too."""
    return json.dumps(
        {
            "apiVersion": "passavant/v1",
            "kind": "Gateway",
            "home": "home",
            "public_url": f"http://{agents}",
            "operators_url": f"http://{operators}",
            "listen": {"agents": agents, "operators": operators},
            "policy": [str(POLICY)],
            "servers": {SERVER: {"url": f"http://{upstream}/mcp"}},
            "identity": {"tokens": {"max_ttl": f"{TOKEN_S}s"}},
            "audit": {"origin": ORIGIN},
            **more,
        }
    )


def _free_ports() -> tuple[int, int]:
    """Two ports that are free now; a gateway is told its own in its configuration."""
    with socket.socket() as one, socket.socket() as other:
        for each in (one, other):
            each.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]


def _await_ready(child: Child, agents: str, diagnostics: Path) -> None:
    until = time.monotonic() + START_S
    with httpx.Client(trust_env=False) as http:
        while child.process.poll() is None and time.monotonic() < until:
            try:
                if http.get(f"http://{agents}/readyz").is_success:
                    return
            except httpx.TransportError:
                pass
            time.sleep(_LOOK_EVERY_S)
    raise NotMeasurable(f"the gateway is not ready:\n{diagnostics.read_text()[-2000:]}")


def _tokens(operators: str, key: str) -> list[str]:
    """Access tokens for as many sessions, once the stub has been reached."""
    headers = {"authorization": f"Bearer {key}"}
    with httpx.Client(
        base_url=f"http://{operators}", headers=headers, trust_env=False, timeout=START_S
    ) as http:
        _await_link(http)
        asked = {"agent": AGENT, "ttl_s": TOKEN_S}
        answers = [http.post("/api/tokens", json=asked) for _ in range(SESSIONS)]
    for answer in answers:
        if not answer.is_success:
            raise NotMeasurable(f"no token: {answer.text}")
    return [str(answer.json()["access_token"]) for answer in answers]


def _await_link(http: httpx.Client) -> None:
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        rows = http.get("/api/servers").json()
        if [row["state"] for row in rows] == ["up"]:
            return
        time.sleep(_LOOK_EVERY_S)
    raise NotMeasurable("the gateway does not reach the stub")
