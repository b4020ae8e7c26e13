"""T12: what no policy names is refused, and cannot be seen either."""

from pathlib import Path

import pytest

from gateway.errors import ActivationRefused
from policies.errors import PolicyInvalid
from tests.harness.agent import MODERN, WAYS, Agent
from tests.harness.gateway import Running, running
from tests.harness.policy import HEAD
from tests.harness.upstream import Desk, desk

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOTHING = HEAD + "tools:\n  desk.look: {risk: read, emits: []}\n"
NEXT = NOTHING.count("\n") + 1  # the first line after it
NAMED = {"desk__pay", "desk__open", "desk__fetch", "desk__send", "desk__look", "desk__publish"}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("tool", "rules"),
    [
        pytest.param("desk.hidden", ["tool:unknown"], id="listed-by-the-server-alone"),
        pytest.param("desk.wipe", [], id="listed-in-the-policy-without-a-rule"),
        pytest.param("desk.invented", ["tool:unknown"], id="listed-by-nobody"),
        pytest.param("elsewhere.look", ["tool:unknown"], id="of-a-server-that-is-not-there"),
    ],
)
async def test_t12_an_unlisted_tool_called_by_name_is_denied_with_its_reason_recorded(
    gateway: Running, upstream: Desk, clerk: Agent, way: str, tool: str, rules: list[str]
) -> None:
    answered = await clerk.by(way).call(tool, what="everything")
    assert answered.code == "policy.denied"
    assert upstream.calls == []
    entry = gateway.entry(answered.entry)
    assert (entry["decision"]["effect"], entry["decision"]["rules"]) == ("deny", rules)
    assert entry["tool"]["name"] == tool


@pytest.mark.parametrize("way", WAYS)
async def test_t12_the_list_shows_what_some_rule_could_allow_and_nothing_else(
    clerk: Agent, way: str
) -> None:
    assert await clerk.by(way).names() == NAMED


@pytest.mark.parametrize("way", WAYS)
async def test_t12_an_agent_that_no_rule_names_sees_and_does_nothing(
    gateway: Running, upstream: Desk, way: str
) -> None:
    idle = await gateway.agent("idle", way=way)
    assert await idle.names() == set()
    assert (await idle.call("desk.look", at="the till")).code == "policy.denied"
    assert upstream.calls == []


async def test_t12_an_agent_that_the_policy_does_not_name_gets_no_credential(
    gateway: Running,
) -> None:
    refused = await gateway.operate("POST", "/api/tokens", {"agent": "stranger"}, check=False)
    assert (refused.status_code, refused.json()["code"]) == (404, "operator.unknown")


async def test_t12_an_agent_struck_off_the_policy_is_denied_with_the_token_it_has(
    tmp_path: Path,
) -> None:
    async with desk() as upstream, running(tmp_path, servers={"desk": upstream}) as gateway:
        clerk = await gateway.agent("clerk-7")
        assert (await clerk.call("desk.look")).done
        without = gateway.policy.read_text().replace(
            "  clerk-7: {roles: [clerk], owner: team}\n", ""
        )
        assert (await gateway.apply(without)).is_success
        answered = await clerk.call("desk.look")
        assert answered.code == "policy.denied"
        assert gateway.entry(answered.entry)["decision"]["rules"] == ["agent:unknown"]
        assert len(upstream.calls) == 1


@pytest.mark.parametrize("way", WAYS)
async def test_t12_under_a_policy_without_rules_everything_is_denied(
    tmp_path: Path, way: str
) -> None:
    async with desk() as upstream, running(tmp_path, NOTHING, {"desk": upstream}) as gateway:
        clerk = await gateway.agent(way=way)
        assert await clerk.names() == set()
        for tool in ("desk.look", "desk.pay", "desk.hidden"):
            assert (await clerk.call(tool)).code == "policy.denied"
        assert upstream.calls == []


@pytest.mark.parametrize(
    ("policy", "where"),
    [
        pytest.param("", "desk.policy.yaml", id="empty"),
        pytest.param("# nothing\n", "desk.policy.yaml", id="comment-only"),
        pytest.param("rules: [", "desk.policy.yaml:2:", id="broken"),
        pytest.param(
            HEAD.replace("default: deny", "default: allow"),
            "desk.policy.yaml:4",
            id="default-allow",
        ),
        pytest.param(HEAD.replace("default: deny\n", ""), "desk.policy.yaml", id="no-default"),
        pytest.param(
            NOTHING + "  desk.invented: {risk: read}\n",
            f"desk.policy.yaml:{NEXT}:",
            id="unknown-tool",
        ),
        pytest.param(
            NOTHING + "rules:\n  - {id: r, roles: [clerk], tools: ['*'], effect: allow}\n",
            f"desk.policy.yaml:{NEXT + 1}:",
            id="wildcard-allow",
        ),
        pytest.param(NOTHING + "tolls: {}\n", f"desk.policy.yaml:{NEXT}:", id="unknown-block"),
    ],
)
async def test_t12_a_policy_that_does_not_say_deny_by_default_and_mean_it_refuses_the_start(
    tmp_path: Path, policy: str, where: str
) -> None:
    async with desk() as upstream:
        with pytest.raises(PolicyInvalid) as refused:
            async with running(tmp_path, policy, {"desk": upstream}):
                pytest.fail("it started")
    assert where in str(refused.value)


async def test_t12_a_policy_that_is_not_there_refuses_the_start_and_names_the_file(
    tmp_path: Path,
) -> None:
    missing = tmp_path / "elsewhere.yaml"
    with pytest.raises(ActivationRefused, match=r"elsewhere\.yaml"):
        async with running(tmp_path, settings={"policy": [str(missing)]}):
            pytest.fail("it started")


async def test_t12_a_new_tool_of_a_known_server_stays_unseen_until_a_person_accepts_it(
    tmp_path: Path,
) -> None:
    async with desk() as upstream, running(tmp_path, servers={"desk": upstream}) as gateway:
        clerk = await gateway.agent(way=MODERN)
        upstream.offer(*upstream.tools, {"name": "brand_new", "inputSchema": {"type": "object"}})
        assert "desk__brand_new" not in await clerk.names()
        assert (await clerk.call("desk.brand_new")).code == "policy.denied"
        assert upstream.calls == []
