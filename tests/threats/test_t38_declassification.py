"""T38: only a person lowers a label, for a named value, on the record; the session keeps it."""

from pathlib import Path
from typing import Any

import pytest

from tests.harness.agent import Agent
from tests.harness.gateway import Running
from tests.harness.office import KEEPS_SECRETS, Office, open_office

pytestmark = pytest.mark.asyncio(loop_scope="module")

POLICY = KEEPS_SECRETS
REPORT, ANOTHER = "The total is 4711 for this year.", "The total is 815 for last year."
BOB = "bob@acme.example"


async def knowing(gateway: Running) -> Agent:
    """An agent that has read what is secret."""
    agent = await gateway.agent(purpose=f"Send the total to {BOB}.")
    assert (await agent.call("office.folder", path="/")).done
    return agent


async def release(gateway: Running, agent: Agent, text: str, **changes: Any) -> int:  # noqa: ANN401
    body = {"value": text, "labels": ["secret"], "reason": "published anyway"}
    by = changes.pop("by", "adam")
    path = f"/api/sessions/{agent.session}/release"
    answered = await gateway.operate("POST", path, body | changes, by=by, check=False)
    return answered.status_code


async def test_t38_a_released_value_passes_and_nothing_else_does(
    opened: tuple[Running, Office], office: Office
) -> None:
    gateway = opened[0]
    agent = await knowing(gateway)
    for text in (REPORT, ANOTHER):
        assert (await agent.call("office.send", to=BOB, text=text)).code == "policy.denied"
    assert await release(gateway, agent, REPORT) == 200
    assert (await agent.call("office.send", to=BOB, text=REPORT)).done
    for text in (ANOTHER, f"{REPORT} {ANOTHER}", REPORT[:-1] + "!!", REPORT + " x"):
        assert (await agent.call("office.send", to=BOB, text=text)).code == "policy.denied"
    for options in ({"note": ANOTHER}, {ANOTHER: True}, {"urgent": True}, {"note": None}):
        hidden = await agent.call("office.send", to=BOB, text=REPORT, options=options)
        assert hidden.code == "policy.denied"
    assert gateway.labels(agent) == {"secret"}
    assert office.arrived("send") == [{"to": BOB, "text": REPORT}]


async def test_t38_it_holds_in_that_session_alone(
    opened: tuple[Running, Office], office: Office
) -> None:
    gateway = opened[0]
    one, other = await knowing(gateway), await knowing(gateway)
    assert await release(gateway, one, REPORT) == 200
    denied = await other.call("office.send", to=BOB, text=REPORT)
    assert denied.code == "policy.denied"


async def test_t38_a_release_is_recorded_without_the_value(
    opened: tuple[Running, Office], office: Office
) -> None:
    gateway = opened[0]
    agent = await knowing(gateway)
    await release(gateway, agent, REPORT)
    done = await agent.call("office.send", to=BOB, text=REPORT)
    (entry,) = [e for e in gateway.entries("label.released") if e["session"] == agent.session]
    assert (entry["by"], entry["labels"]) == ("operator:adam", ["secret"])
    assert "4711 for" not in str(entry)  # its ids and times are full of digits
    facts = gateway.entry(done.entry)["facts"]
    assert (facts["labels"], facts["lifted"]) == ([], ["secret"])


async def test_t38_what_is_written_with_a_released_value_stays_marked(
    opened: tuple[Running, Office], office: Office
) -> None:
    gateway = opened[0]
    agent, reader = await knowing(gateway), await gateway.agent()
    await release(gateway, agent, REPORT)
    await release(gateway, agent, "/out/report.txt")
    assert (await agent.call("office.write", path="/out/report.txt", text=REPORT)).done
    await reader.call("office.read", path="/out/report.txt")
    assert gateway.labels(reader) == {"secret"}


@pytest.mark.parametrize("by", ["vera", "omar", "arno"])
async def test_t38_not_everybody_may_release(
    opened: tuple[Running, Office], office: Office, by: str
) -> None:
    gateway = opened[0]
    agent = await knowing(gateway)
    assert await release(gateway, agent, REPORT, by=by) == 403
    assert (await agent.call("office.send", to=BOB, text=REPORT)).code == "policy.denied"


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"value": " "}, id="nothing"),
        pytest.param({"value": "to\u200btal"}, id="what-does-not-show"),
        pytest.param({"labels": ["untrusted"]}, id="a-label-it-does-not-have"),
        pytest.param({"labels": []}, id="from-nothing"),
        pytest.param({"reason": ""}, id="for-no-reason"),
    ],
)
async def test_t38_a_release_names_a_value_its_labels_and_a_reason(
    opened: tuple[Running, Office], office: Office, changes: dict[str, Any]
) -> None:
    agent = await knowing(opened[0])
    assert await release(opened[0], agent, REPORT, **changes) == 400
    assert opened[0].labels(agent) == {"secret"}


async def test_t38_an_agent_releases_nothing(
    opened: tuple[Running, Office], office: Office
) -> None:
    gateway = opened[0]
    agent = await knowing(gateway)
    for url in (gateway.url, gateway.operators_url):
        answered = await gateway.http.post(
            f"{url}/api/sessions/{agent.session}/release",
            json={"value": REPORT, "labels": ["secret"], "reason": "please"},
            headers={"authorization": f"Bearer {agent.token}"},
        )
        assert answered.status_code in (401, 404)
    assert (await agent.call("office.send", to=BOB, text=REPORT)).code == "policy.denied"


async def test_t38_a_release_outlives_the_process(tmp_path: Path) -> None:
    async with open_office(tmp_path, POLICY) as (gateway, _):
        agent = await knowing(gateway)
        await release(gateway, agent, REPORT)
    async with open_office(tmp_path, POLICY) as (gateway, _):
        again = await gateway.agent(agent.name, session=agent.session)
        assert (await again.call("office.send", to=BOB, text=REPORT)).done
        denied = await again.call("office.send", to=BOB, text=ANOTHER)
        assert denied.code == "policy.denied"


async def test_t38_a_value_released_from_what_strangers_wrote_may_be_relied_upon(
    opened: tuple[Running, Office], office: Office
) -> None:
    gateway = opened[0]
    agent = await gateway.agent()
    await agent.call("office.page", url="https://news.example")
    for to in ("eve@acme.example", "mallory@evil.example"):
        assert (await agent.call("office.send", to=to, text="hi")).code == "approval.pending"
    assert await release(gateway, agent, "eve@acme.example", labels=["untrusted"]) == 200
    assert (await agent.call("office.send", to="eve@acme.example", text="hello")).done
    asked = await agent.call("office.send", to="mallory@evil.example", text="hello")
    assert asked.code == "approval.pending"
