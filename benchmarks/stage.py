"""The stage: whole gateways in this process, on which recorded calls are played.

Both listeners, log, approvals and links are those of `passavant serve`; the one server behind them
plays results back. Each play has an agent and a session of its own, opened by an operator with the
words of the user. What a labelled session has written to keeps its labels for whoever names it
later, so after a play that left such a mark there is a new gateway: no play finds what another did.
"""

import asyncio
import json
import secrets
import ssl
import tempfile
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Self

import httpx

from audit.errors import AuditError, AuditUnavailable
from benchmarks.people import Person
from benchmarks.replaying import Replay, replaying
from benchmarks.traces import Step, Suite
from gateway.app import opened
from gateway.applications import Gateway
from gateway.catalogue.pins import Lock
from gateway.faces.listener import answering
from gateway.home import Home
from gateway.listeners import address_of, bind, serving
from gateway.operator.credentials import KEY_BYTES, Operator, Operators
from gateway.settings import Settings
from gateway.surroundings import Surroundings

PERSON, ROLE, GROUP = "person", "guarded", "guard-approvers"
"""Who is asked, and by which names the pack knows agents and people."""

MOST_ROUNDS = 3
"""How often a call is repeated after a yes, when the gateway asks again."""

_AGENTS = 100
"""Plays of one gateway at most."""

_TRIES = 3
_SPOILED = frozenset({AuditUnavailable.code, "upstream.unknown_outcome"})
_TIMEOUT_S = 60.0
_TLS = ssl.create_default_context()  # for nobody; making one takes longer than a play


class NotPlayable(Exception):
    """The gateway did not start, or answered what no gateway answers."""


class Spoiled(NotPlayable):
    """The log could not be written in time: what was played says nothing about the policy."""


@dataclass(frozen=True, slots=True)
class Question:
    """One request for approval: the call that it is about, and the rules that ask."""

    step: Step
    rules: tuple[str, ...]


@dataclass
class Played:
    """What came of one play.

    done       steps that reached a tool
    denied     steps that were refused without a question
    questions  requests for approval that were opened, by id
    """

    done: list[Step] = field(default_factory=list)
    denied: list[Step] = field(default_factory=list)
    questions: dict[str, Question] = field(default_factory=dict)

    def does(self, steps: Iterable[Step]) -> bool:
        """Whether every one of these was done."""
        return all(any(step is each for each in self.done) for step in steps)


class Clients(NamedTuple):
    """Who talks to the gateway: agents, who opens their sessions, and another who answers."""

    agents: httpx.AsyncClient
    opener: httpx.AsyncClient
    person: httpx.AsyncClient


class Scene:
    """One gateway; see `scene`."""

    def __init__(
        self,
        gateway: Gateway,
        replay: Replay,
        server: str,
        clients: Clients,
    ) -> None:
        self._gateway, self._replay, self._server = gateway, replay, server
        self._clients = clients
        self._plays = 0

    @property
    def is_over(self) -> bool:
        """Would the next play find something of those before it, or no agent of its own?"""
        return bool(self._gateway.services.state.objects) or self._plays >= _AGENTS

    async def play(self, prompt: str, steps: Sequence[Step], person: Person) -> Played:
        """Play the steps in a new session for what `prompt` says. Raises NotPlayable."""
        asked = {"agent": _agent(self._plays), "purpose": prompt}
        self._plays += 1
        token = (await _asked(self._clients.opener, "POST", "/api/tokens", asked))["access_token"]
        played = Played()
        for step in steps:
            await self._step(step, person, played, f"Bearer {token}")
        return played

    async def _step(self, step: Step, person: Person, played: Played, token: str) -> None:
        """One call, made again for as long as the person says yes to it."""
        for _ in range(MOST_ROUNDS):
            answer = await self._call(step, token)
            if "content" in answer:
                person.sees(step)
                played.done.append(step)
                return
            if answer["code"] != "approval.pending":
                if answer["code"] != "approval.denied":
                    played.denied.append(step)
                return
            request: str = answer["approval"]
            shown = await _asked(self._clients.person, "GET", f"/api/approvals/{request}")
            played.questions[request] = Question(step, tuple(shown["rules"]))
            verdict = person.answer(step)
            if verdict is None:
                return
            body = {"digest": shown["digest"], "reason": "as played"}
            await _asked(self._clients.person, "POST", f"/api/approvals/{request}/{verdict}", body)
            if verdict == "deny":
                return

    async def _call(self, step: Step, token: str) -> dict[str, Any]:
        self._replay.coming, before = step, len(self._replay.arrived)
        path = f"/v1/tools/{self._server}/{step.tool}"
        answered = await self._clients.agents.post(
            path, json=step.args, headers={"authorization": token}
        )
        answer: dict[str, Any] = answered.json()
        if answer.get("code") in _SPOILED:
            raise Spoiled(f"{step.tool}: {answer['code']}")
        arrived = self._replay.arrived[before:]
        if arrived != ([(step.tool, step.args)] if "content" in answer else []):
            raise NotPlayable(f"{step.tool}: {answer.get('code')}, and {len(arrived)} arrived")
        return answer


