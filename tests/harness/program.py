"""`passavant` in a process of its own, forked from one that has loaded it: loading takes a second.

It is the same program, which can be killed and has its own streams, signals and exit code.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from coverage import Coverage, process_startup

import cli.serve
import cli.worker
import orchestration.files
import orchestration.service
import orchestration.worker
from cli.main import main
from tests.harness.measuring import CHILDREN

ROOT = Path(__file__).parents[2]
LOADED = (cli.serve, cli.worker, orchestration.files, orchestration.service, orchestration.worker)
"""What those have loaded that are forked, since they have loaded this file."""

_forks = get_context("forkserver")
_forks.set_forkserver_preload([__name__])


@dataclass(frozen=True)
class Program:
    """One run of the command line."""

    process: ForkServerProcess

    @classmethod
    def start(
        cls,
        *args: str | Path,
        said: Path,
        errors: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> "Program":
        """Start it.

        said         the file to which it writes, behind what is there
        errors       the one for its standard error; None: the same
        environment  what it has beside ours
        """
        given = {**os.environ, **(environment or {})}
        streams = said, errors or said
        process = _forks.Process(target=_run, args=([*map(str, args)], streams, given), daemon=True)
        with _unmeasured():
            process.start()
        return cls(process)

    @property
    def pid(self) -> int:
        """Its id, also after its end."""
        assert self.process.pid is not None
        return self.process.pid

    @property
    def returncode(self) -> int | None:
        """Its exit code; negative: the signal that ended it; None: it runs."""
        return self.process.exitcode

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.returncode is None:
            with suppress(ProcessLookupError):  # it has ended just now
                os.kill(self.pid, number)

    def wait_s(self, longest_s: float) -> int:
        """Wait for its end; who takes longer is killed, and TimeoutError raised."""
        self.process.join(longest_s)
        if self.returncode is None:
            self.send_signal(signal.SIGKILL)
            self.process.join()
            raise TimeoutError
        assert self.returncode is not None
        return self.returncode

    async def wait(self) -> int:
        """Wait for its end, while other things go on."""
        while (code := self.returncode) is None:  # noqa: ASYNC110 - of another process
            await asyncio.sleep(0.005)
        return code


@contextmanager
def _unmeasured() -> Iterator[None]:
    """Let the process that others are forked from not be measured: each of them may be."""
    measured = os.environ.pop(CHILDREN, None)
    try:
        yield
    finally:
        if measured is not None:
            os.environ[CHILDREN] = measured


def _run(args: list[str], streams: tuple[Path, Path], environment: Mapping[str, str]) -> None:
    os.chdir(ROOT)
    for stream, file in zip((sys.stdout, sys.stderr), streams, strict=True):
        with file.open("ab") as sink:
            os.dup2(sink.fileno(), stream.fileno())
    os.environ.clear()
    os.environ.update(environment)
    process_startup()  # where programs are measured
    sys.argv = ["passavant", *args]
    try:
        main()
    finally:
        if measured := Coverage.current():
            measured.stop()
            measured.save()
