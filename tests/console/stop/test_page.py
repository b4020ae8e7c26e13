"""The kill switch on a page: for administrators, on purpose, and in the log."""

from html import unescape

import pytest

from tests.harness.agent import Agent
from tests.harness.console import Person, csrf_of
from tests.harness.gateway import Running

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_everything_stops_and_goes_on(gateway: Running, adam: Person, clerk: Agent) -> None:
    since = gateway.size
    page = await adam.get("/stop")
    stopped = await adam.send(page, "/stop", reason="drill", word="stop everything", back="/stop")
    assert "no call passes, whoever makes it" in stopped.text
    assert (await clerk.call("desk.look", at="x")).code == "gateway.stopped"
    assert "no call passes" in (await adam.get("/")).text
    going = await adam.send(stopped, "/go", reason="over", word="go on", back="/stop")
    assert "Nothing is stopped as a whole" in going.text
    assert (await clerk.call("desk.look", at="x")).done
    kinds = [each["kind"] for each in gateway.entries(since=since)]
    assert kinds.index("gateway.stopped") < kinds.index("gateway.resumed")


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        pytest.param({"word": "", "reason": "x"}, "operator.body", id="not-confirmed"),
        pytest.param({"word": "stop", "reason": "x"}, "operator.body", id="half-confirmed"),
        pytest.param({"word": "stop everything", "reason": ""}, "operator.body", id="no-reason"),
        pytest.param(
            {"word": "stop everything", "reason": "x" * 2001}, "operator.body", id="long-reason"
        ),
        pytest.param(
            {"word": "stop everything", "reason": "x", "csrf": "y"}, "operator.csrf", id="foreign"
        ),
    ],
)
async def test_nothing_stops_by_accident(
    gateway: Running, adam: Person, fields: dict[str, str], code: str
) -> None:
    page = await adam.get("/stop")
    answered = await adam.post("/stop", {"csrf": csrf_of(page), **fields})
    assert code in answered.text
    assert not gateway.gateway.services.state.revocations.stopped


@pytest.mark.parametrize(
    "path", ["/stop", "/go", "/stop/agent/suspend", "/stop/agent/resume", "/sessions/x/end"]
)
async def test_only_administrators_stop_and_resume(
    gateway: Running, omar: Person, path: str
) -> None:
    page = await omar.get("/stop")
    assert "Stop everything" not in page.text
    since = gateway.size
    fields = {"csrf": csrf_of(page), "reason": "x", "word": "stop everything", "name": "clerk-1"}
    answered = await omar.post(path, fields)
    assert answered.status_code == 403
    assert [each["kind"] for each in gateway.entries(since=since)] in ([], ["refusal"])
    assert not gateway.gateway.services.state.revocations.stopped


async def test_a_stop_is_asked_for_by_a_form_alone(gateway: Running, adam: Person) -> None:
    for path in ("/go", "/stop/agent/suspend", "/approvals/x/approve"):
        assert (await adam.get(path)).status_code in {404, 405}
    assert not gateway.gateway.services.state.revocations.stopped


async def test_a_person_is_suspended_and_nobody_suspends_themselves(
    gateway: Running, adam: Person
) -> None:
    page = await adam.get("/stop")
    suspended = await adam.send(page, "/stop/user/suspend", name="bob@example.org", reason="left")
    assert "bob@example.org" in suspended.text
    oneself = await adam.send(page, "/stop/user/suspend", name="adam", reason="x")
    assert "operator.self" in oneself.text
    resumed = await adam.send(
        suspended,
        "/stop/user/resume",
        name="bob@example.org",
        reason="back",
        word="bob@example.org",
    )
    assert "bob@example.org" not in resumed.text


@pytest.mark.parametrize("kind", ["everything", "session", "..", "agent/x"])
async def test_another_kind_of_thing_is_refused(adam: Person, kind: str) -> None:
    fields = {"csrf": csrf_of(await adam.get("/stop")), "name": "x", "reason": "x"}
    assert (await adam.post(f"/stop/{kind}/suspend", fields)).status_code in {400, 404, 405}


@pytest.mark.parametrize("word", ["", "yes", "BOB@example.org", "resume"])
async def test_what_is_suspended_is_let_go_by_its_name_alone(
    gateway: Running, adam: Person, word: str
) -> None:
    page = await adam.get("/stop")
    held = await adam.send(page, "/stop/user/suspend", name="bob@example.org", reason="strange")
    back = {"name": "bob@example.org", "reason": "back"}
    refused = await adam.send(held, "/stop/user/resume", **back, word=word)
    assert "type bob@example.org to confirm" in unescape(refused.text).lower()
    assert gateway.gateway.services.state.revocations.suspended("user", "bob@example.org")
    await adam.send(held, "/stop/user/resume", **back, word="bob@example.org")
