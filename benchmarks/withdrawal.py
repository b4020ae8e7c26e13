"""How long until a right that is withdrawn at one gateway is refused at another.

Two gateways of one fleet, each `passavant serve` in a process of its own, with homes of their own
and one database. Eight connections call at the second without pause. Tokens, an agent, a user, a
server and everything are withdrawn in turn at the first, and given back. What is measured begins
when its operators' API has answered, and ends with the first refused answer of the last connection
concerned; no call that begins after a refusal may pass. Then the database is locked against
everybody, and later let go.
"""

import argparse
import asyncio
import random
import secrets
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import httpx

from audit.files import is_volatile
from benchmarks import table
from benchmarks.busy import Caller
from benchmarks.deployment import AGENT, SERVER, TOKEN_S, Deployment, NotMeasurable, deployed
from benchmarks.processes import LOAD_CPU, SERVER_CPU, first_line, module, running
from gateway.fleet import POLL_S
from gateway.identity.secret_hash import SALT_BYTES, SecretHash

CONNECTIONS = 8
USER = "ana"
FRONT_END, SECRET = "portal", secrets.token_urlsafe(32)
WHY = {"reason": "a measurement"}
LONGEST_S = 20.0
_LOOK_EVERY_S = 0.001
_CHANCE = random.Random(6)  # noqa: S311 - not for secrets


@dataclass(frozen=True, slots=True)
class Kind:
    """One way to withdraw: paths of the operators' API, and whom it concerns."""

    name: str
    path: str
    back: str | None  # None: for good, the caller gets a new token
    concerns: int = CONNECTIONS


KINDS = (
    Kind("token", "/api/tokens/revoke", None, 1),
    Kind("agent", f"/api/agents/{AGENT}/suspend", f"/api/agents/{AGENT}/resume"),
    Kind("user", f"/api/users/{USER}/suspend", f"/api/users/{USER}/resume"),
    Kind("server", f"/api/servers/{SERVER}/suspend", f"/api/servers/{SERVER}/resume"),
    Kind("everything", "/api/stop", "/api/go"),
)


@dataclass
class Found:
    """What was measured, in seconds."""

    refused: dict[str, list[float]] = field(default_factory=dict)  # by kind
    cut: list[float] = field(default_factory=list)
    recovered: list[float] = field(default_factory=list)
    strays: int = 0
    passed: int = 0

    def rows(self) -> Mapping[str, float]:
        """The rows of the table."""
        every = [each for times in self.refused.values() for each in times]
        return {
            "revocations": len(every),
            "revoked to refused, maximum s": max(every),
            "revoked to refused, median s": median(every),
            **{f"{kind}: maximum s": max(times) for kind, times in self.refused.items()},
            "channel cut to refused, maximum s": max(self.cut),
            "channel back to passing, maximum s": max(self.recovered),
            "calls that passed after a refusal": self.strays,
            "calls that passed": self.passed,
        }


class Trial:
    """Withdraws at one gateway, and watches the callers of the other."""

    def __init__(self, first: Deployment, second: Deployment, callers: Sequence[Caller]) -> None:
        self._first, self._second = first, second
        self._callers = callers
        self._turn = 0

    async def withdraw(self, kind: Kind) -> float:
        """Seconds from the answer of the first gateway to the last first refusal."""
        self._turn += 1
        caller = self._callers[self._turn % CONNECTIONS]
        concerned = self._callers if kind.concerns > 1 else [caller]
        await self._all(concerned, lambda each: each.refused_at is None)
        for each in concerned:
            each.accuse()
        await asyncio.sleep(_CHANCE.uniform(0, POLL_S))  # not always right after they have asked
        await post(self._first, kind.path, WHY if kind.back else {"token": caller.token})
        answered = time.perf_counter()
        await self._all(concerned, lambda each: each.refused_at is not None)
        last = max(each.refused_at or 0.0 for each in concerned)
        for each in concerned:
            each.forgive()
        if kind.back is None:
            caller.token = await new_token(self._second)
        else:
            await post(self._first, kind.back, WHY)
        await self._all(concerned, lambda each: each.refused_at is None)
        return max(0.0, last - answered)

    async def cut(self, database: Path) -> tuple[float, float]:
        """Seconds until everybody is refused with the channel cut, and passes again after it."""
        for each in self._callers:
            each.accuse()
        with locked(database):
            began = time.perf_counter()
            await self._all(self._callers, lambda each: each.refused_at is not None)
            last = max(each.refused_at or 0.0 for each in self._callers)
            for each in self._callers:
                each.forgive()
        again = time.perf_counter()
        await self._all(self._callers, lambda each: each.refused_at is None)
        return last - began, time.perf_counter() - again

    async def _all(self, callers: Sequence[Caller], condition: Callable[[Caller], bool]) -> None:
        async with asyncio.timeout(LONGEST_S):
            while not all(map(condition, callers)):  # noqa: ASYNC110 - looking costs nothing
                await asyncio.sleep(_LOOK_EVERY_S)


