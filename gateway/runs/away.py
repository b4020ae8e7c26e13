"""Away: the way of a worker's runs to the gateway that they belong to.

It asks one gateway alone, with a short-lived token that it renews, and again for as long as the
gateway cannot be reached: a step that was asked for before is the same step. What is asked of a run
that this worker does not carry any more is never answered: then whatever asks is let go of, as by a
crash, and goes on where the run is now.
"""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import cast

import httpx
import structlog

from audit.canonical import Json
from gateway.action import Outcome
from gateway.errors import FetchFailed, GatewayError, NotUnderstood
from gateway.links.jsonrpc import dump, read
from gateway.runs.carriers import BEAT_S
from gateway.runs.errors import RunRefused
from gateway.runs.step import Step

MOST_BYTES = 16 << 20
AGAIN_S = (0.1, 0.2, 0.5, 1.0)
"""Seconds before asking again; the last one again and again."""

_ANSWER_S = 10.0
_ASKED_AFTER = [
    (socket.IPPROTO_TCP, getattr(socket, name), value)
    for name, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3))
    if hasattr(socket, name)
]
_NOT_CARRIED = "run.not-carried"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Identity:
    """As whom a worker asks.

    executor  its own name
    token     a token that is good now, and another one than that which was refused
    """

    executor: str
    pools: tuple[str, ...]
    token: Callable[[str | None], Awaitable[str]]


