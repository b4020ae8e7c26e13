"""The way in of workers: nobody is heard there but a worker, and of nothing but what it carries."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.harness.client import Client, registered
from tests.harness.gateway import Running
from tests.orchestration.crew import POOL, WORKER, Crew, carried, crew
from tests.orchestration.house import Agents

ONE, TWO = "1" * 32, "2" * 32
STEP = {
    "grant": "",
    "path": "1:a",
    "server": "agents",
    "tool": "a",
    "args": {"task": 1},
    "until_s": 2**40,
}


SAYING = {"path": "", "number": 1, "event": "round", "facts": {"round": 1}}


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[Crew]:
    agents = Agents(a=lambda _: "a")
    database = f"sqlite:///{tmp_path}/runs.db"
    async with crew(tmp_path, database, carried("a"), agents) as found:
        yield found


class Fake:
    """Somebody who asks as a worker does."""

    def __init__(self, gateway: Running, token: str | None) -> None:
        self._gateway, self._token = gateway, token

    async def ask(self, verb: str, **body: Any) -> httpx.Response:  # noqa: ANN401 - as sent
        return await self._gateway.http.post(
            f"{self._gateway.url}/v1/work/{verb}",
            json={"executor": ONE} | body,
            headers={"Authorization": f"Bearer {self._token}"},
        )

    async def code(self, verb: str, **body: Any) -> str:  # noqa: ANN401 - as sent
        answered = await self.ask(verb, **body)
        assert not answered.is_success
        code: str = answered.json()["code"]
        return code


async def worker(home: Crew) -> Fake:
    agent = await Client(home.gateway, WORKER).begin()
    return Fake(home.gateway, agent.token)


async def test_a_beat_says_how_long_until_the_next(home: Crew) -> None:
    answered = await (await worker(home)).ask("beat", pools=[POOL])
    assert answered.status_code == 200
    assert answered.json()["again"] < 1


@pytest.mark.parametrize(
    ("verb", "body"),
    [
        pytest.param("claim", {}, id="claim"),
        pytest.param("deliver", STEP, id="deliver"),
        pytest.param("hand-on", {"grant": "", "path": "1:a", "agent": "a"}, id="hand-on"),
        pytest.param("narrow", {"grant": "", "path": "1:a", "tools": ["desk.look"]}, id="narrow"),
        pytest.param("whole", {"grant": "", "value": {"$result": "0" * 32}}, id="whole"),
        pytest.param("tools", {"grant": "", "names": ["agents.a"]}, id="tools"),
        pytest.param("sleep", {"path": "1", "until_s": 0}, id="sleep"),
        pytest.param("cut", {"path": "1", "won": ["1.1"], "lost": ["1.2"]}, id="cut"),
        pytest.param("say", {"saying": SAYING}, id="say"),
        pytest.param("end", {"result": "done", "detail": "", "output": 1}, id="end"),
    ],
)
async def test_nothing_is_done_for_a_run_that_no_queue_gave(
    home: Crew, verb: str, body: dict[str, Any]
) -> None:
    run, fake = await home.start(), await worker(home)
    await fake.ask("beat", pools=[POOL])
    assert await fake.code(verb, run=run.id, **body) == "run.not-carried"
    assert home.hop.runs.get(run.id).state == "running"
    assert home.hop.runs.steps(run.id) == {}
    assert home.gateway.entries("run.carried") == []


async def test_a_run_that_there_is_not_is_no_other_answer(home: Crew) -> None:
    fake = await worker(home)
    await fake.ask("beat", pools=[POOL])
    assert await fake.code("claim", run="0" * 36) == "run.not-carried"


@pytest.mark.parametrize(
    ("verb", "body"),
    [
        pytest.param("beat", {"pools": []}, id="no-pool"),
        pytest.param("beat", {"pools": [POOL], "more": 1}, id="unknown-member"),
        pytest.param("beat", {"pools": [POOL], "executor": "../x"}, id="a-name-that-is-none"),
        pytest.param("deliver", {"run": "r"}, id="members-missing"),
        pytest.param("sleep", {"run": "r", "path": "1", "until_s": "1"}, id="wrong-type"),
    ],
)
async def test_what_is_not_as_it_has_to_be_is_refused(
    home: Crew, verb: str, body: dict[str, Any]
) -> None:
    assert await (await worker(home)).code(verb, **body) == "request.malformed"


async def test_an_agent_that_is_no_worker_is_none(home: Crew) -> None:
    job = await home.gateway.agent("job")
    fake = Fake(home.gateway, job.token)
    assert await fake.code("beat", pools=[POOL]) == "run.pool"


async def test_a_token_for_a_user_is_no_workers(home: Crew) -> None:
    agent = await home.gateway.agent(WORKER, user="user:ann")
    assert await Fake(home.gateway, agent.token).code("beat", pools=[POOL]) == "run.not-carried"


async def test_nobody_is_heard_without_a_token(home: Crew) -> None:
    assert await Fake(home.gateway, "none").code("beat", pools=[POOL]) == "auth.invalid"


async def test_a_suspended_worker_is_heard_no_more(home: Crew) -> None:
    fake = await worker(home)
    assert (await fake.ask("beat", pools=[POOL])).is_success
    reason = {"reason": "taken over"}
    assert (await home.gateway.operate("POST", f"/api/agents/{WORKER}/suspend", reason)).is_success
    assert (await fake.ask("beat", pools=[POOL])).status_code == 401


@pytest.mark.parametrize("path", ["/v1/work", "/v1/work/", "/v1/work/none", "/v1/work/beat/x"])
async def test_there_is_nothing_else_there(home: Crew, path: str) -> None:
    agent = await Client(home.gateway, WORKER).begin()
    answered = await home.gateway.http.post(
        f"{home.gateway.url}{path}", json={}, headers={"Authorization": f"Bearer {agent.token}"}
    )
    assert answered.status_code == 404


async def test_a_gateway_without_pools_hears_no_worker(tmp_path: Path) -> None:
    from tests.orchestration.house import flow, house  # noqa: PLC0415 - here alone

    async with house(
        tmp_path,
        [flow("a")],
        Agents(a=lambda _: "a"),
        settings=registered(tmp_path / "clients", ["job"]),
    ) as plain:
        agent = await Client(plain.gateway, "job").begin()
        answered = await plain.gateway.http.post(
            f"{plain.gateway.url}/v1/work/beat",
            json={"executor": ONE, "pools": [POOL]},
            headers={"Authorization": f"Bearer {agent.token}"},
        )
        assert answered.status_code == 404
