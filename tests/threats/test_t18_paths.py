"""T18: a path is allowed where every reader finds it below the root, and nowhere else.

Links in the file system are not the gateway's to see: `under` compares text. A server is given
only the folders it needs, and resolves links itself.
"""

import json

import pytest

from tests.harness.agent import WAYS, Agent
from tests.harness.gateway import Running
from tests.harness.policy import HEAD
from tests.harness.upstream import Desk

pytestmark = pytest.mark.asyncio(loop_scope="module")

POLICY = (
    HEAD
    + """\
tools:
  desk.open: {risk: read, emits: []}
  desk.look: {risk: read, emits: []}
rules:
  - id: opens
    roles: [clerk]
    tools: [desk.open]
    effect: allow
    when: "under(args.path, '/data/reports')"
  - {id: looks, roles: [clerk], tools: [desk.look], effect: allow}
  - id: no-secrets
    roles: [clerk]
    tools: [desk.look]
    effect: deny
    when: "under(args.at, '/data/secret')"
"""
)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "path",
    [
        pytest.param("/data/reports/../../etc/passwd", id="steps-out"),
        pytest.param("/data/reports/x/../../secret", id="steps-out-later"),
        pytest.param("/data/reports/..", id="steps-out-at-the-end"),
        pytest.param("/data/reports/%2e%2e/secret", id="encoded-steps"),
        pytest.param("/data/reports/%2E%2E%2Fsecret", id="encoded-slash"),
        pytest.param("/data/reports/%252e%252e/secret", id="encoded-twice"),
        pytest.param("/data/reports/%u002e%u002e/secret", id="encoded-otherwise"),
        pytest.param("/data/reports/..%00/x", id="encoded-nul"),
        pytest.param("/data/reports-evil/x", id="longer-name"),
        pytest.param("/data/reportsx", id="longer-name-without-a-slash"),
        pytest.param("/data/report", id="shorter-name"),
        pytest.param("data/reports/x", id="relative"),
        pytest.param("../data/reports/x", id="relative-upwards"),
        pytest.param("/../data/reports/../../etc", id="above-the-root"),
        pytest.param("//data/reports/x", id="two-slashes-in-front"),
        pytest.param("\\data\\reports\\x", id="backslashes"),
        pytest.param("/data/reports\\..\\..\\etc", id="backslashes-out"),
        pytest.param("C:\\data\\reports\\x", id="drive"),
        pytest.param("C:/data/reports/x", id="drive-with-slashes"),
        pytest.param("/data/reports/x\x00.txt", id="nul"),
        pytest.param("/data/reports/x\n/../../etc", id="line-end"),
        pytest.param("/data/reports/.../x", id="three-dots"),
        pytest.param("/data/reports/.. /x", id="dots-and-a-blank"),
        pytest.param("/data/reports/\uff0e\uff0e/secret", id="full-width-dots"),
        pytest.param("/data/reports/\u2024\u2024/secret", id="dot-leaders"),
        pytest.param("/data\u2215reports/x", id="division-slash"),
        pytest.param("/data/reports/\u202ex", id="right-to-left"),
        pytest.param("/data/report\u200bs/x", id="invisible-letter"),
        pytest.param("/DATA/REPORTS/x", id="other-case"),
        pytest.param("/data/r\u0435ports/x", id="look-alike-letter"),
        pytest.param("file:///data/reports/x", id="url"),
        pytest.param("~/data/reports/x", id="home"),
        pytest.param("$HOME/data/reports", id="variable"),
        pytest.param("", id="empty"),
        pytest.param(" /data/reports/x", id="blank-in-front"),
    ],
)
async def test_t18_a_path_outside_the_root_is_denied_however_it_is_written(
    gateway: Running, upstream: Desk, clerk: Agent, way: str, path: str
) -> None:
    answered = await clerk.by(way).call("desk.open", path=path)
    assert answered.code == "policy.denied"
    assert upstream.calls == []
    assert gateway.entry(answered.entry)["decision"]["effect"] == "deny"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "path",
    [
        "/data/reports",
        "/data/reports/",
        "/data/reports/2026/may.txt",
        "/data/reports/./x",
        "/data//reports/x",
        "/data/reports/a..b",
        "/data/reports/.hidden",
        "/data/reports/über.txt",
    ],
)
async def test_t18_a_path_below_the_root_arrives_as_it_was_written(
    upstream: Desk, clerk: Agent, way: str, path: str
) -> None:
    assert (await clerk.by(way).call("desk.open", path=path)).done
    assert [call.args for call in upstream.calls] == [{"path": path}]


@pytest.mark.parametrize(
    "path",
    [
        "/data/secret/x",
        "/data/./secret/x",
        "/data//secret",
        "/data/x/../secret/x",
        "/data/%73ecret/x",
        "/DATA/SECRET/x",
        "/data/s\u0435cret/x",
        "/data/\uff53ecret/x",
        "/data/sec\u200bret/x",
        "data/secret",
        "\\data\\secret",
        "/data/secret\x00",
    ],
    ids=json.dumps,
)
async def test_t18_a_denied_root_stays_denied_however_it_is_written(
    upstream: Desk, clerk: Agent, path: str
) -> None:
    assert (await clerk.call("desk.look", at=path)).code == "policy.denied"
    assert upstream.calls == []
    assert (await clerk.call("desk.look", at="/data/open/x")).done