async def post(gateway: Deployment, path: str, body: object) -> dict[str, object]:
    """An act of the administrator. Raises NotMeasurable."""
    url, headers = f"http://{gateway.operators}{path}", {"authorization": f"Bearer {gateway.key}"}
    async with httpx.AsyncClient(trust_env=False, timeout=LONGEST_S, verify=False) as http:  # noqa: S501 - no TLS here; a context takes longer than the call
        answer = await http.post(url, json=body, headers=headers)
    if not answer.is_success:
        raise NotMeasurable(f"{path}: {answer.text}")
    told: dict[str, object] = answer.json()
    return told


async def new_token(gateway: Deployment) -> str:
    """An access token for a user, in a session of its own. Raises NotMeasurable."""
    form = {
        "grant_type": "client_credentials",
        "agent": AGENT,
        "user": USER,
        "requested_lifetime": str(TOKEN_S),
    }
    async with httpx.AsyncClient(trust_env=False, timeout=LONGEST_S) as http:
        url = f"http://{gateway.agents}/oauth/token"
        answer = await http.post(url, data=form, auth=(FRONT_END, SECRET))
    if not answer.is_success:
        raise NotMeasurable(f"no token: {answer.text}")
    return str(answer.json()["access_token"])


@contextmanager
def locked(database: Path) -> Iterator[None]:
    """Hold the lock of the database, so that nobody can read or write it."""
    with closing(sqlite3.connect(database, isolation_level=None, timeout=5)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        yield


async def measure(
    first: Deployment, second: Deployment, database: Path, *, times: int, cuts: int
) -> Found:
    """Withdraw so many times in turn, then cut the channel."""
    found = Found()
    callers = [Caller(second.agents, await new_token(second)) for _ in range(CONNECTIONS)]
    busy = [asyncio.create_task(caller.run()) for caller in callers]
    trial = Trial(first, second, callers)
    try:
        for number in range(times):
            kind = KINDS[number % len(KINDS)]
            found.refused.setdefault(kind.name, []).append(await trial.withdraw(kind))
            if number % 50 == 49:
                table.say(f"{number + 1} revocations")
        for _ in range(cuts):
            until_refused, until_passing = await trial.cut(database)
            found.cut.append(until_refused)
            found.recovered.append(until_passing)
    finally:
        for task in busy:
            task.cancel()
        ended = await asyncio.gather(*busy, return_exceptions=True)
    found.strays = sum(caller.strays for caller in callers)
    found.passed = sum(caller.passed for caller in callers)
    for end in ended:
        if isinstance(end, Exception):
            raise NotMeasurable(f"a connection ended: {type(end).__name__}")
    return found


def run(folder: Path, *, times: int, cuts: int) -> Found:
    """Run stub and gateways below `folder`, and measure. Raises NotMeasurable."""
    database = folder / "fleet.db"
    shared = {"database": f"sqlite:///{database}", "token_keys": str(folder / "keys")}

    known = str(SecretHash.of(SECRET, secrets.token_bytes(SALT_BYTES)))
    identity = {
        "tokens": {"max_ttl": f"{TOKEN_S}s"},
        "clients": {FRONT_END: {"secret_hash": known}},
    }

    def more(name: str) -> dict[str, object]:
        return {
            "public_url": "http://gateways.localhost",
            "fleet": shared,
            "identity": identity,
            "audit": {"origin": f"passavant.localhost/{name}"},
        }

    homes = [folder / "first", folder / "second"]
    for home in homes:
        home.mkdir(mode=0o700)
    with (
        running(module("benchmarks.upstream"), cpu=LOAD_CPU) as behind,
        deployed(
            homes[0], stub := f"127.0.0.1:{first_line(behind)}", cpu=LOAD_CPU, **more("first")
        ) as first,
        deployed(homes[1], stub, cpu=SERVER_CPU, **more("second")) as second,
    ):
        return asyncio.run(measure(first, second, database, times=times, cuts=cuts))


def main() -> int:
    """The program."""
    parser = argparse.ArgumentParser(prog="revocation.py", description=__doc__.splitlines()[0])
    table.add_options(parser)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    options = parser.parse_args()
    if is_volatile(options.folder):
        parser.error(f"{options.folder} lies in memory: name another with --folder")
    times, cuts = (25, 2) if options.quick else (250, 10)
    try:
        with tempfile.TemporaryDirectory(dir=options.folder, prefix="passavant-bench-") as made:
            found = run(Path(made), times=times, cuts=cuts)
    except NotMeasurable as error:
        print(error, file=sys.stderr)
        return 1
    return table.finish("revocation", found.rows(), options, void=())
