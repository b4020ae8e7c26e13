"""Away: a worker asks again for as long as that can help, and lets go of what is not its own."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from gateway.errors import CredentialMissing, FetchFailed
from gateway.links.oauth_client import Granted
from gateway.runs.asking import Asking, Identity
from gateway.runs.away import Away
from gateway.runs.errors import RunRefused
from gateway.runs.step import Step
from gateway.runs.token import WorkerToken

STEP = Step("r", "", "1:a", "agents", "a", {"task": 1}, 2**40)
DONE: dict[str, Any] = {
    "status": "done",
    "code": None,
    "text": "",
    "result": {},
    "asked": True,
    "repeats": False,
}
NOT_CARRIED = (409, {"code": "run.not-carried", "detail": "no"})
KEY = {"key": "00" * 32, "reused": ["2:b"]}

Answer = tuple[int, dict[str, Any]] | Exception


class Gateway:
    """Answers by a script; `asked` is what it heard."""

    def __init__(self, *script: Answer) -> None:
        self.asked: list[str] = []
        self.tokens: list[str] = []
        self._script = list(script)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.url.path.rpartition("/")[2])
        self.tokens.append(request.headers["authorization"])
        assert json.loads(request.content)["executor"] == "e"
        answer = self._script.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer[0], json=answer[1])


@asynccontextmanager
async def worker(gateway: Gateway) -> AsyncIterator[Away]:
    async def token(used: str | None) -> str:
        return "first" if used is None else "second"

    carrier = httpx.MockTransport(gateway)
    async with httpx.AsyncClient(transport=carrier) as http:
        yield Away(Asking("http://gw", Identity("e", ("crew",), token), http), lambda: 50.0)


@pytest.mark.parametrize(
    "trouble",
    [
        pytest.param(httpx.ReadError("gone"), id="connection-lost"),
        pytest.param((503, {"code": "audit_unavailable"}), id="not-recorded"),
        pytest.param((500, {"code": "internal"}), id="failed"),
        pytest.param((429, {}), id="too-many"),
        pytest.param((404, {}), id="an-answer-of-somebody-else"),
    ],
)
async def test_it_asks_again_for_as_long_as_that_can_help(trouble: Answer) -> None:
    gateway = Gateway(trouble, trouble, (200, DONE))
    async with worker(gateway) as away:
        assert (await away.deliver(STEP)).status == "done"
        assert away.asked("r", "1:a")
        assert not away.repeats("r", "1:a")
    assert gateway.asked == ["deliver"] * 3


async def test_a_token_that_is_refused_is_not_used_again() -> None:
    gateway = Gateway((401, {"code": "auth.invalid"}), (200, DONE))
    async with worker(gateway) as away:
        await away.deliver(STEP)
    assert gateway.tokens == ["Bearer first", "Bearer second"]


async def test_a_gateway_that_has_forgotten_who_carries_a_run_is_told_again() -> None:
    beat = (200, {"now": 1000, "again": 0.5})
    gateway = Gateway(NOT_CARRIED, beat, (200, KEY), (200, DONE))
    async with worker(gateway) as away:
        assert (await away.deliver(STEP)).status == "done"
        assert away.now_s == 1000
    assert gateway.asked == ["deliver", "beat", "claim", "deliver"]


async def test_a_run_that_is_anothers_is_let_go_of_as_by_a_crash() -> None:
    beat = (200, {"now": 1000, "again": 0.5})
    gateway = Gateway((200, KEY), NOT_CARRIED, beat, NOT_CARRIED)
    async with worker(gateway) as away:
        await away.admit("r")
        assert away.key_of("r") == bytes(32)
        assert away.reuses("r", "2:b")
        with pytest.raises(asyncio.CancelledError):
            await away.deliver(STEP)
        with pytest.raises(RunRefused):
            away.key_of("r")


async def test_parts_of_a_run_are_carried_with_it() -> None:
    gateway = Gateway((200, KEY))
    async with worker(gateway) as away:
        await away.admit("r")
        await away.admit("r")
    assert gateway.asked == ["claim"]


async def test_nothing_is_kept_of_a_run_that_is_over() -> None:
    gateway = Gateway((200, KEY), (200, DONE), (200, {}))
    async with worker(gateway) as away:
        await away.admit("r")
        await away.deliver(STEP)
        await away.end("r", "done", "", None)
        with pytest.raises(RunRefused):
            away.key_of("r")


@pytest.mark.parametrize("code", ["run.pool", "run.twice", "run.unknown"])
async def test_what_is_refused_for_good_is_not_asked_again(code: str) -> None:
    gateway = Gateway((403, {"code": code, "detail": "no"}))
    async with worker(gateway) as away:
        with pytest.raises(RunRefused) as refused:
            await away.deliver(STEP)
    assert refused.value.code == code


class Issuer:
    """Issues tokens by a script."""

    def __init__(self, *script: Granted | Exception) -> None:
        self._script = list(script)

    async def ask(self, _form: object) -> Granted:
        answer = self._script.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


async def test_a_token_is_used_until_shortly_before_its_end() -> None:
    now = [0.0]
    token = WorkerToken(Issuer(Granted("a", 100), Granted("b", 100)), lambda: now[0])  # type: ignore[arg-type]  # all that is asked of it
    assert [await token.get(None), await token.get(None)] == ["a", "a"]
    now[0] = 75.0
    assert await token.get(None) == "b"


async def test_a_key_that_is_away_is_asked_for_again() -> None:
    token = WorkerToken(Issuer(CredentialMissing("file:key"), Granted("a", 100)), lambda: 0.0)  # type: ignore[arg-type]  # as above
    with pytest.raises(FetchFailed):
        await token.get(None)
    assert await token.get(None) == "a"
