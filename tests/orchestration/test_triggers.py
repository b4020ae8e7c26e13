"""Triggers: the clock, signed messages and entries of the log start runs, and nothing else does."""

import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.harness.gateway import Clock
from tests.orchestration.house import Agents, House, flow, house, policy

SECRET = "a-secret-of-the-sender"
JOB = flow({"sequential": ["a"]})
HOURLY = "triggers: {hourly: {flow: job, schedule: '0 * * * *', input: {of: clock}}}\n"
ONCE = HOURLY.replace("input:", "missed: once, input:")
ORDERS = "triggers: {orders: {flow: job, webhook: 'file:secret'}}\n"
ENDED = "triggers: {ended: {flow: job, entry: 'kind:run.ended'}}\n"
ASKED = "triggers: {asked: {flow: job, entry: 'kind:decision tool:agents.a effect:allow'}}\n"


def text(triggers: str) -> str:
    """The policy with these triggers, as the house has it."""
    whole = policy("a") + triggers
    return "\n".join(line for line in whole.split("\n") if "desk" not in line)


@asynccontextmanager
async def armed(
    folder: Path, triggers: str, clock: Clock | None = None, agents: Agents | None = None
) -> AsyncIterator[tuple[House, Agents]]:
    """A house with these triggers, where agent `a` says what it was given."""
    (folder / "home").mkdir(mode=0o700, exist_ok=True)
    (folder / "home" / "secret").write_text(SECRET)
    agents = agents or Agents(a=lambda task: task)
    async with house(folder, [JOB], agents, rules=text(triggers), clock=clock) as home:
        yield home, agents


async def begun(home: House, times: int = 1) -> list[dict[str, Any]]:
    """The runs, when so many have been started."""
    await home.gateway.until(lambda: len(home.hop.runs.all()) >= times)
    return home.gateway.entries("run.started")


async def ready(home: House, name: str) -> None:
    """Wait until a trigger is looked after."""
    state = home.gateway.gateway.services.state
    await home.gateway.until(lambda: state.triggered.get(name) is not None)


# -- messages


def signed(body: bytes, now_s: int, *, number: str = "m1", secret: str = SECRET) -> dict[str, str]:
    digest = hmac.new(secret.encode(), f"{number}.{now_s}.".encode() + body, hashlib.sha256)
    return {
        "content-type": "application/json",
        "webhook-id": number,
        "webhook-timestamp": str(now_s),
        "webhook-signature": f"v1,{base64.b64encode(digest.digest()).decode()}",
    }


async def send(
    home: House, body: bytes, headers: dict[str, str], name: str = "orders"
) -> httpx.Response:
    url = f"{home.gateway.url}/v1/triggers/{name}"
    return await home.gateway.http.post(url, content=body, headers=headers)


async def test_a_signed_message_starts_a_run_with_untrusted_input(tmp_path: Path) -> None:
    async with armed(tmp_path, ORDERS) as (home, agents):
        body = json.dumps({"order": 17}).encode()
        answer = await send(home, body, signed(body, home.hop.now_s))
        assert answer.status_code == 202
        run = await home.ended(home.hop.runs.get(answer.json()["run"]))
        assert (run.by, run.result) == ("trigger:orders", "done")
        assert agents.told == [("a", {"order": 17})]
        (started,) = home.gateway.entries("run.started")
        assert started["cause"] == {"trigger": "orders", "event": "message:m1", "depth": 1}
        assert started["actor"] == {"agent": "job", "chain": [], "sub": None}
        session = home.gateway.entries("session.open")[0]
        assert (session["labels"], "purpose" in session) == (["untrusted"], False)


async def test_the_same_message_again_is_the_same_run(tmp_path: Path) -> None:
    async with armed(tmp_path, ORDERS) as (home, agents):
        headers = signed(b"{}", home.hop.now_s)
        first, again = [(await send(home, b"{}", headers)).json()["run"] for _ in range(2)]
        assert first == again
        await home.ended(home.hop.runs.get(first))
        assert len(agents.told) == 1


