"""The faces before the real gate: a ledger that really moves money, over a real listener."""

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import httpx
import httpx2
import pytest
import pytest_asyncio
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client

from gateway.app import opened
from gateway.applications import Gateway
from gateway.faces.listener import answering
from gateway.identity.minting import Order
from gateway.identity.scopes import parse
from gateway.listeners import address_of, bind
from gateway.settings import Settings
from gateway.surroundings import Surroundings
from tests.harness.gateway import Clock

pytestmark = pytest.mark.asyncio(loop_scope="module")

LEDGER = Path(__file__).parents[3] / "examples" / "ledger"
POLICY = """\
apiVersion: passavant/v1
kind: Policy
name: faces
default: deny
users: {default: unrestricted}
agents:
  clerk: {roles: [payer], owner: team-office, max_risk: irreversible}
  stranger: {roles: [visitor], owner: team-office, max_risk: irreversible}
groups:
  approvers: {members: [boss]}
tools:
  ledger.list_accounts: {risk: read, emits: []}
  ledger.pay: {risk: irreversible, emits: [], target: [to]}
  ledger.refund: {risk: irreversible, emits: [], target: [payment]}
approvals:
  one-person: {from: approvers, quorum: 1, expires: 30m, not: [requester]}
rules:
  - {id: look, roles: [payer], tools: [ledger.list_accounts], effect: allow}
  - id: small
    roles: [payer]
    tools: [ledger.pay]
    effect: allow
    when: "args.amount <= 100 && args.to == 'paper'"
  - id: large
    roles: [payer]
    tools: [ledger.pay]
    effect: ask
    approval: one-person
    when: "args.amount > 100 && args.to == 'paper'"
"""