async def _asked(
    operator: httpx.AsyncClient, method: str, path: str, body: object = None
) -> dict[str, Any]:
    answered = await operator.request(method, path, json=body)
    if answered.status_code == httpx.codes.SERVICE_UNAVAILABLE:
        raise Spoiled(f"{method} {path}: {answered.text}")
    if not answered.is_success:
        raise NotPlayable(f"{method} {path}: {answered.text}")
    told: dict[str, Any] = answered.json()
    return told


class Stage:
    """Plays one after the other, each in a scene that holds nothing of another.

    policy  a pack, and the file that registers the tools of the suite under its name
    """

    def __init__(self, folder: Path, suite: Suite, policy: Sequence[Path]) -> None:
        self._folder, self._suite, self._policy = folder, suite, policy
        self._stack = AsyncExitStack()
        self._scene: Scene | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def play(self, prompt: str, steps: Sequence[Step], person: Person) -> Played:
        """Play the steps in a new session for what `prompt` says. Raises NotPlayable.

        On a machine that stalls a play may be spoiled; then it is played again from its beginning.
        """
        for _ in range(_TRIES):
            try:
                on = await self._ready()
                return await on.play(prompt, steps, deepcopy(person))
            except (Spoiled, AuditError):
                self._scene = None
        raise NotPlayable("the machine is too slow: the log was never written in time")

    async def _ready(self) -> Scene:
        if self._scene is None or self._scene.is_over:
            await self._stack.aclose()
            opening = scene(self._folder, self._suite, self._policy)
            self._scene = await self._stack.enter_async_context(opening)
        return self._scene


@asynccontextmanager
async def scene(folder: Path, suite: Suite, policy: Sequence[Path]) -> AsyncIterator[Scene]:
    """Run a gateway with a home of its own below `folder`, governed by these policy files."""
    replay = Replay(suite.tools)
    listeners = bind("127.0.0.1:0"), bind("127.0.0.1:0")
    agents, operators = map(address_of, listeners)
    async with AsyncExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=folder)))
        upstream = await stack.enter_async_context(replaying(replay))
        settings, opener, person = _prepared(home, suite, policy)
        settings |= {
            "public_url": f"http://{agents}",
            "operators_url": f"http://{operators}",
            "listen": {"agents": agents, "operators": operators},
            "servers": {suite.name: {"url": f"http://{upstream}/mcp"}},
        }
        made = Settings.model_validate(settings)
        gateway = await stack.enter_async_context(opened(made, "serve", Surroundings({})))
        await _reached(gateway, suite.name)
        await stack.enter_async_context(answering(gateway.agents, listeners[0]))
        await stack.enter_async_context(serving(gateway.operators, listeners[1]))
        clients = Clients(
            await stack.enter_async_context(_client(agents)),
            await stack.enter_async_context(_client(operators, opener)),
            await stack.enter_async_context(_client(operators, person)),
        )
        yield Scene(gateway, replay, suite.name, clients)


def _client(address: str, key: str | None = None) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url=f"http://{address}",
        headers={} if key is None else {"authorization": f"Bearer {key}"},
        trust_env=False,
        timeout=_TIMEOUT_S,
        verify=_TLS,
    )


async def _reached(gateway: Gateway, server: str) -> None:
    """Wait until the server's tools have been looked at. Raises NotPlayable."""
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            while gateway.services.review.offer(server) is None:  # noqa: ASYNC110 - tells nobody
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise NotPlayable(f"{server} was not reached") from None


def _agent(number: int) -> str:
    return f"play-{number}"


def _prepared(
    folder: Path, suite: Suite, policy: Sequence[Path]
) -> tuple[dict[str, Any], str, str]:
    """Settings without addresses, and the keys of who opens sessions and of who answers.

    The tools are accepted as they are.
    """
    home = Home.at(folder / "home")
    Lock().accept(suite.name, suite.tools).write(home.lock)
    operators = Operators.open(home.operators)
    opener = operators.add(Operator("opener", frozenset({"administrator"})), _key())
    person = operators.add(Operator(PERSON, frozenset({"approver"})), _key())
    cast = folder / "cast.policy.yaml"
    cast.write_text(json.dumps(_cast()))
    settings = {
        "apiVersion": "passavant/v1",
        "kind": "Gateway",
        "home": str(home.path),
        "policy": [str(path) for path in (*policy, cast)],
        "audit": {"origin": "passavant.localhost/replay"},
        "insecure_volatile_log": True,  # nothing of it is needed afterwards
    }
    return settings, opener, person


def _key() -> bytes:
    return secrets.token_bytes(KEY_BYTES)


def _cast() -> dict[str, Any]:
    """Who there is; JSON is YAML too."""
    return {
        "apiVersion": "passavant/v1",
        "kind": "Policy",
        "name": "cast",
        "default": "deny",
        "users": {"default": "unrestricted"},
        "agents": {_agent(number): {"roles": [ROLE]} for number in range(_AGENTS)},
        "groups": {GROUP: {"members": [PERSON]}},
    }
