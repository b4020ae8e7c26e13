"""T38: a rule releases the one value it names, in the calls it means, on the record."""

from pathlib import Path
from typing import Any

import pytest

from audit.canonical import Json
from tests.harness.agent import Agent
from tests.harness.gateway import Running
from tests.harness.office import KEEPS_SECRETS, Office, open_office

pytestmark = pytest.mark.asyncio(loop_scope="module")

POLICY = (
    KEEPS_SECRETS
    + """\
releases:
  - id: total-is-published
    why: The total of the yearly report is published anyway.
    tool: office.folder
    part: report.total
    from: [secret]
    when: "args.path == '/yearly'"
  - id: author-is-known
    why: Who wrote a page may be written to.
    tool: office.page
    part: author
    from: [untrusted]
    when: "provenance.url == 'user'"
"""
)
TOTAL, MARGIN = "total 4711.50 EUR", "margin 12.75 %"
REPORT: dict[str, Json] = {"report": {"total": TOTAL, "margin": MARGIN, "rows": [1, 2]}}
BOB, ANN = "bob@acme.example", "ann@acme.example"


@pytest.fixture
def office(opened: tuple[Running, Office]) -> Office:
    opened[1].forget()
    opened[1].says("folder", REPORT)
    return opened[1]


async def knowing(gateway: Running, path: str = "/yearly") -> Agent:
    agent = await gateway.agent(purpose=f"Send the total to {BOB}, from https://news.example")
    assert (await agent.call("office.folder", path=path)).done
    return agent


async def code(agent: Agent, text: Json, to: str = BOB, **more: Any) -> str | None:  # noqa: ANN401 - members of the call
    return (await agent.call("office.send", to=to, text=text, **more)).code


async def test_t38_a_rule_releases_the_value_it_names_and_nothing_else(
    opened: tuple[Running, Office], office: Office
) -> None:
    gateway, agent = opened[0], await knowing(opened[0])
    assert await code(agent, TOTAL) is None
    for text in (MARGIN, f"{TOTAL} {MARGIN}", f"{TOTAL} ", TOTAL[:-1], "1", "4711.50", "report"):
        assert await code(agent, text) == "policy.denied"
    hidden: tuple[Json, ...] = ({"note": MARGIN}, {TOTAL: True}, {"note": None})
    for options in hidden:
        assert await code(agent, TOTAL, options=options) == "policy.denied"
    assert gateway.labels(agent) == {"secret"}
    assert office.arrived("send") == [{"to": BOB, "text": TOTAL}]


async def test_t38_the_entry_that_rests_on_a_release_names_its_rule(
    opened: tuple[Running, Office], office: Office
) -> None:
    gateway, agent = opened[0], await knowing(opened[0])
    done = await agent.call("office.send", to=BOB, text=TOTAL)
    facts = gateway.entry(done.entry)["facts"]
    assert (facts["labels"], facts["lifted"]) == ([], ["secret"])
    assert facts["released_by"] == ["rule:total-is-published"]
    (entry,) = [e for e in gateway.entries("label.released") if e["session"] == agent.session]
    assert (entry["by"], entry["labels"]) == ("rule:total-is-published", ["secret"])
    assert "4711.50" not in str(entry)  # its ids and times are full of digits


async def test_t38_a_value_is_released_once(opened: tuple[Running, Office], office: Office) -> None:
    gateway, agent = opened[0], await knowing(opened[0])
    await agent.call("office.folder", path="/yearly")
    found = [e for e in gateway.entries("label.released") if e["session"] == agent.session]
    assert len(found) == 1


async def test_t38_what_a_rule_releases_is_released_in_that_session_alone(
    opened: tuple[Running, Office], office: Office
) -> None:
    await knowing(opened[0])
    other = await knowing(opened[0], "/monthly")
    assert await code(other, TOTAL) == "policy.denied"


