"""The MCP conformance suite against a real gateway: what of it is about authorization.

    python -m tests.conformance.run NODE SUITE

Prints a row for each scenario; exits 1 when a check fails that is not expected to, or one that is
expected to does not. Run by `scripts/conformance`, which installs the suite.
"""

import asyncio
import json
import re
import socket
import sys
import tempfile
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.conformance.scenarios import AUTHORIZATION_SERVER, CLIENT, EXPECTED
from tests.harness.application import settings
from tests.harness.browser import Browser, browser
from tests.harness.gateway import Running, running
from tests.harness.provider import provider

ROOT = Path(__file__).parents[2]
LONGEST_S = 120.0

_ASKED = re.compile(rb"http://\S+/oauth/authorize\?\S+")


@dataclass(frozen=True)
class Suite:
    """The suite, and what it runs on."""

    node: str
    program: str

    async def start(self, *arguments: str) -> Process:
        return await asyncio.create_subprocess_exec(
            self.node, self.program, *arguments, stdout=PIPE, stderr=STDOUT, cwd=ROOT
        )


@dataclass(frozen=True)
class Row:
    """What came of one scenario: names of its checks, by whether they passed."""

    scenario: str
    passed: tuple[str, ...]
    failed: tuple[str, ...]

    @property
    def surprises(self) -> Iterator[str]:
        """What is not as expected."""
        if not self.passed and not self.failed:
            yield "no check was made"
        expected = {
            name.partition(": ")[2] for name in EXPECTED if name.startswith(f"{self.scenario}: ")
        }
        for name in sorted(set(self.failed) - expected):
            yield f"failed: {name}"
        for name in sorted(expected - set(self.failed)):
            yield f"expected to fail, and did not: {name}"


async def main(suite: Suite) -> int:
    """Run every scenario that concerns us."""
    rows = [*await authorization_server(suite)]
    for scenario in CLIENT:
        rows.append(await client(suite, scenario))
        show(rows[-1])
    surprising = [row for row in rows if any(row.surprises)]
    checks = sum(len(row.passed) for row in rows)
    _say(f"{len(rows)} scenarios, {checks} checks passed, {len(surprising)} scenarios surprise")
    return 1 if surprising else 0


def show(row: Row) -> None:
    """One line of the table, and what is not as expected below it."""
    mark = "NO" if any(row.surprises) else "ok"
    _say(f"{mark:<3} {row.scenario:<42} {len(row.passed):>3} passed {len(row.failed):>3} failed")
    for surprise in row.surprises:
        _say(f"    {surprise}")
    for name in row.failed:
        if reason := EXPECTED.get(f"{row.scenario}: {name}"):
            _say(f"    expected: {name}: {reason}")


async def authorization_server(suite: Suite) -> list[Row]:
    """Our own: a person logs in, agrees, and the suite gets its token."""
    port = _free_port()
    callback = f"http://127.0.0.1:{port}/callback"
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        async with _gateway(Path(folder), callback) as gateway, browser() as person:
            process = await suite.start(
                "authorization",
                *("--url", gateway.url),
                *("--client-id", "suite"),
                *("--resource", f"{gateway.url}/mcp"),
                *("--port", str(port)),
                *("--output-dir", f"{folder}/results"),
            )
            said = await _talked(process, person)
        for scenario in AUTHORIZATION_SERVER:
            rows.append(_row(scenario, Path(folder) / "results", said))
            show(rows[-1])
    return rows


@asynccontextmanager
async def _gateway(folder: Path, callback: str) -> AsyncIterator[Running]:
    async with provider() as corp:
        corp.client = "passavant"
        application = {"agent": "clerk-1", "redirect_uris": [callback]}
        document = {"https://suite.example/client.json": {"agent": "clerk-1"}}
        made = settings(corp, suite=application, **document)
        async with running(folder / "gateway", settings=made) as gateway:
            yield gateway


async def _talked(process: Process, person: Browser) -> str:
    """What the suite said until its end; where it wants a browser, there is one."""
    assert process.stdout is not None
    said = b""
    async with asyncio.timeout(LONGEST_S):
        async for line in process.stdout:
            said += line
            found = _ASKED.search(line)
            if found is not None:
                await person.agree(await person.open(found[0].decode()))
        await process.wait()
    return said.decode(errors="replace")


async def client(suite: Suite, scenario: str) -> Row:
    """Our side towards upstreams, before the suite's server."""
    command = f"{sys.executable} -m tests.conformance.upstream"
    with tempfile.TemporaryDirectory() as folder:
        process = await suite.start(
            "client",
            *("--command", command),
            *("--scenario", scenario),
            *("--timeout", "60000"),
            *("--output-dir", folder),
        )
        async with asyncio.timeout(LONGEST_S):
            said, _ = await process.communicate()
        return _row(scenario, Path(folder), said.decode(errors="replace"))


def _row(scenario: str, folder: Path, said: str) -> Row:
    name = scenario.rpartition("/")[2]
    checks: list[dict[str, Any]] = []
    for file in sorted(folder.rglob("checks.json")):
        if name in str(file.relative_to(folder)):
            checks += json.loads(file.read_text())
    if not checks:
        _say(said)
    passed = [each["id"] for each in checks if each["status"] in {"SUCCESS", "WARNING"}]
    failed = [each["id"] for each in checks if each["status"] == "FAILURE"]
    return Row(scenario, tuple(passed), tuple(failed))


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(asyncio.run(main(Suite(*sys.argv[1:]))))
