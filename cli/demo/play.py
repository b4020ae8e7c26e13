"""The play: what the scripted agent tries, what has to come of it, and one line for each step."""

import asyncio
import secrets
import sqlite3
import subprocess
import sys
import time
from base64 import urlsafe_b64encode
from contextlib import closing
from dataclasses import dataclass, field
from json import dumps
from pathlib import Path
from typing import Any

import httpx2
import jwt
import typer

from audit import canonical
from cli.address import Address
from cli.client import Operators, Target
from cli.demo.agent import Agent, Receipts, Said, connected
from cli.demo.child import Child
from cli.demo.workspace import AGENT, Workspace
from cli.output import say
from gateway.home import Home
from gateway.identity import claims
from gateway.identity.keys import KeySet
from gateway.principal import Principal
from policies.inert import inert

ERAS = ("2026-07-28", "legacy")
PERMITTED = {
    "git__git_log",
    "git__git_show",
    "ledger__list_accounts",
    "ledger__list_payments",
    "ledger__pay",
    "time__convert_time",
    "time__get_current_time",
}
BURST = 400
KILL_AFTER = 40


class Unexpected(Exception):
    """A step did not come out as it had to."""


@dataclass(slots=True)
class Play:
    """One performance: a home, its gateway, and what the agent has kept."""

    workspace: Workspace
    child: Child
    receipts: Receipts = field(default_factory=Receipts)
    steps: int = 0

    async def run(self) -> None:
        """Play every step. Raises Unexpected at the first that does not hold."""
        address = await self.child.start()
        with closing(Operators(Target(self.workspace.home))) as api:
            vkey = api.text("/api/audit/vkey").strip()
            brief = api.post("/api/tokens", {"agent": AGENT, "user": "ana", "ttl_s": 1})
            for era in ERAS:
                say(f"\n{era}: an agent connects with the official MCP client")
                await self._era(api, address, era)
            say("\ncredentials that prove nothing")
            await self._forgeries(api, address, brief["access_token"])
            say("\nkill -9 in the middle of calls")
            await self._crash(api, address)
        address = await self.child.start()
        with closing(Operators(Target(self.workspace.home))) as api:
            self._all_there(api)
        self._expect(await self.child.stop() == 0, "the gateway closes its log and ends")
        say("\nthe log, verified offline by another process against the agent's receipts")
        self._verify(vkey)

    # -- acts -------------------------------------------------------------------------------

    async def _era(self, api: Operators, address: Address, era: str) -> None:
        token = api.post("/api/tokens", {"agent": AGENT, "user": "ana"})["access_token"]
        async with connected(f"http://{address.agents}", token, era, self.receipts) as agent:
            self._expect(await agent.names() == PERMITTED, "the list shows what is permitted alone")
            await self._allowed(api, agent)
            await self._asked(api, agent)
            await self._denied(api, agent)

    async def _allowed(self, api: Operators, agent: Agent) -> None:
        said = await agent.call("git__git_log", repo_path=str(self.workspace.repository))
        self._line(api, "git_log of the demo repository", said, "allow", "read-repository")
        self._expect("Coffee has become dearer" in said.text, "and shows its real commits")
        said = await agent.call("ledger__pay", **_payment(40))
        self._line(api, "pay 40 to paper", said, "allow", "pay-small")

    async def _asked(self, api: Operators, agent: Agent) -> None:
        before = self._payments()
        asked = await agent.call("ledger__pay", **_payment(400))
        self._pending(api, "pay 400 to paper", asked)
        self._expect(self._payments() == before, "nothing is paid while it waits")
        self._approve(api, asked)
        changed = await agent.call("ledger__pay", **{**_payment(400), "note": "and a tip"})
        self._pending(api, "the approved call with one argument changed", changed)
        paid = await agent.call("ledger__pay", **_payment(400))
        self._line(api, "the approved call, sent again", paid, "ask", "pay-large")
        self._expect(self._payments() == before + 1, "it is executed exactly once")
        again = await agent.call("ledger__pay", **_payment(400))
        self._pending(api, "the same call once more", again)
        self._expect(asked.approval != again.approval, "an approval is used once: asked anew")
        self._expect(self._payments() == before + 1, "and nothing more is paid")

    async def _denied(self, api: Operators, agent: Agent) -> None:
        said = await agent.call("ledger__pay", **{**_payment(40), "to": "mallory"})
        self._line(api, "pay 40 to mallory", said, "deny", "")
        said = await agent.call("git__git_reset", repo_path=str(self.workspace.repository))
        self._line(api, "git_reset", said, "deny", "never-reset")
        said = await agent.call("git__git_status", repo_path=str(self.workspace.repository))
        self._line(api, "git_status, which no policy lists", said, "deny", "tool:unknown")

    async def _forgeries(self, api: Operators, address: Address, brief: str) -> None:
        good = api.post("/api/tokens", {"agent": AGENT, "user": "ana"})["access_token"]
        agents = f"http://{address.agents}/mcp"
        async with httpx2.AsyncClient(trust_env=False) as http:
            for what, token in (
                ("an expired token", await self._expired(http, agents, brief)),
                ("a token for another audience", self._foreign(address)),
                ("a token with alg=none", _unsigned(good)),
            ):
                answer = await _knock(http, agents, token)
                self._refused(f"{what} is refused", answer, 401)
            status = f"http://{address.operators}/api/status"
            headers = {"authorization": f"Bearer {good}"}
            answer = await http.get(status, headers=headers)
            self._refused("the agent's token is refused by the operators' listener", answer, 401)

    async def _crash(self, api: Operators, address: Address) -> None:
        token = api.post("/api/tokens", {"agent": AGENT, "user": "ana"})["access_token"]
        before = len(self.receipts.kept)
        url = f"http://{address.agents}/v1/tools/time/get_current_time"
        async with httpx2.AsyncClient(
            headers={"authorization": f"Bearer {token}"},
            event_hooks={"response": [self.receipts.keep]},
            trust_env=False,
        ) as http:
            calls = [asyncio.create_task(_call_until_gone(http, url)) for _ in range(8)]
            while len(self.receipts.kept) < before + KILL_AFTER and not all(  # noqa: ASYNC110 - now
                call.done() for call in calls
            ):
                await asyncio.sleep(0)
            await self.child.kill()
            cut_short = sum(await asyncio.gather(*calls))
        kept = len(self.receipts.kept) - before
        self._expect(kept >= KILL_AFTER, f"{kept} calls acknowledged before the kill")
        self._expect(cut_short > 0, f"{cut_short} connections cut short by it")

    def _all_there(self, api: Operators) -> None:
        missing = [receipt for receipt in self.receipts.kept if not _holds(api, receipt)]
        count = len(self.receipts.kept)
        self._expect(not missing, f"restarted: every one of {count} acknowledged entries is there")

    def _verify(self, vkey: str) -> None:
        pins = self.workspace.home.with_name(f"{self.workspace.home.name}.receipts")
        pins.write_text("".join(f"{receipt}\n" for receipt in self.receipts.kept))
        folder = Home.at(self.workspace.home).tiles
        command = [sys.executable, "-m", "cli.main", "audit", "verify", str(folder)]
        command += ["--vkey", vkey, "--pin", str(pins)]
        verified = subprocess.run(command, capture_output=True, text=True, check=False)
        for line in verified.stdout.splitlines():
            say(f"      {line}")
        self._expect(verified.returncode == 0, "passavant audit verify agrees")
        pins.unlink()

    # -- checks -----------------------------------------------------------------------------

    def _line(self, api: Operators, what: str, said: Said, effect: str, rule: str) -> None:
        """Compare an answer with its entry in the log, and print the step."""
        found = _ruling(_entry(api, said))
        held = found == (effect, rule) and said.is_error == (effect == "deny")
        self._expect(held, what, _told(found, said))

    def _pending(self, api: Operators, what: str, said: Said) -> None:
        found = _ruling(_entry(api, said))
        held = found[0] == "ask" and said.is_error and said.approval is not None
        self._expect(held, what, _told(found, said))

    def _approve(self, api: Operators, asked: Said) -> None:
        path = f"/api/approvals/{asked.approval}"
        shown = api.get(path)
        decided = api.post(f"{path}/approve", {"digest": shown["digest"], "reason": "paper"})
        whole = shown["arguments"] == _payment(400)
        self._expect(
            whole and decided["state"] == "approved", "a person sees it whole and approves"
        )

    def _refused(self, what: str, answer: httpx2.Response, status: int) -> None:
        self._expect(answer.status_code == status, what, str(answer.json().get("code", "")))

    def _expect(self, held: bool, what: str, detail: str = "") -> None:
        self.steps += 1
        typer.echo(
            f"{'ok' if held else 'NO':<4}{self.steps:>3}  {inert(what):<58} {detail}".rstrip()
        )
        if not held:
            raise Unexpected(what)

    # -- evidence that is not the gateway's ---------------------------------------------------

    def _payments(self) -> int:
        """Payments in the ledger's own file."""
        path = f"file:{self.workspace.ledger}?mode=ro"
        with closing(sqlite3.connect(path, uri=True)) as database:
            (count,) = database.execute("SELECT count(*) FROM payments").fetchone()
        return int(count)

    async def _expired(self, http: httpx2.AsyncClient, url: str, brief: str) -> str:
        """A token that was good for a second, once it is not any more."""
        while (await _knock(http, url, brief)).status_code != 401:  # noqa: ASYNC110 - time is awaited
            await asyncio.sleep(0.25)
        return brief

    def _foreign(self, address: Address) -> str:
        """A token with a good signature, made by this issuer for another gateway."""
        key = KeySet.open(Home.at(self.workspace.home).token_keys, 0).active
        now = int(time.time())
        principal = Principal(
            agent=AGENT,
            user="ana",
            user_groups=frozenset(),
            chain=(),
            session=secrets.token_hex(16),
            scopes=("*",),
            hops=0,
            token_id=secrets.token_hex(16),
            issued=now,
            expires=now + 60,
        )
        issuer, audience = f"http://{address.agents}", "http://127.0.0.1:1"
        content = canonical.write(claims.write(principal, issuer=issuer, audience=audience))
        header = {"alg": "EdDSA", "kid": key.id, "typ": "at+jwt"}
        return jwt.PyJWS(algorithms=["EdDSA"]).encode(content, key.private, "EdDSA", header)


