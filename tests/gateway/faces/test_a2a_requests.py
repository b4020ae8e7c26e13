"""A2A: what is no message, no request and no way is refused, recorded, and does nothing."""

import json
from collections.abc import AsyncIterator
from typing import Any, TypeAlias

import pytest
import pytest_asyncio

from tests.gateway.faces.a2a_house import home, raw, rpc, said
from tests.orchestration.house import Agents, House

pytestmark = pytest.mark.asyncio(loop_scope="module")

Shared: TypeAlias = tuple[House, Agents]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shared]:
    async with home(tmp_path_factory.mktemp("a2a")) as found:
        yield found


SENT = {
    "version-missing": (said(), {"a2a-version": ""}, -32009),
    "version-0.3": (said(), {"a2a-version": "0.3"}, -32009),
    "version-2": (said(), {"a2a-version": "2.0"}, -32009),
    "no-message": ({}, {}, -32602),
    "another-sender": (said(role="ROLE_AGENT"), {}, -32602),
    "no-sender": ({"message": {"messageId": "m", "parts": [{"text": "x"}]}}, {}, -32602),
    "no-parts": (said(parts=[]), {}, -32602),
    "two-in-one-part": (said(parts=[{"text": "a", "data": 1}]), {}, -32602),
    "empty-part": (said(parts=[{}]), {}, -32602),
    "a-file": (said(parts=[{"url": "http://169.254.169.254/"}]), {}, -32005),
    "bytes": (said(parts=[{"raw": "AAAA"}]), {}, -32005),
    "unknown-member": (said(sender="bo"), {}, -32602),
    "snake-case": ({"message": {**said()["message"], "message_id": "m"}}, {}, -32602),
    "tenant": ({**said(), "tenant": "other"}, {}, -32602),
    "foreign-context": (said(contextId="somebody-elses"), {}, -32602),
    "foreign-task": (said(taskId="somebody-elses"), {}, -32001),
    "push": (
        {**said(), "configuration": {"taskPushNotificationConfig": {"url": "http://x"}}},
        {},
        -32003,
    ),
}


@pytest.mark.parametrize(
    ("params", "headers", "number"), [pytest.param(*case, id=name) for name, case in SENT.items()]
)
async def test_a_message_that_is_none_does_nothing(
    shared: Shared, params: dict[str, Any], headers: dict[str, str], number: int
) -> None:
    house_, agents = shared
    ada = await house_.gateway.agent("ada")
    before = house_.gateway.refusals(CODES[number])
    answered = await rpc(ada, "echo", "SendMessage", params, **headers)
    assert (answered.rpc, answered.code) == (number, CODES[number])
    assert house_.gateway.refusals(CODES[number]) == before + 1
    assert agents.asked == []


CODES = {
    -32009: "a2a.version",
    -32602: "request.malformed",
    -32005: "a2a.content",
    -32001: "run.unknown",
    -32003: "a2a.unsupported",
}
GOOD = json.dumps(said()).encode()
BODIES = {
    "no-json": (b"{", -32700),
    "batch": (b"[]", -32600),
    "member-twice": (
        b'{"jsonrpc":"2.0","id":1,"method":"SendMessage","method":"GetTask","params":%s}' % GOOD,
        -32700,
    ),
    "notification": (b'{"jsonrpc":"2.0","method":"SendMessage","params":%s}' % GOOD, -32600),
    "unknown-method": (b'{"jsonrpc":"2.0","id":1,"method":"tasks/send","params":{}}', -32601),
    "of-0.3": (b'{"jsonrpc":"2.0","id":1,"method":"message/send","params":{}}', -32601),
    "private": (b'{"jsonrpc":"2.0","id":1,"method":"__init__","params":{}}', -32601),
    "too-deep": (
        b'{"jsonrpc":"2.0","id":1,"method":"SendMessage","params":%s}'
        % (b'{"a":' * 99 + b"1" + b"}" * 99),
        -32700,
    ),
    "push-config": (
        b'{"jsonrpc":"2.0","id":1,"method":"CreateTaskPushNotificationConfig","params":{}}',
        -32003,
    ),
    "extended-card": (
        b'{"jsonrpc":"2.0","id":1,"method":"GetExtendedAgentCard","params":{}}',
        -32007,
    ),
    "no-such-task": (b'{"jsonrpc":"2.0","id":1,"method":"GetTask","params":{"id":"x"}}', -32001),
}


@pytest.mark.parametrize(
    ("body", "number"), [pytest.param(*case, id=name) for name, case in BODIES.items()]
)
async def test_a_request_that_is_none_is_refused_and_recorded(
    shared: Shared, body: bytes, number: int
) -> None:
    house_, agents = shared
    ada = await house_.gateway.agent("ada")
    refused = sum(house_.gateway.gateway.services.refusals.counts.values())
    answered = await raw(ada, "echo", body)
    assert answered.rpc == number
    assert sum(house_.gateway.gateway.services.refusals.counts.values()) == refused + 1
    assert agents.asked == []


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        pytest.param({}, 1, id="all"),
        pytest.param({"status": "TASK_STATE_COMPLETED"}, 1, id="its-state"),
        pytest.param({"status": "TASK_STATE_FAILED"}, 0, id="another-state"),
        pytest.param({"contextId": "somebody-elses"}, 0, id="foreign-context"),
        pytest.param({"statusTimestampAfter": "2001-01-01T00:00:00Z"}, 1, id="since-long"),
        pytest.param({"statusTimestampAfter": "2999-01-01T00:00:00+02:00"}, 0, id="not-yet"),
        pytest.param({"pageToken": "0"}, 0, id="behind-all"),
    ],
)
async def test_tasks_are_listed_as_they_are_asked_for(
    shared: Shared, wanted: dict[str, Any], found: int
) -> None:
    house_, agents = shared
    ada = await house_.gateway.agent("ada")
    await rpc(ada, "echo", "SendMessage", said())
    agents.told.clear()
    answered = await rpc(ada, "echo", "ListTasks", wanted)
    assert len(answered.body["result"]["tasks"]) == found


@pytest.mark.parametrize(
    "wanted",
    [
        {"pageSize": 0},
        {"pageSize": 101},
        {"pageSize": "5"},
        {"pageSize": True},
        {"status": "COMPLETED"},
        {"statusTimestampAfter": "soon"},
        {"statusTimestampAfter": "2026-01-01T00:00:00"},
        {"statusTimestampAfter": 5},
        {"historyLength": -1},
        {"everything": True},
    ],
    ids=str,
)
async def test_a_list_that_cannot_be_is_refused(shared: Shared, wanted: dict[str, Any]) -> None:
    ada = await shared[0].gateway.agent("ada")
    assert (await rpc(ada, "echo", "ListTasks", wanted)).rpc == -32602


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_another_http_method_is_refused(shared: Shared, method: str) -> None:
    ada = await shared[0].gateway.agent("ada")
    response = await ada.http.request(method, f"{ada.url}/a2a/echo", headers=ada._credential())
    assert (response.status_code, response.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize("path", ["/a2a", "/a2a/", "/a2a/echo/", "/a2a/echo/x", "/a2a/Echo"])
async def test_there_is_nothing_beside_the_agents(shared: Shared, path: str) -> None:
    ada = await shared[0].gateway.agent("ada")
    response = await ada.http.post(f"{ada.url}{path}", headers=ada._credential(), content=b"{}")
    assert response.status_code == 404
