"""The events of a run: how it stands, for whoever may look, and on from where one was."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.operator import bell, run_events
from tests.orchestration.house import Agents, House, flow, house

ASKS = {"sequential": ["draft", {"approve": {"by": "editors", "question": "Out?"}}, "out"]}

Told = tuple[str, dict[str, Any], str]
"""Kind of an event, its data, and its id."""


@asynccontextmanager
async def followed(
    home: House, run: str, *, by: str = "vera", last: str = ""
) -> AsyncIterator[AsyncIterator[Told]]:
    gateway = home.gateway
    headers = {"authorization": f"Bearer {gateway.keys[by]}", "last-event-id": last}
    url = f"{gateway.operators_url}/api/runs/{run}/events"
    async with gateway.http.stream("GET", url, headers=headers) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield events(answer.aiter_lines())


async def events(lines: AsyncIterator[str]) -> AsyncIterator[Told]:
    said: dict[str, str] = {}
    async for line in lines:
        if line:
            name, _, value = line.partition(": ")
            said[name] = value
        elif "data" in said:
            yield said["event"], json.loads(said["data"]), said.get("id", "")
        if not line:
            said = {}


async def rest(found: AsyncIterator[Told]) -> list[Told]:
    async with asyncio.timeout(20):
        return [each async for each in found]


async def until_waiting(found: AsyncIterator[Told]) -> list[Told]:
    """What is told until people are waited for."""
    heard = []
    async with asyncio.timeout(20):
        async for each in found:
            heard.append(each)
            if each[1].get("waiting"):
                return heard
    raise AssertionError("the stream ended")


def agents() -> Agents:
    return Agents(draft=lambda _: "a secret draft", out=lambda _: "out")


async def test_a_run_is_followed_to_its_end(tmp_path: Path) -> None:
    async with house(tmp_path, [flow(ASKS)], agents()) as home:
        run = await home.start()
        async with followed(home, run.id) as found:
            heard = await until_waiting(found)
            (request,) = heard[-1][1]["waiting"]
            assert request["tool"] == "approvals.editors"
            await home.gateway.answer(request["id"])
            heard += await rest(found)
        steps = [(data["path"], data["status"]) for kind, data, _ in heard if kind == "step"]
        assert steps[-1] == ("3:out", "done")
        kind, last, place = heard[-1]
        assert (kind, last["state"], last["result"], last["waiting"], place) == (
            "run",
            "ended",
            "done",
            [],
            "",
        )
        places = [int(place) for kind, _, place in heard if kind == "step"]
        assert places == sorted(places)
        assert "secret" not in str(heard)


async def test_what_the_run_says_is_told_among_the_steps_without_its_data(tmp_path: Path) -> None:
    tells = {"emit": {"event": "drafted", "data": {"from": ""}}}
    node = {"sequential": ["draft", tells, "out"]}
    async with house(tmp_path, [flow(node)], agents()) as home:
        run = await home.ended(await home.start())
        async with followed(home, run.id) as found:
            heard = await rest(found)
        ((_, said, place),) = [each for each in heard if each[0] == "progress"]
        assert (said["path"], said["event"], said["facts"]) == ("2:emit", "drafted", {})
        assert int(place) == said["index"] + 1
        assert "secret" not in str(heard)
        async with followed(home, run.id, last=place) as found:
            assert not [each for each in await rest(found) if each[0] == "progress"]


async def test_a_stream_that_broke_off_goes_on_behind_what_was_heard(tmp_path: Path) -> None:
    async with house(tmp_path, [flow(ASKS)], agents()) as home:
        run = await home.start()
        async with followed(home, run.id) as found:
            before = await until_waiting(found)
        heard = max(int(place) for _, _, place in before if place)
        (request,) = before[-1][1]["waiting"]
        await home.gateway.answer(request["id"])
        await home.ended(run)
        async with followed(home, run.id, last=str(heard)) as found:
            after = await rest(found)
    paths = [data["path"] for kind, data, _ in after if kind == "step"]
    assert "1:draft" not in paths
    assert paths[-1] == "3:out"
    assert after[-1][1]["state"] == "ended"


async def test_a_restart_changes_no_place(tmp_path: Path) -> None:
    async with house(tmp_path, [flow(ASKS)], agents()) as home:
        run = await home.start()
        async with followed(home, run.id) as found:
            before = await until_waiting(found)
    heard = max(int(place) for _, _, place in before if place)
    async with (
        house(tmp_path, [flow(ASKS)], agents()) as home,
        followed(home, run.id, last=str(heard)) as found,
    ):
        after = await until_waiting(found)
        assert "1:draft" not in [data.get("path") for _, data, _ in after]
        await home.service.cancel(run.id, by="test")
        assert (await rest(found))[-1][1]["result"] == "cancelled"


@pytest.mark.parametrize("last", ["x", "-1", "1" * 400, "1.5", "0x1"])
async def test_what_is_no_place_of_ours_is_the_beginning(tmp_path: Path, last: str) -> None:
    async with house(tmp_path, [flow("draft")], agents()) as home:
        run = await home.ended(await home.start())
        async with followed(home, run.id, last=last) as found:
            heard = await rest(found)
    assert [data["path"] for kind, data, _ in heard if kind == "step"] == ["1:draft"]


async def test_a_place_beyond_the_log_hears_where_the_run_is(tmp_path: Path) -> None:
    async with house(tmp_path, [flow("draft")], agents()) as home:
        run = await home.ended(await home.start())
        async with followed(home, run.id, last="999999999") as found:
            assert [kind for kind, _, _ in await rest(found)] == ["run"]


async def test_who_loses_their_key_hears_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_events, "BEAT_S", 0.02)
    async with house(tmp_path, [flow(ASKS)], agents()) as home:
        run = await home.start()
        async with followed(home, run.id) as found:
            await until_waiting(found)
            await home.gateway.operate("POST", "/api/operators/vera/remove", {})
            assert [data for kind, data, _ in await rest(found) if kind == "step"] == []
        assert home.hop.runs.get(run.id).state == "running"


async def test_a_stream_that_waits_says_that_it_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_events, "BEAT_S", 0.02)
    async with house(tmp_path, [flow(ASKS)], agents()) as home:
        run = await home.start()
        headers = {"authorization": f"Bearer {home.gateway.keys['vera']}"}
        url = f"{home.gateway.operators_url}/api/runs/{run.id}/events"
        async with (
            home.gateway.http.stream("GET", url, headers=headers) as answer,
            asyncio.timeout(20),
        ):
            beats = 0
            async for line in answer.aiter_lines():
                beats += line == ":"
                if beats == 3:
                    break


async def test_there_is_nothing_to_hear_of_a_run_that_is_not(tmp_path: Path) -> None:
    async with house(tmp_path, [flow("draft")], agents()) as home:
        answered = await home.gateway.operate("GET", "/api/runs/nothing/events", check=False)
        assert (answered.status_code, answered.json()["code"]) == (404, "run.unknown")


async def test_so_many_follow_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bell, "MOST_STREAMS", 0)
    async with house(tmp_path, [flow("draft")], agents()) as home:
        run = await home.start()
        url = f"/api/runs/{run.id}/events"
        answered = await home.gateway.operate("GET", url, check=False)
        assert (answered.status_code, answered.json()["code"]) == (429, "operator.slow")


async def test_a_gateway_that_ends_ends_every_stream(tmp_path: Path) -> None:
    async with house(tmp_path, [flow(ASKS)], agents()) as home:
        run = await home.start()
        async with followed(home, run.id) as found:
            await until_waiting(found)
            home.gateway.gateway.services.bell.close()
            assert await rest(found) == []