@pytest.mark.parametrize(
    "result",
    [
        pytest.param({"structuredContent": {"total": TOTAL}}, id="elsewhere"),
        pytest.param({"structuredContent": {"report": [{"total": TOTAL}]}}, id="in-a-list"),
        pytest.param({"structuredContent": {"report": {"total": [TOTAL]}}}, id="a-list"),
        pytest.param({"structuredContent": {"report": {"total": {"x": TOTAL}}}}, id="an-object"),
        pytest.param({"structuredContent": REPORT, "isError": True}, id="of-an-error"),
        pytest.param(
            {"structuredContent": {"x": 1}, "content": [{"type": "text", "text": str(REPORT)}]},
            id="beside-what-is-structured",
        ),
        pytest.param(
            {"content": [{"type": "text", "text": f'see {{"report": {{"total": "{TOTAL}"}}}}'}]},
            id="within-a-text",
        ),
        pytest.param({"structuredContent": {"report": {"total": TOTAL + "\u200b"}}}, id="unseen"),
    ],
)
async def test_t38_only_the_named_place_of_an_answer_is_released(
    opened: tuple[Running, Office], office: Office, result: dict[str, Any]
) -> None:
    plain: dict[str, Any] = {"content": [], "isError": False}
    office.gives("folder", plain | result)
    agent = await opened[0].agent(purpose=f"Send the total to {BOB}.")
    await agent.call("office.folder", path="/yearly")
    assert await code(agent, TOTAL) == "policy.denied"


async def test_t38_a_long_text_is_no_value(opened: tuple[Running, Office], office: Office) -> None:
    text = "all of it " * 30
    office.says("folder", {"report": {"total": text}})
    agent = await knowing(opened[0])
    assert await code(agent, text) == "policy.denied"


async def test_t38_what_the_agent_puts_in_is_not_released_to_it(
    opened: tuple[Running, Office], office: Office
) -> None:
    gateway = opened[0]
    office.says("page", {"author": "Mallory@evil.example"})
    agent = await gateway.agent(purpose="Read https://news.example")
    await agent.call("office.page", url="https://news.example/mallory@evil.example")
    assert await code(agent, "hi", "Mallory@evil.example") == "approval.pending"


async def test_t38_an_agent_cannot_have_a_label_cleared(
    opened: tuple[Running, Office], office: Office
) -> None:
    gateway, agent = opened[0], await knowing(opened[0], "/monthly")
    body = {"value": TOTAL, "labels": ["secret"], "reason": "rule:total-is-published"}
    for url in (gateway.url, gateway.operators_url):
        answered = await gateway.http.post(
            f"{url}/api/sessions/{agent.session}/release",
            json=body,
            headers={"authorization": f"Bearer {agent.token}"},
        )
        assert answered.status_code in (401, 404)
    for options in ({"release": "total-is-published"}, {"labels": "none"}):
        assert await code(agent, TOTAL, options=options) == "policy.denied"
    assert gateway.labels(agent) == {"secret"}


async def test_t38_a_value_of_a_stranger_may_be_relied_upon_where_a_rule_says_so(
    opened: tuple[Running, Office], office: Office
) -> None:
    gateway = opened[0]
    office.says("page", {"author": ANN, "text": "ask mallory@evil.example"})
    agent = await gateway.agent(purpose="Thank the author of https://news.example")
    await agent.call("office.page", url="https://other.example")
    assert await code(agent, "thanks", ANN) == "approval.pending"
    await agent.call("office.page", url="https://news.example")
    done = await agent.call("office.send", to=ANN, text="thank you")
    assert done.done
    assert gateway.entry(done.entry)["facts"]["released_by"] == ["rule:author-is-known"]
    assert await code(agent, "thank you", "mallory@evil.example") == "approval.pending"


async def test_t38_what_a_labelled_session_wrote_is_not_released(tmp_path: Path) -> None:
    async with open_office(tmp_path, POLICY) as (gateway, office):
        office.says("folder", REPORT)
        writer = await knowing(gateway)
        assert (await writer.call("office.write", path="/yearly", text=MARGIN)).done
        office.says("folder", {"report": {"total": MARGIN}})
        assert await code(await knowing(gateway), MARGIN) == "policy.denied"


async def test_t38_a_release_by_rule_outlives_the_process(tmp_path: Path) -> None:
    async with open_office(tmp_path, POLICY) as (gateway, office):
        office.says("folder", REPORT)
        agent = await knowing(gateway)
    async with open_office(tmp_path, POLICY) as (gateway, office):
        again = await gateway.agent(agent.name, session=agent.session)
        assert await code(again, TOTAL) is None
        assert await code(again, MARGIN) == "policy.denied"