class Away:
    """One gateway, as its runs see it from a worker.

    http   carries requests to the gateway; it must let answers take any time
    clock  seconds that only grow
    """

    def __init__(
        self, url: str, identity: Identity, http: httpx.AsyncClient, clock: Callable[[], float]
    ) -> None:
        self._url = url
        self._identity = identity
        self._http = http
        self._clock = clock
        self._ahead = 0.0
        self._again_s = BEAT_S
        self._keys: dict[str, bytes] = {}
        self._reused: dict[str, frozenset[str]] = {}
        self._said: dict[str, dict[str, tuple[bool, bool]]] = {}  # by run and path

    # -- as a worker ------------------------------------------------------------------------

    async def beat(self) -> None:
        """Say that this worker is there, again and again. Raises RunRefused where it may not be."""
        while True:
            await self.appear()
            await asyncio.sleep(self._again_s)

    async def appear(self) -> None:
        """Say so once. Raises RunRefused."""
        told = await self._patiently("beat", {"pools": list(self._identity.pools)})
        self._ahead = cast("int", told["now"]) - self._clock()
        self._again_s = float(cast("float", told["again"]))

    async def leave(self) -> None:
        """Let others have the runs at once; where that cannot be said, the lease says it."""
        with suppress(GatewayError):
            await self._once("leave", {})

    async def admit(self, run: str) -> None:
        """Carry a run that the queue gave, and its parts with it.

        Raises CancelledError where it is not given to this worker any more.
        """
        if run in self._keys:
            return
        told = await self._of_run("claim", run, {})
        self._reused[run] = frozenset(cast("list[str]", told["reused"]))
        self._keys[run] = bytes.fromhex(cast("str", told["key"]))

    def key_of(self, run: str) -> bytes:
        """The key of a run that is carried here. Raises RunRefused for any other."""
        if run not in self._keys:
            raise RunRefused(_NOT_CARRIED, "this worker does not carry the run")
        return self._keys[run]

    # -- as its runs have it, see `gateway.runs.way` ----------------------------------------

    @property
    def now_s(self) -> int:
        """Seconds since 1970, by the log's clock, as told by the last beat."""
        return int(self._clock() + self._ahead)

    async def deliver(self, step: Step) -> Outcome:
        """Have a step done."""
        fields: dict[str, Json] = {
            "grant": step.grant,
            "path": step.path,
            "server": step.server,
            "tool": step.tool,
            "args": step.args,
            "until_s": step.until_s,
        }
        told = await self._of_run("deliver", step.run, fields)
        said = told["asked"] is True, told["repeats"] is True
        self._said.setdefault(step.run, {})[step.path] = said
        return _outcome(told)

    def reuses(self, run_id: str, path: str) -> bool:
        """Whether a fork takes a step over, as it was told when the run was taken."""
        return path in self._reused[run_id]

    def asked(self, run_id: str, path: str) -> bool:
        """Whether people's answer authorised the step that was delivered here."""
        return self._said[run_id][path][0]

    def repeats(self, run_id: str, path: str) -> bool:
        """Whether the step that was delivered here may be made once more."""
        return self._said[run_id][path][1]

    async def hand_on(self, run_id: str, grant: str, path: str, agent: str) -> Outcome | None:
        """Let `agent` act under `path`."""
        fields: dict[str, Json] = {"grant": grant, "path": path, "agent": agent}
        refused = (await self._of_run("hand-on", run_id, fields))["refused"]
        return None if refused is None else _outcome(cast("dict[str, Json]", refused))

    async def tools(self, run_id: str, grant: str, names: Sequence[str]) -> dict[str, Json]:
        """Tools that may be seen."""
        told = await self._of_run("tools", run_id, {"grant": grant, "names": list(names)})
        return cast("dict[str, Json]", told["tools"])

    async def sleep(self, run_id: str, until_s: int) -> None:
        """Wait until then, or until the run is stopped."""
        await self._of_run("sleep", run_id, {"until_s": until_s})

    async def end(self, run_id: str, result: str, detail: str, output: Json) -> None:
        """Say how a run ended. Raises RunRefused."""
        fields: dict[str, Json] = {"result": result, "detail": detail, "output": output}
        await self._of_run("end", run_id, fields)
        self._forget(run_id)

    # -- asking -----------------------------------------------------------------------------

    async def _of_run(self, verb: str, run: str, fields: dict[str, Json]) -> dict[str, Json]:
        """Ask for a run; claim it again where the gateway has forgotten who carries it."""
        try:
            try:
                return await self._patiently(verb, {"run": run, **fields})
            except RunRefused as refused:
                if refused.code != _NOT_CARRIED:
                    raise
            await self.appear()
            await self._patiently("claim", {"run": run})
            return await self._patiently(verb, {"run": run, **fields})
        except RunRefused as refused:
            if refused.code != _NOT_CARRIED:
                raise
            log.warning("run.let-go", run=run)
            self._forget(run)
            raise asyncio.CancelledError from refused

    def _forget(self, run: str) -> None:
        for kept in (self._keys, self._reused, self._said):
            kept.pop(run, None)

    async def _patiently(self, verb: str, fields: dict[str, Json]) -> dict[str, Json]:
        for pause in _pauses():
            try:
                return await self._once(verb, fields)
            except FetchFailed as error:
                log.info("gateway.away", verb=verb, reason=str(error))
                await asyncio.sleep(pause)
        raise AssertionError("pauses never end")

    async def _once(self, verb: str, fields: dict[str, Json]) -> dict[str, Json]:
        """Raises FetchFailed where asking again may help, else RunRefused."""
        token = await self._identity.token(None)
        status, members = await self._sent(verb, fields, token)
        if status == 401:
            token = await self._identity.token(token)
            status, members = await self._sent(verb, fields, token)
        if status == 200:
            return members
        code = members.get("code")
        if status >= 500 or status in {401, 429} or not isinstance(code, str):
            raise FetchFailed(f"HTTP {status}")
        raise RunRefused(code, str(members.get("detail")))

    async def _sent(
        self, verb: str, fields: dict[str, Json], token: str
    ) -> tuple[int, dict[str, Json]]:
        body = dump({"executor": self._identity.executor, **fields})
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        try:
            answer = await self._http.post(
                f"{self._url}/v1/work/{verb}", content=body, headers=headers
            )
            members = read(answer.content, max_bytes=MOST_BYTES)
        except httpx.HTTPError as error:
            raise FetchFailed(type(error).__name__) from None
        except NotUnderstood:
            raise FetchFailed("no JSON") from None
        return answer.status_code, members if isinstance(members, dict) else {}


def client() -> httpx.AsyncClient:
    """What carries a worker's requests: many at once, each for as long as its answer takes.

    A gateway that is gone without a word is noticed by the system, which asks after it meanwhile.
    """
    carrier = httpx.AsyncHTTPTransport(
        verify=ssl.create_default_context(),
        trust_env=False,
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=64),
        socket_options=[(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1), *_ASKED_AFTER],
    )
    return httpx.AsyncClient(transport=carrier, timeout=httpx.Timeout(_ANSWER_S, read=None))


def _pauses() -> Iterable[float]:
    yield from AGAIN_S
    while True:
        yield AGAIN_S[-1]


def _outcome(told: dict[str, Json]) -> Outcome:
    return Outcome(
        told["status"],  # type: ignore[arg-type]  # as the gateway's own outcomes have it
        cast("str | None", told["code"]),
        cast("str", told["text"]),
        cast("dict[str, Json] | None", told["result"]),
    )
