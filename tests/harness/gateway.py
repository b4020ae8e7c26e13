"""A whole gateway, as `passavant serve` runs it: real listeners, real log, real links.

    async with desk() as upstream, running(tmp_path, DESK, {"desk": upstream}) as gateway:
        clerk = await gateway.agent()
        answered = await clerk.call("desk.pay", amount=40, to="paper")
        assert answered.done and upstream.paid == [40]
        assert gateway.kinds(clerk) == ["session.open", "token.issue", "decision", "outcome"]

It starts in a fraction of a second, so most tests have their own; a table of many cases shares one
and takes a new agent for each case (what is counted per agent then starts anew).
"""

import asyncio
import os
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from audit.files import Files, OsFiles
from gateway.app import opened
from gateway.applications import Gateway
from gateway.catalogue.pins import Lock
from gateway.faces.listener import answering
from gateway.home import Home
from gateway.identity.minting import Order
from gateway.listeners import address_of, bind, serving
from gateway.operator.credentials import Operators
from gateway.runs.service import Orchestration
from gateway.settings import Settings
from gateway.surroundings import Mode, Surroundings
from tests.harness.agent import REST, Agent
from tests.harness.policy import AGENTS, DESK
from tests.harness.reached import Reached, give_keys
from tests.harness.upstream import Desk

_TLS = ssl.create_default_context()  # for nobody; making one takes longer than a start

Server = Desk | Mapping[str, Any]
"""A desk, or the settings of any other server."""


@dataclass
class Clock:
    """The machine's time, and what a test adds to it; microseconds."""

    ahead: int = 0

    def __call__(self) -> int:
        return time.time_ns() // 1000 + self.ahead

    def pass_s(self, seconds: float) -> None:
        self.ahead += int(seconds * 1_000_000)


