"""People who hold a passkey: each before a page of the operators' listener, with a device.

async with running(tmp_path, SIGNED, settings=SITE) as gateway, holder(gateway, "omar") as omar:
    await omar.answer(request, "approve", await omar.sign(request, "approve"))
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.harness.authenticator import Authenticator, unb64
from tests.harness.gateway import Running
from tests.harness.policy import DESK

NAME, ORIGIN = "localhost", "http://localhost:9"
SITE = {"operators_url": ORIGIN}
"""Settings with which a gateway is reached by a name: passkeys need one."""

SIGNED = DESK.replace("quorum: 1,", "quorum: 1, passkey: required,")
"""The desk's policy, where each yes is signed."""


@dataclass
class Holder:
    """One person, logged in, with one passkey."""

    name: str
    gateway: Running
    http: httpx.AsyncClient
    csrf: str = ""
    device: Authenticator = field(default_factory=lambda: Authenticator(NAME, ORIGIN))

    async def ask(self, verb: str, path: str, **more: Any) -> httpx.Response:  # noqa: ANN401 - of httpx
        """A request as a page of the site sends it."""
        headers = {"host": "localhost:9", "x-csrf-token": self.csrf, **more.pop("headers", {})}
        if verb == "POST":
            headers = {"origin": ORIGIN, **headers}
        return await self.http.request(
            verb, f"{self.gateway.operators_url}{path}", headers=headers, **more
        )

    async def log_in(self) -> None:
        """With a code that their key gave."""
        given = await self.gateway.operate("POST", "/api/operators/code", {}, by=self.name)
        done = await self.ask("POST", "/login", data={"code": given.json()["code"]})
        assert done.status_code == 303, done.text
        self.csrf = (await self.ask("GET", "/api/whoami")).json()["csrf"]

    async def register(self) -> None:
        """The device."""
        begun = await self.ask("POST", "/api/passkeys/begin", json={})
        made = self.device.create(unb64(begun.json()["challenge"]))
        done = await self.ask("POST", "/api/passkeys", json={"label": "device", **made})
        assert done.is_success, done.text

    async def digest(self, request: str) -> str:
        """Of what the card shows."""
        found: str = (await self.ask("GET", f"/api/approvals/{request}")).json()["digest"]
        return found

    async def begin(self, request: str, verdict: str) -> httpx.Response:
        """What has to be signed."""
        body = {"digest": await self.digest(request), "verdict": verdict}
        return await self.ask("POST", f"/api/approvals/{request}/sign", json=body)

    async def sign(self, request: str, verdict: str, **changes: Any) -> dict[str, Any]:  # noqa: ANN401 - as `get`
        """What the device answers."""
        begun = await self.begin(request, verdict)
        assert begun.is_success, begun.text
        return self.device.get(unb64(begun.json()["challenge"]), **changes)

    async def answer(
        self, request: str, verdict: str, signed: dict[str, Any] | None, reason: str = ""
    ) -> httpx.Response:
        """Answer a request."""
        body = {"digest": await self.digest(request), "reason": reason, "signed": signed}
        return await self.ask("POST", f"/api/approvals/{request}/{verdict}", json=body)


@asynccontextmanager
async def holder(gateway: Running, name: str, *, registered: bool = True) -> AsyncIterator[Holder]:
    """Somebody who holds a key, has logged in, and has a passkey until the end."""
    async with httpx.AsyncClient(trust_env=False, timeout=30) as http:
        found = Holder(name, gateway, http)
        await found.log_in()
        if registered:
            await found.register()
        yield found
        for each in (await found.ask("GET", "/api/passkeys")).json():
            if each["operator"] == name:
                await found.ask("POST", f"/api/passkeys/{each['passkey']}/remove", json={})
                await found.log_in()  # removing one ends every session
