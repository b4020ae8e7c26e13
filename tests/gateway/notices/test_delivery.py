"""Webhooks: told in order, signed, until they take it, and never what stands in a question."""

import hmac
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import structlog
from pydantic import ValidationError

from audit.canonical import Json
from gateway.errors import CredentialMissing
from gateway.notices import delivery
from gateway.notices.hooks import EVENTS, WebhookSpec
from gateway.notices.message import Secret, body_of
from gateway.notices.notices import KEEP_US, MOST, Notices
from tests.gateway.notices.receiver import Receiver, receiver
from tests.harness.gateway import Running, running
from tests.harness.upstream import desk

KEY = b"k" * 32
SECRET = "whsec_" + b64encode(KEY).decode()


def hooks(folder: Path, *receivers: Receiver, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - settings
    """Settings that tell these receivers."""
    secret = folder / "hook.secret"
    secret.write_text(SECRET)
    told = {
        f"hook-{number}": {"url": each.url, "secret": f"file:{secret}", **more}
        for number, each in enumerate(receivers)
    }
    return {"webhooks": told}


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again at once."""
    monkeypatch.setattr(delivery, "FIRST_S", 0.01)
    monkeypatch.setattr(delivery, "LONGEST_S", 0.02)


async def ready(gateway: Running, count: int = 1) -> None:
    """Wait until every webhook knows from when on it is told."""
    await gateway.until(lambda: len(gateway.entries("webhook.told")) >= count)


async def test_whoever_listens_is_told_of_a_question_and_its_end_and_of_nothing_in_it(
    tmp_path: Path,
) -> None:
    async with (
        receiver() as inbox,
        desk() as upstream,
        running(tmp_path, servers={"desk": upstream}, settings=hooks(tmp_path, inbox)) as gateway,
    ):
        await ready(gateway)
        clerk = await gateway.agent(user="ana")
        asked = await clerk.call("desk.publish", text="the secret recipe")
        await gateway.answer(asked.approval)
        await gateway.until(lambda: len(inbox.came) == 2)
        await gateway.until(lambda: len(gateway.entries("webhook.told")) == 3)
        (question, answer) = inbox.messages
        assert (question["type"], answer["type"]) == ("approval.asked", "approval.decided")
        assert question["data"]["agent"] == clerk.name
        assert question["data"]["tool"] == "desk.publish"
        assert question["data"]["url"].endswith(f"/approvals/{asked.approval}")
        assert answer["data"]["state"] == "approved"
        for _, body in inbox.came:
            for hidden in (b"recipe", b"ana", b"omar", b"seen"):
                assert hidden not in body


async def test_a_message_is_signed_dated_and_has_the_id_of_its_entry(tmp_path: Path) -> None:
    async with (
        receiver() as inbox,
        desk() as upstream,
        running(tmp_path, servers={"desk": upstream}, settings=hooks(tmp_path, inbox)) as gateway,
    ):
        await ready(gateway)
        await (await gateway.agent()).call("desk.publish", text="x")
        await gateway.until(lambda: bool(inbox.came))
        headers, body = inbox.came[0]
        (entry,) = gateway.entries("approval.asked")
        assert headers["webhook-id"] == entry["id"]
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        expected = b64encode(hmac.new(KEY, signed, sha256).digest()).decode()
        assert headers["webhook-signature"] == f"v1,{expected}"
        assert abs(int(headers["webhook-timestamp"]) - gateway.clock() // 1_000_000) < 600


@pytest.mark.parametrize("status", [500, 404, 307, 429])
async def test_what_was_not_taken_is_sent_again_under_the_same_id_and_in_order(
    tmp_path: Path, status: int
) -> None:
    async with (
        receiver() as inbox,
        desk() as upstream,
        running(tmp_path, servers={"desk": upstream}, settings=hooks(tmp_path, inbox)) as gateway,
    ):
        await ready(gateway)
        inbox.answers = [status, status]
        clerk = await gateway.agent()
        await clerk.call("desk.publish", text="1")
        await clerk.call("desk.publish", text="2")
        await gateway.until(lambda: len(inbox.came) == 4)
        ids = [headers["webhook-id"] for headers, _ in inbox.came]
        assert ids[0] == ids[1] == ids[2] != ids[3]


async def test_one_that_is_away_holds_up_nobody_else(tmp_path: Path) -> None:
    async with (
        receiver() as inbox,
        receiver() as away,
        desk() as upstream,
        running(
            tmp_path, servers={"desk": upstream}, settings=hooks(tmp_path, away, inbox)
        ) as gateway,
    ):
        await ready(gateway, 2)
        away.answers = [503] * 100_000
        clerk = await gateway.agent()
        for text in "abc":
            assert (await clerk.call("desk.publish", text=text)).code == "approval.pending"
        await gateway.until(lambda: len(inbox.came) == 3)


async def test_what_is_owed_at_the_end_is_told_after_the_next_start_once(tmp_path: Path) -> None:
    async with receiver() as inbox, desk() as upstream:
        settings = hooks(tmp_path, inbox)
        inbox.answers = [503] * 100_000
        async with running(tmp_path, servers={"desk": upstream}, settings=settings) as gateway:
            await ready(gateway)
            await (await gateway.agent()).call("desk.publish", text="x")
            await gateway.until(lambda: bool(inbox.came))
        inbox.answers.clear()
        inbox.came.clear()
        async with running(tmp_path, servers={"desk": upstream}, settings=settings) as gateway:
            await gateway.until(lambda: bool(inbox.came))
            await ready(gateway, 2)
            (entry,) = gateway.entries("approval.asked")
            assert inbox.came[0][0]["webhook-id"] == entry["id"]
        inbox.came.clear()
        async with running(tmp_path, servers={"desk": upstream}, settings=settings) as gateway:
            await (await gateway.agent()).call("desk.publish", text="y")
            await gateway.until(lambda: bool(inbox.came))
            assert inbox.came[0][0]["webhook-id"] != entry["id"]


async def test_a_webhook_is_told_what_it_asked_for(tmp_path: Path) -> None:
    async with (
        receiver() as inbox,
        desk() as upstream,
        running(
            tmp_path,
            servers={"desk": upstream},
            settings=hooks(tmp_path, inbox, events=["approval.decided"]),
        ) as gateway,
    ):
        await ready(gateway)
        asked = await (await gateway.agent()).call("desk.publish", text="x")
        await gateway.answer(asked.approval, "deny")
        await gateway.until(lambda: bool(inbox.came))
        assert inbox.kinds() == ["approval.decided"]


async def test_a_webhook_leads_nowhere_that_a_link_may_not(tmp_path: Path) -> None:
    settings = hooks(tmp_path, Receiver())
    settings["webhooks"]["hook-0"]["url"] = "http://169.254.169.254/latest"
    with structlog.testing.capture_logs() as said:
        async with (
            desk() as upstream,
            running(tmp_path, servers={"desk": upstream}, settings=settings) as gateway,
        ):
            await ready(gateway)
            await (await gateway.agent()).call("desk.publish", text="x")
            await gateway.until(lambda: any(each["event"] == "webhook.failed" for each in said))
    failed = [each for each in said if each["event"] == "webhook.failed"]
    assert {each["reason"] for each in failed} == {"upstream.address"}


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"url": "ftp://x.example/"}, id="no-http"),
        pytest.param({"url": "https://user:pw@x.example/"}, id="a-password"),
        pytest.param({"url": "https://x.example/#a"}, id="a-fragment"),
        pytest.param({"url": "https://x.example/ y"}, id="a-space"),
        pytest.param({"secret": "whsec_abc"}, id="a-secret-that-is-no-reference"),
        pytest.param({"events": []}, id="of-nothing"),
        pytest.param({"events": ["decision"]}, id="of-calls"),
        pytest.param({"method": "GET"}, id="something-else"),
    ],
)
def test_what_is_no_webhook_is_refused(changes: dict[str, Any]) -> None:
    good = {"url": "https://x.example/hook", "secret": "env:HOOK"}
    assert WebhookSpec.model_validate(good).events == list(EVENTS)
    with pytest.raises(ValidationError):
        WebhookSpec.model_validate({**good, **changes})


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(SECRET.removeprefix("whsec_"), id="no-prefix"),
        pytest.param("whsec_AAAA", id="empty"),
        pytest.param("whsec_" + b64encode(b"k" * 23).decode(), id="short"),
        pytest.param("whsec_" + b64encode(b"k" * 65).decode(), id="long"),
        pytest.param(SECRET[:-1] + "!", id="no-base64"),
    ],
)
def test_what_is_no_secret_is_refused_without_saying_it(text: str) -> None:
    with pytest.raises(CredentialMissing) as caught:
        Secret.read(text)
    assert text not in str(caught.value)


def test_signatures_are_as_the_specification_has_them() -> None:
    """The key, id, time and body of an example of Standard Webhooks, signed by its rule."""
    secret = Secret.read("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    body = b'{"test": 2432232314}'
    headers = secret.headers("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert repr(secret) == "Secret()"


def test_the_time_of_a_message_is_that_of_its_entry() -> None:
    told = body_of("alarm.raised", 1_614_265_330_000_001, {"alarm": "denials"})
    assert told["timestamp"] == "2021-02-25T15:02:10Z"


def test_old_notices_and_too_many_are_forgotten() -> None:
    notices = Notices()
    for index in range(MOST + 10):
        body: dict[str, Json] = {
            "id": f"i{index}",
            "kind": "alarm.raised",
            "ts": index,
            "alarm": "denials",
        }
        notices.noted(body, index)
    notices.forget(0)
    first = notices.next("hook", EVENTS)
    assert first is not None
    assert first.index == 10
    notices.forget(KEEP_US + MOST + 10)
    assert notices.next("hook", EVENTS) is None
    assert {notices.stored(key) is None for key in notices.changed} == {True}


def test_what_was_told_is_not_told_again_whatever_the_order_of_the_log() -> None:
    notices = Notices()
    for index in (3, 5):
        body: dict[str, Json] = {
            "id": f"i{index}",
            "kind": "approval.ended",
            "ts": 1,
            "approval": "a",
        }
        notices.noted({**body, "state": "expired"}, index)
    notices.told({"hook": "a", "through": 3})
    notices.told({"hook": "a", "through": -1})
    again = Notices()
    for key in sorted(notices.changed):
        row = notices.stored(key)
        assert row is not None
        again.restore(key, row)
    for room in (notices, again):
        found = room.next("a", EVENTS)
        assert found is not None
        assert (found.index, found.said) == (5, {"state": "expired"})