@dataclass(kw_only=True)
class Running(Reached):
    """A gateway in this process, and everything a test asks of it."""

    gateway: Gateway
    clock: Clock

    async def agent(
        self,
        name: str | None = None,
        *,
        way: str = REST,
        server: str | None = None,
        user: str | None = None,
        **wanted: Any,  # noqa: ANN401 - members of the request
    ) -> Agent:
        """As everywhere; for a user, as a front end begins it: operators speak for nobody."""
        services = self.gateway.services
        if user is None or services.users_by_name:
            named = {} if user is None else {"user": user}
            return await super().agent(name, way=way, server=server, **named, **wanted)
        name = name or AGENTS[next(self._agents)]
        session = await services.openings.clean(name, user, by="front-end:portal")
        order = Order(
            agent=name,
            user=user,
            session=session,
            scopes=tuple(wanted.pop("tools", ("*",))),
            hops=services.worlds.current.snapshot.delegation.max_hops,
            lifetime_s=wanted.pop("ttl_s", 900),
            by="front-end:portal",
            source="127.0.0.1:1",
        )
        assert not wanted, "what only operators state"
        minted = await services.mint.mint(order, services.recorder.now() // 1_000_000)
        return Agent(self.http, self.url, minted.token, name, session.id, way, server)

    async def look_again(self, server: str) -> None:
        """Have the tools of a server listed now; over HTTP it cannot say that they changed."""
        review = self.gateway.services.review
        before = review.offer(server)
        review._look(server)
        await self.until(lambda: review.offer(server) is not before)

    @property
    def size(self) -> int:
        """How many entries are durable."""
        return self.gateway.services.log.size

    def entries(
        self, kind: str | None = None, *, of: Agent | None = None, since: int = 0
    ) -> list[dict[str, Any]]:
        """Durable entries, oldest first; those that name this agent, where one is given.

        What is shown has been folded: a test that has seen an entry sees what came of it, too.
        """
        found = self._folded(since)
        return [
            body
            for body in found
            if kind in {None, body["kind"]}
            and (of is None or (body.get("actor") or {}).get("agent") == of.name)
        ]

    def kinds(self, of: Agent, since: int = 0) -> list[str]:
        """Kinds of the entries of this agent's session."""
        found = self._folded(since)
        return [body["kind"] for body in found if body.get("session") == of.session]

    def _folded(self, since: int) -> list[dict[str, Any]]:
        services = self.gateway.services
        return [entry.body for entry in services.log.entries(since, services.state.applied)]

    def labels(self, of: Agent) -> frozenset[str]:
        """What stands on this agent's session now."""
        session = self.gateway.services.state.sessions.get(of.session)
        assert session is not None
        return session.labels

    def entry(self, index: int) -> dict[str, Any]:
        """One entry."""
        return self.gateway.services.log.entry(index).body

    def refusals(self, code: str) -> int:
        """How many refusals of that code there were since the start, written or counted."""
        return self.gateway.services.refusals.counts.get(code, 0)

    async def waiting(self, entries: int) -> None:
        """Wait until so many entries stand in the line, behind those that are being written."""
        await self.until(lambda: len(self.gateway.services.log._line._waiting) >= entries)

    async def writing(self) -> None:
        """Wait until a batch has left the line for a disk that is stalled."""
        line = self.gateway.services.log._line
        await self.until(
            lambda: any(not each.future.done() for each in line._under_way) and not line._waiting
        )

    async def recorded_again(self) -> None:
        """Wait until a log that could not be written can be again."""
        await self.until(lambda: self.gateway.services.log.state != "read_only")

    async def links_up(self, servers: Iterable[str] | None = None) -> None:
        """Wait until these servers, or all, have been reached and looked at."""
        review = self.gateway.services.review
        for name in self.gateway.services.link_states() if servers is None else servers:
            await self.until(lambda name=name: review.offer(name) is not None)  # type: ignore[misc]  # a default


@asynccontextmanager
async def running(
    folder: Path,
    policy: str = DESK,
    servers: Mapping[str, Server] | None = None,
    *,
    mode: Mode = "serve",
    clock: Clock | None = None,
    disk: Files | None = None,
    specs: Mapping[str, Mapping[str, Any]] | None = None,
    settings: Mapping[str, Any] | None = None,
    accept_policy: str | None = None,
    new_fleet: bool = False,
    console_code: str | None = None,
    orchestration: Orchestration | None = None,
    show_code: Callable[[str], None] | None = None,
    wait_for: Iterable[str] | None = None,
    site: str = "127.0.0.1",
    at: str = "127.0.0.1:0",
) -> AsyncIterator[Running]:
    """A gateway with its home and policy below `folder`; opened anew it goes on where it was.

    servers  desks are accepted beforehand as they are; others only in mode "dev", at the start
    specs    how desks are reached, where it is not by their plain address
    settings members of the deployment beside those that the harness fills in
    wait_for servers that must have been reached; None: every one
    site     the name by which browsers reach the operators' pages; passkeys need one
    at       where agents reach it: the address of an earlier start, for who still knows that
    """
    clock = clock or Clock()
    more: Mapping[str, Any] = settings or {}
    if specs:
        plain = {name: _spec(server) for name, server in (servers or {}).items()}
        more = {**more, "servers": {**plain, **specs}}
    around = Surroundings(
        {"PATH": os.defpath},
        accept_policy=accept_policy,
        new_fleet=new_fleet,
        clock=clock,
        disk=disk or OsFiles(),
        console_code=console_code,
        orchestration=orchestration,
        show_code=show_code,
    )
    listeners = bind(at), bind("127.0.0.1:0")
    agents, operators = map(address_of, listeners)
    more = {"operators_url": f"http://{site}:{operators.rpartition(':')[2]}", **more}
    try:
        made = make_settings(
            folder, policy, servers or {}, agents=agents, operators=operators, more=more
        )
        keys = give_keys(Operators.open(Home.at(made.home).operators))
        async with (
            opened(made, mode, around) as gateway,
            _served(gateway, *listeners),
            httpx.AsyncClient(trust_env=False, timeout=30, verify=_TLS) as http,
        ):
            found = Running(
                url=f"http://{agents}",
                operators_url=f"http://{operators}",
                policy=Path(made.policy[0]),
                http=http,
                keys=keys,
                gateway=gateway,
                clock=clock,
            )
            await found.links_up(wait_for)
            yield found
    finally:
        for listener in listeners:
            listener.close()


@asynccontextmanager
async def _served(
    gateway: Gateway, agents: socket.socket, operators: socket.socket
) -> AsyncIterator[None]:
    """Both listeners; they end side by side, since each takes a tenth of a second to notice."""
    both = answering(gateway.agents, agents), serving(gateway.operators, operators)
    for one in both:
        await one.__aenter__()
    try:
        yield
    finally:
        gateway.leave()
        await asyncio.gather(*(one.__aexit__(None, None, None) for one in both))


def make_settings(
    folder: Path,
    policy: str,
    servers: Mapping[str, Server],
    *,
    agents: str,
    operators: str,
    more: Mapping[str, Any],
) -> Settings:
    """Settings of a deployment below `folder`, with its files written."""
    folder.mkdir(exist_ok=True)
    file = folder / "desk.policy.yaml"
    file.write_text(policy)
    home = Home.at(folder / "home")
    accept(home, {name: server for name, server in servers.items() if isinstance(server, Desk)})
    return Settings.model_validate(
        {
            "apiVersion": "passavant/v1",
            "kind": "Gateway",
            "home": home.path,
            "public_url": f"http://{agents}",
            "operators_url": f"http://{operators}",
            "listen": {"agents": agents, "operators": operators},
            "policy": [str(file)],
            "servers": {name: _spec(server) for name, server in servers.items()},
            "identity": {"tokens": {"skew": "0s"}},
            "audit": {"origin": "gw.example/log", "segment_bytes": 1 << 20},
            "insecure_unsandboxed_stdio": True,
            "insecure_volatile_log": True,
            **more,
        }
    )


def accept(home: Home, desks: Mapping[str, Desk]) -> None:
    """Accept what desks offer now, as a person would have before, where nothing was accepted."""
    lock = Lock.read(home.lock)
    for name, desk in desks.items():
        if name not in lock.servers:
            lock = lock.accept(name, desk.tools)
    lock.write(home.lock)


def _spec(server: Server) -> Mapping[str, Any]:
    if isinstance(server, Desk):
        return {"url": server.url, "allow_private": True}
    return server