async def _call_until_gone(http: httpx2.AsyncClient, url: str) -> int:
    """Call again and again; 1 when the connection was cut, 0 when it never was."""
    for _ in range(BURST):
        try:
            await http.post(url, json={"timezone": "UTC"})
        except httpx2.HTTPError:
            return 1
    return 0


async def _knock(http: httpx2.AsyncClient, url: str, token: str) -> httpx2.Response:
    message = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    headers = {"authorization": f"Bearer {token}", "accept": "application/json, text/event-stream"}
    return await http.post(url, json=message, headers=headers)


def _entry(api: Operators, said: Said) -> dict[str, Any]:
    if said.entry is None:
        raise Unexpected(f"no receipt came with: {said.text}")
    found: dict[str, Any] = api.get(f"/api/audit/entries/{said.entry}")["body"]
    return found


def _ruling(entry: dict[str, Any]) -> tuple[str, str]:
    """Effect and rules that an entry states; its kind where it states none."""
    if entry["kind"] == "approval.asked":
        return "ask", ",".join(entry["rules"])
    decision = entry.get("decision", {"effect": entry["kind"], "rules": ()})
    return decision["effect"], ",".join(decision["rules"])


def _told(ruling: tuple[str, str], said: Said) -> str:
    effect, rules = ruling
    return f"{effect:<6} {rules or 'no rule':<16} #{said.entry}"


def _holds(api: Operators, receipt: str) -> bool:
    origin, index, leaf = receipt.split(";")
    found = api.get(f"/api/audit/entries/{index}")
    return bool(found["leaf"] == leaf and found["origin"] == origin)


def _payment(amount: int) -> dict[str, Any]:
    return {"from": "office", "to": "paper", "amount": amount}


def _unsigned(token: str) -> str:
    header = urlsafe_b64encode(dumps({"alg": "none", "typ": "at+jwt"}).encode()).rstrip(b"=")
    return f"{header.decode()}.{token.split('.')[1]}."


def perform(home: Path) -> None:
    """Play once in a new home. Raises Unexpected or GatewayFailed."""
    workspace = Workspace(home)
    diagnostics = home.with_name(f"{home.name}.log")
    play = Play(workspace, Child(home, diagnostics))

    async def whole() -> None:
        try:
            await play.run()
        finally:
            await play.child.kill()

    asyncio.run(whole())
    say(f"\n{play.steps} steps held. The log of this demonstration: {Home.at(home).tiles}")