@pytest.mark.parametrize(
    ("change", "code"),
    [
        pytest.param({"webhook-signature": ""}, "trigger.signature", id="unsigned"),
        pytest.param({"webhook-signature": "v1,AAAA"}, "trigger.signature", id="wrong"),
        pytest.param({"webhook-signature": "v2,AAAA"}, "trigger.signature", id="other-version"),
        pytest.param({"webhook-id": "m2"}, "trigger.signature", id="other-id"),
        pytest.param({"webhook-timestamp": "1"}, "trigger.signature", id="other-time"),
        pytest.param({"webhook-timestamp": "x"}, "trigger.signature", id="no-time"),
        pytest.param({"webhook-id": "m 1"}, "trigger.signature", id="no-id"),
        pytest.param({"content-type": "text/plain"}, "request.media_type", id="no-json"),
    ],
)
async def test_a_message_that_is_not_signed_so_starts_nothing(
    tmp_path: Path, change: dict[str, str], code: str
) -> None:
    async with armed(tmp_path, ORDERS) as (home, _):
        answer = await send(home, b"{}", signed(b"{}", home.hop.now_s) | change)
        assert answer.json()["code"] == code
        assert home.gateway.entries("run.started") == []
        assert home.gateway.refusals(code) == 1


@pytest.mark.parametrize("ahead", [-301, 301], ids=["old", "of-tomorrow"])
async def test_a_message_of_another_time_is_refused(tmp_path: Path, ahead: int) -> None:
    async with armed(tmp_path, ORDERS) as (home, _):
        answer = await send(home, b"{}", signed(b"{}", home.hop.now_s + ahead))
        assert (answer.status_code, answer.json()["code"]) == (401, "trigger.time")


@pytest.mark.parametrize(
    ("body", "name", "code"),
    [
        pytest.param(b'{"a":1,"a":2}', "orders", "request.malformed", id="a-key-twice"),
        pytest.param(b"{", "orders", "request.malformed", id="half"),
        pytest.param(b'"' + b"x" * 70_000 + b'"', "orders", "request.too_large", id="too-long"),
        pytest.param(b"{}", "nothing", "trigger.signature", id="no-such-trigger"),
        pytest.param(b"{}", "hourly", "trigger.signature", id="no-webhook"),
        pytest.param(b"{}", "orders/x", "trigger.signature", id="below"),
    ],
)
async def test_a_message_that_cannot_be_is_refused(
    tmp_path: Path, body: bytes, name: str, code: str
) -> None:
    both = ORDERS.replace("}}\n", "}, hourly: {flow: job, schedule: '0 * * * *'}}\n")
    async with armed(tmp_path, both) as (home, _):
        answer = await send(home, body, signed(body, home.hop.now_s), name)
        assert answer.json()["code"] == code
        assert home.gateway.entries("run.started") == []


async def test_a_trusted_source_has_to_be_stated(tmp_path: Path) -> None:
    trusted = ORDERS.replace("webhook:", "payload: trusted, webhook:")
    async with armed(tmp_path, trusted) as (home, _):
        await send(home, b"{}", signed(b"{}", home.hop.now_s))
        assert home.gateway.entries("session.open")[0]["labels"] == []


# -- the clock


async def test_a_moment_starts_one_run(tmp_path: Path) -> None:
    clock = Clock()
    async with armed(tmp_path, HOURLY, clock) as (home, agents):
        await ready(home, "hourly")
        clock.pass_s(3600 - home.hop.now_s % 3600 + 1)
        (started,) = await begun(home)
        assert started["cause"]["event"] == f"tick:{home.hop.now_s // 3600 * 3600}"
        await home.ended(home.hop.runs.get(started["run"]))
        assert agents.told == [("a", {"of": "clock"})]
        clock.pass_s(3600)
        assert len(await begun(home, 2)) == 2


