"""The gateway under demonstration: a child process that can be killed and started again."""

import asyncio
import signal
import sys
from asyncio.subprocess import DEVNULL, Process, create_subprocess_exec
from contextlib import suppress
from pathlib import Path

import httpx2

from cli.address import ADDRESS_FILE, Address

START_S = 40.0
STOP_S = 20.0
LOOK_EVERY_S = 0.05


class GatewayFailed(Exception):
    """The gateway did not start; what it said is in its own log file."""


class Child:
    """One gateway process at a time, always with the same home."""

    def __init__(self, home: Path, diagnostics: Path) -> None:
        self._home = home
        self._diagnostics = diagnostics
        self._process: Process | None = None

    async def start(self) -> Address:
        """Start it and wait until it is ready. Raises GatewayFailed."""
        (self._home / ADDRESS_FILE).unlink(missing_ok=True)
        command = [
            sys.executable,
            "-m",
            "cli.main",
            "dev",
            "--home",
            str(self._home),
            "--port",
            "0",
        ]
        with self._diagnostics.open("ab") as sink:
            self._process = await create_subprocess_exec(
                *command, stdin=DEVNULL, stdout=sink, stderr=sink, start_new_session=True
            )
        try:
            async with asyncio.timeout(START_S):
                return await self._ready(self._process)
        except TimeoutError:
            await self.kill()
            raise GatewayFailed(f"not ready after {START_S:.0f} s") from None

    async def kill(self) -> None:
        """End it as a power cut would: kill -9."""
        await self._end(signal.SIGKILL)

    async def stop(self) -> int:
        """End it as an operator would; its exit code."""
        return await self._end(signal.SIGTERM)

    async def _end(self, number: signal.Signals) -> int:
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return 0 if process is None else process.returncode or 0
        process.send_signal(number)
        try:
            async with asyncio.timeout(STOP_S):
                return await process.wait()
        except TimeoutError:
            process.kill()
            return await process.wait()

    async def _ready(self, process: Process) -> Address:
        async with httpx2.AsyncClient(trust_env=False) as http:
            while process.returncode is None:
                await asyncio.sleep(LOOK_EVERY_S)
                if not (self._home / ADDRESS_FILE).exists():
                    continue
                address = Address.read(self._home)
                with suppress(httpx2.HTTPError):
                    answer = await http.get(f"http://{address.agents}/readyz")
                    if answer.status_code == 200:
                        return address
        raise GatewayFailed(f"ended with {process.returncode} instead of starting")