@dataclass
class Running:
    gateway: Gateway
    address: str
    clock: Clock

    async def token(self, agent: str = "clerk") -> str:
        """A token in a session of its own: nothing of one test is owed to another."""
        services = self.gateway.services
        now_s = services.recorder.now() // 1_000_000
        session = await services.openings.clean(agent, "ana", by="test")
        order = Order(agent, session, parse("*"), 600, "operator:test", "local", user="ana")
        return (await services.mint.mint(order, now_s)).token

    @asynccontextmanager
    async def client(
        self, mode: Literal["legacy", "auto", "2026-07-28"], agent: str = "clerk"
    ) -> AsyncIterator[Client]:
        headers = {"authorization": f"Bearer {await self.token(agent)}"}
        async with (
            httpx2.AsyncClient(headers=headers, trust_env=False) as web,
            Client(
                streamable_http_client(f"http://{self.address}/mcp", http_client=web), mode=mode
            ) as client,
        ):
            yield client

    async def post(self, path: str, content: bytes, **headers: str) -> httpx.Response:
        own = {
            "authorization": f"Bearer {await self.token()}",
            "content-type": "application/json",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        async with httpx.AsyncClient(trust_env=False) as web:
            return await web.post(f"http://{self.address}{path}", content=content, headers=own)

    def entries(self, start: int) -> list[dict[str, Any]]:
        """Bodies of the entries from `start` on, without those of sessions and tokens."""
        log = self.gateway.services.log
        kinds = {"session.open", "token.issue"}
        return [e.body for e in log.entries(start) if e.body["kind"] not in kinds]

    @property
    def size(self) -> int:
        return self.gateway.services.log.size


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    folder = tmp_path_factory.mktemp("crossing")
    (folder / "faces.policy.yaml").write_text(POLICY)
    database = folder / "home" / "workspaces" / "ledger" / "ledger.db"
    database.parent.mkdir(parents=True, mode=0o700)
    (folder / "home").chmod(0o700)
    listener = bind("127.0.0.1:0")
    address = address_of(listener)
    settings = Settings.model_validate(
        {
            "apiVersion": "passavant/v1",
            "kind": "Gateway",
            "home": folder / "home",
            "public_url": f"http://{address}",
            "listen": {"agents": address, "operators": "127.0.0.1:1"},
            "policy": [str(folder / "faces.policy.yaml")],
            "servers": {
                "ledger": {
                    "command": [sys.executable, str(LEDGER), "--database", str(database)],
                    "sandbox": {
                        "read": [str(LEDGER)],
                        "write": [str(database.parent)],
                        "network": "none",
                    },
                }
            },
            "audit": {"segment_bytes": 1 << 20},
        }
    )
    clock = Clock()
    around = Surroundings({"PATH": os.environ["PATH"]}, clock=clock)
    with closing(listener):
        async with (
            opened(settings, "dev", around) as gateway,
            answering(gateway.agents, listener),
        ):
            yield Running(gateway, address, clock)


@pytest.mark.parametrize("mode", ["auto", "legacy", "2026-07-28"])
async def test_a_client_sees_and_does_what_the_policy_says(
    running: Running, mode: Literal["auto", "legacy", "2026-07-28"]
) -> None:
    async with running.client(mode) as client:
        names = [tool.name for tool in (await client.list_tools()).tools]
        assert names == ["ledger__list_accounts", "ledger__pay"]
        payment = {"from": "office", "to": "paper", "amount": 7}
        paid = await client.call_tool("ledger__pay", payment)
        assert not paid.is_error
        assert paid.structured_content is not None
        assert paid.structured_content["amount"] == 7
        asked = await client.call_tool("ledger__pay", {**payment, "amount": 400})
        assert asked.is_error
        assert asked.meta is not None
        assert asked.meta["passavant/status"] == "pending"
        assert asked.meta["passavant/approval"] in asked.content[0].model_dump()["text"]
        denied = await client.call_tool("ledger__pay", {**payment, "to": "mallory"})
        assert denied.is_error
    async with running.client(mode, "stranger") as client:
        assert (await client.list_tools()).tools == []


async def test_t70_forbidden_and_unknown_tools_are_answered_alike(running: Running) -> None:
    async with running.client("2026-07-28", "stranger") as client:
        texts = []
        for name in ("ledger__refund", "ledger__refine"):
            result = await client.call_tool(name, {"payment": 1})
            assert result.is_error
            assert result.meta is not None
            text = result.content[0].model_dump()["text"].partition("Reference")[0]
            texts.append((text.replace("refine", "refund"), result.meta["passavant/code"]))
    assert texts[0] == texts[1]


@pytest.mark.parametrize(
    ("path", "content", "status", "code"),
    [
        pytest.param("/mcp", b'{"jsonrpc":"2.0","id":1', 400, "request.malformed", id="broken"),
        pytest.param("/mcp", b"[]", 400, "request.malformed", id="batch"),
        pytest.param("/mcp", b"[" * 99 + b"]" * 99, 400, "request.too_deep", id="deep"),
        pytest.param(
            "/mcp",
            b'{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call"}',
            400,
            "request.malformed",
            id="duplicate",
        ),
        pytest.param("/v1/tools/ledger/pay", b'{"amount":NaN}', 400, "request.malformed", id="nan"),
        pytest.param(
            "/v1/tools/ledger/pay",
            b'{"from":"office","to":"paper","amount":7,"memo":1}',
            422,
            "args.unknown_field",
            id="unknown-field",
        ),
        pytest.param(
            "/v1/tools/ledger/pay",
            b'{"from":"office","to":"paper","amount":"7"}',
            422,
            "args.invalid",
            id="text-for-a-number",
        ),
        pytest.param(
            "/v1/tools/ledger/pay",
            b'{"from":"office","to":"paper","amount":1.5}',
            422,
            "args.invalid",
            id="fraction-for-an-integer",
        ),
        pytest.param(
            "/v1/tools/ledger/pay",
            b'{"from":"office","to":"paper","amount":true}',
            422,
            "args.invalid",
            id="true-for-an-integer",
        ),
    ],
)
async def test_t62_bad_input_is_answered_recorded_and_goes_nowhere(
    running: Running, path: str, content: bytes, status: int, code: str
) -> None:
    running.clock.pass_s(2)  # more than ten refusals a second are counted instead of written
    before = running.size
    answered = await running.post(path, content)
    assert answered.status_code == status
    assert code in answered.text
    # What came before may still have an outcome, be counted or raise an alarm.
    found = running.entries(before)
    refusals = [each for each in found if each["kind"] == "refusal"]
    assert (code, "clerk") in [(each["code"], each["actor"]["agent"]) for each in refusals]
    assert not [each for each in found if each["kind"] == "decision"]


async def test_a_call_over_rest_is_the_same_action(running: Running) -> None:
    before = running.size
    payment = b'{"from":"office","to":"paper","amount":8.0}'
    answered = await running.post("/v1/tools/ledger/pay", payment)
    assert answered.status_code == 200
    assert answered.json()["structuredContent"]["amount"] == 8
    decision, outcome = running.entries(before)
    assert (decision["kind"], decision["decision"]["effect"]) == ("decision", "allow")
    assert (outcome["kind"], outcome["status"]) == ("outcome", "done")
    assert decision["req"]["face"] == "rest"
    index = answered.headers["audit-receipt"].split(";")[1]
    entry = running.gateway.services.log.entry(int(index))
    assert entry.body["id"] == decision["id"]
    assert answered.headers["audit-receipt"].endswith(entry.leaf.hex())


async def test_a_pending_call_over_rest_can_be_followed(running: Running) -> None:
    headers = {
        "authorization": f"Bearer {await running.token()}",
        "content-type": "application/json",
    }
    async with httpx.AsyncClient(base_url=f"http://{running.address}", headers=headers) as web:
        asked = await web.post(
            "/v1/tools/ledger/pay", content=b'{"from":"office","to":"paper","amount":900}'
        )
        assert (asked.status_code, asked.json()["code"]) == (202, "approval.pending")
        state = await web.get(asked.headers["location"])
        assert (state.status_code, state.json()["state"]) == (200, "asked")
        described = await web.get("/v1/openapi.json")
        assert set(described.json()["paths"]) == {
            "/v1/tools/ledger/list_accounts",
            "/v1/tools/ledger/pay",
        }


async def test_t22_a_body_over_four_mebibytes_is_refused_by_the_listener(running: Running) -> None:
    before = running.size
    answered = await running.post("/v1/tools/ledger/pay", b" " * ((4 << 20) + 1))
    assert (answered.status_code, answered.json()["code"]) == (413, "request.too_large")
    [entry] = running.entries(before)
    assert entry["code"] == "request.too_large"


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        pytest.param({"host": "evil.example"}, 403, "request.host", id="host"),
        pytest.param({"origin": "https://evil.example"}, 403, "request.origin", id="origin"),
        pytest.param({"authorization": "Bearer x.y.z"}, 401, "auth.invalid", id="token"),
    ],
)
async def test_t69_who_comes_from_elsewhere_gets_no_further_than_the_edge(
    running: Running, headers: dict[str, str], status: int, code: str
) -> None:
    answered = await running.post("/mcp", b"{}", **headers)
    assert (answered.status_code, answered.json()["code"]) == (status, code)
