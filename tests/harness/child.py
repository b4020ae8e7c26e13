"""A gateway in a process of its own, as `passavant serve` runs it: it can be killed, and its files
can be kept from growing.
"""

import asyncio
import json
import resource
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from gateway.home import Home
from gateway.operator.credentials import Operators
from gateway.settings import Settings
from tests.harness.gateway import Server, make_settings
from tests.harness.policy import DESK
from tests.harness.program import Program
from tests.harness.reached import LONGEST_S, Reached, give_keys


@dataclass(kw_only=True)
class Child(Reached):
    """The process, with the home that outlives it."""

    home: Home
    config: Path
    process: Program | None = None

    async def start(self) -> None:
        """Start it and wait until it is ready and has reached its servers."""
        address = self.home.path / "address.json"
        address.unlink(missing_ok=True)
        said = self.config.with_suffix(".log")
        self.process = Program.start("serve", "--config", self.config, said=said)
        await self.until(lambda: address.exists() or self.process.returncode is not None)  # type: ignore[union-attr]  # set above
        assert self.process.returncode is None, self.said
        found = json.loads(address.read_bytes())
        self.url, self.operators_url = (f"http://{found[name]}" for name in ("agents", "operators"))
        async with asyncio.timeout(LONGEST_S):
            while set((await self._servers()).values()) != {"up"}:  # noqa: ASYNC110 - no event
                await asyncio.sleep(0.02)

    async def kill(self) -> None:
        """End it as a power cut would."""
        await self._end(signal.SIGKILL)

    async def stop(self) -> int | None:
        """End it as an operator would; its exit code."""
        return await self._end(signal.SIGTERM)

    def limit_files(self, size: int) -> None:
        """Let no file be written beyond `size` bytes from now on, as on a full disk."""
        assert self.process is not None
        _, hard = resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (size, hard))

    def free_files(self) -> None:
        """Let files grow again."""
        self.limit_files(resource.RLIM_INFINITY)

    async def entries(self, kind: str | None = None) -> list[dict[str, Any]]:
        """Every durable entry, oldest first."""
        found: list[dict[str, Any]] = []
        while page := (await self.operate("GET", f"/api/audit/entries?start={len(found)}")).json():
            found += [entry["body"] for entry in page]
        return [body for body in found if kind in {None, body["kind"]}]

    async def ready(self) -> bool:
        """Whether it says that calls can be made."""
        return (await self.http.get(f"{self.url}/readyz")).status_code == 200

    async def ready_again(self) -> None:
        """Wait until it says that calls can be made."""
        async with asyncio.timeout(LONGEST_S):
            while not await self.ready():  # noqa: ASYNC110 - another process has no event
                await asyncio.sleep(0.05)

    @property
    def said(self) -> str:
        """What it wrote to its standard streams."""
        return self.config.with_suffix(".log").read_text()

    async def _servers(self) -> dict[str, str]:
        states: dict[str, str] = (await self.operate("GET", "/api/status")).json()["servers"]
        return states

    async def _end(self, number: signal.Signals) -> int | None:
        process, self.process = self.process, None
        if process is None:
            return None
        process.send_signal(number)
        async with asyncio.timeout(LONGEST_S):
            return await process.wait()


@asynccontextmanager
async def child(
    folder: Path,
    policy: str = DESK,
    servers: Mapping[str, Server] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> AsyncIterator[Child]:
    """A gateway process that is ready; it is ended whatever happens."""
    made = make_settings(
        folder,
        policy,
        servers or {},
        agents="127.0.0.1:0",
        operators="127.0.0.1:0",
        more={"public_url": "https://gw.example", **(settings or {})},
    )
    config = folder / "passavant.yaml"
    config.write_text(_yaml(made))
    home = Home.at(made.home)
    async with httpx.AsyncClient(trust_env=False, timeout=30) as http:
        found = Child(
            url="",
            operators_url="",
            policy=Path(made.policy[0]),
            http=http,
            keys=give_keys(Operators.open(home.operators)),
            home=home,
            config=config,
        )
        try:
            await found.start()
            yield found
        finally:
            await found.kill()


def _yaml(settings: Settings) -> str:
    given = settings.model_dump(mode="json", by_alias=True, exclude_unset=True)
    given["servers"] = {
        name: spec.model_dump(mode="json", exclude_unset=True)
        for name, spec in settings.servers.items()
    }
    return yaml.safe_dump(given)
