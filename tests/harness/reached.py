"""A gateway as it is reached over its two listeners, wherever it runs."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import httpx

from gateway.operator.credentials import KEY_BYTES, Operator, Operators, Role
from tests.harness.agent import REST, Agent
from tests.harness.policy import AGENTS, APPROVER

LONGEST_S = 60.0

OPERATORS: Mapping[str, frozenset[Role]] = {
    APPROVER: frozenset({"approver"}),
    "vera": frozenset({"viewer"}),
    "arno": frozenset({"author"}),
    "adam": frozenset({"administrator"}),
}
"""Who holds a key, and in which role."""


def give_keys(operators: Operators) -> Mapping[str, str]:
    """Give everybody their key, always the same one."""
    return {
        name: operators.add(Operator(name, roles), name.encode().ljust(KEY_BYTES, b"\0"))
        for name, roles in OPERATORS.items()
    }


@dataclass(kw_only=True)
class Reached:
    """A gateway, its agents and its operators."""

    url: str
    operators_url: str
    policy: Path
    http: httpx.AsyncClient
    keys: Mapping[str, str]
    _agents: Iterator[int] = field(default_factory=count)

    # -- agents -----------------------------------------------------------------------------

    async def agent(
        self,
        name: str | None = None,
        *,
        way: str = REST,
        server: str | None = None,
        **wanted: Any,  # noqa: ANN401 - members of the request
    ) -> Agent:
        """An agent with a token of its own; of a name nobody had before, unless it is given.

        wanted  further members of `POST /api/tokens`: user, session, tools, ttl_s
        """
        name = name or AGENTS[next(self._agents)]
        issued = (await self.operate("POST", "/api/tokens", {"agent": name, **wanted})).json()
        return Agent(
            self.http, self.url, issued["access_token"], name, issued["session"], way, server
        )

    # -- operators --------------------------------------------------------------------------

    async def operate(
        self,
        method: str,
        path: str,
        body: Any = None,  # noqa: ANN401 - JSON
        *,
        by: str = "adam",
        check: bool = True,
    ) -> httpx.Response:
        """A request to the operators' API with that operator's key."""
        response = await self.http.request(
            method,
            f"{self.operators_url}{path}",
            json=body,
            headers={"authorization": f"Bearer {self.keys[by]}"},
        )
        assert not check or response.is_success, response.text
        return response

    async def answer(
        self, request: str | None, verdict: str = "approve", *, by: str = APPROVER
    ) -> dict[str, Any]:
        """Answer a request for approval as the person does who was shown it."""
        shown = (await self.operate("GET", f"/api/approvals/{request}")).json()
        body = {"digest": shown["digest"], "reason": "seen"}
        answered = await self.operate("POST", f"/api/approvals/{request}/{verdict}", body, by=by)
        told: dict[str, Any] = answered.json()
        return told

    async def invite(self, name: str, *roles: Role) -> None:
        """Give somebody else a key."""
        body = {"name": name, "roles": list(roles)}
        key = (await self.operate("POST", "/api/operators", body)).json()["key"]
        self.keys = {**self.keys, name: key}

    async def apply(self, policy: str) -> httpx.Response:
        """Put another policy into the file and into force, if it may."""
        self.policy.write_text(policy)
        proposed = (await self.operate("GET", "/api/policy")).json()["proposed"]
        return await self.operate("POST", "/api/policy/apply", {"digest": proposed}, check=False)

    async def accept(self, server: str) -> httpx.Response:
        """Accept what a server offers, as a person does who has reviewed it."""
        shown = (await self.operate("GET", f"/api/servers/{server}/review")).json()
        return await self.operate(
            "POST", f"/api/servers/{server}/accept", {"digest": shown["digest"]}
        )

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something has happened that tells nobody."""
        async with asyncio.timeout(LONGEST_S):
            while not condition():  # noqa: ASYNC110 - there is no event to wait for
                await asyncio.sleep(0.002)