@pytest.mark.parametrize(("triggers", "runs"), [(HOURLY, 1), (ONCE, 2)], ids=["skip", "once"])
async def test_missed_moments_are_skipped_or_made_up_for_once(
    tmp_path: Path, triggers: str, runs: int
) -> None:
    clock = Clock()
    async with armed(tmp_path, triggers, clock) as (home, _):
        await ready(home, "hourly")
    clock.pass_s(5 * 3600 - home.hop.now_s % 3600 + 600)
    async with armed(tmp_path, triggers, clock) as (home, _):
        state, due = home.gateway.gateway.services.state, home.hop.now_s // 3600 * 3600
        await home.gateway.until(lambda: state.triggered.get("hourly").tick == due)  # type: ignore[union-attr]  # it is there
        assert len(home.gateway.entries("run.started")) == runs - 1
        clock.pass_s(3600 - home.hop.now_s % 3600 + 1)
        await begun(home, runs)


# -- entries


async def test_an_entry_starts_a_run_that_is_told_of_it(tmp_path: Path) -> None:
    async with armed(tmp_path, ASKED) as (home, agents):
        await ready(home, "asked")
        await home.ended(await home.start(given="x"))
        _, started = await begun(home, 2)
        assert started["cause"]["trigger"] == "asked"
        await home.gateway.until(lambda: len(agents.told) >= 2)
        told = agents.told[1][1]
        assert (told["kind"], told["tool"], told["agent"]) == ("decision", "agents.a", "job")
        assert home.gateway.entry(told["index"])["id"] == told["id"]


@pytest.mark.parametrize("triggers", [ASKED, ENDED], ids=["by-session", "by-run"])
async def test_triggers_that_lead_to_each_other_come_to_an_end(
    tmp_path: Path, triggers: str
) -> None:
    name = triggers.partition("{")[2].partition(":")[0]
    async with armed(tmp_path, triggers) as (home, _):
        await ready(home, name)
        await home.ended(await home.start(given="x"))
        await home.gateway.until(lambda: bool(home.gateway.entries("trigger.refused")))
        (refused,) = home.gateway.entries("trigger.refused")
        assert (refused["code"], refused["depth"]) == ("trigger.depth", 4)
        assert len(home.gateway.entries("run.started")) == 4


async def test_a_restart_goes_on_where_the_log_says(tmp_path: Path) -> None:
    async with armed(tmp_path, ASKED.replace("agents.a", "agents.b")) as (home, _):
        await ready(home, "asked")
        await home.ended(await home.start(given="x"))
        assert len(home.gateway.entries("run.started")) == 1
        assert (await home.gateway.apply(text(ASKED))).is_success
    async with armed(tmp_path, ASKED) as (home, _):
        started = await begun(home, 4)
        assert [body.get("cause", {}).get("depth", 0) for body in started] == [0, 1, 2, 3]
        events = [body["cause"]["event"] for body in started[1:]]
        assert len(set(events)) == 3


async def test_a_new_trigger_does_not_look_back(tmp_path: Path) -> None:
    async with armed(tmp_path, "") as (home, _):
        await home.ended(await home.start(given="x"))
        assert (await home.gateway.apply(text(ASKED))).is_success
        await ready(home, "asked")
        read = home.gateway.entries("trigger.read")[0]
        assert read["next"] > home.gateway.entries("run.ended")[0]["seq"]
        assert len(home.gateway.entries("run.started")) == 1


async def test_operators_are_told_what_there_is(tmp_path: Path) -> None:
    async with armed(tmp_path, HOURLY) as (home, _):
        await ready(home, "hourly")
        (row,) = (await home.gateway.operate("GET", "/api/triggers")).json()
        assert (row["name"], row["flow"], row["schedule"]) == ("hourly", "job", "0 * * * *")
        assert row["next"] > home.hop.now_s
