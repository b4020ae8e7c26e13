from dataclasses import replace
from pathlib import Path

import pytest

from gateway import attempt
from gateway.attempt import sees
from gateway.catalogue.tools import Catalogue
from gateway.principal import Principal
from gateway.world import World
from policies.compile import compile_snapshot
from policies.loader import load_policies, read_policies
from policies.starter import starter

NOW = 1_795_000_000_000_000
ENDED, LASTING = "2020-01-31", "2999-01-01"


@pytest.fixture
def world(tmp_path: Path) -> World:
    for name, content in starter("/repo").items():
        (tmp_path / name).write_bytes(content)
    documents = load_policies([tmp_path / "starter.policy.yaml"])
    return World(compile_snapshot(documents, None), Catalogue({}, ""), ())


def caller(agent: str = "clerk", scopes: tuple[str, ...] = ("*",)) -> Principal:
    return Principal(
        agent=agent,
        user=None,
        user_groups=frozenset(),
        chain=(),
        session="s",
        scopes=scopes,
        hops=0,
        token_id="t",
        issued=0,
        expires=1,
    )


@pytest.mark.parametrize(
    ("who", "tool", "expected"),
    [
        pytest.param(caller(), "git.git_log", True, id="allowed"),
        pytest.param(caller(), "git.git_reset", False, id="never"),
        pytest.param(caller("stranger"), "git.git_log", False, id="unknown-agent"),
        pytest.param(caller(scopes=("time.*",)), "git.git_log", False, id="not-in-its-token"),
        pytest.param(caller(), "git.unheard_of", False, id="unknown-tool"),
    ],
)
def test_what_a_caller_sees_stays_so_in_one_world(
    world: World, who: Principal, tool: str, *, expected: bool
) -> None:
    sees(world, caller(), "git.git_log", NOW)  # another's answer is not taken for this one's
    assert [sees(world, who, tool, NOW) for _ in range(3)] == [expected] * 3


@pytest.mark.parametrize(
    ("until", "chain", "expected"),
    [
        pytest.param(LASTING, (), True, id="registered"),
        pytest.param(ENDED, (), False, id="ended"),
        pytest.param(LASTING, ("late",), False, id="ended-behind-it"),
    ],
)
def test_a_caller_sees_nothing_once_a_registration_of_its_chain_has_ended(
    until: str, chain: tuple[str, ...], *, expected: bool
) -> None:
    agents = (
        f"clerk: {{roles: [reader], until: {until}}}, late: {{roles: [reader], until: {ENDED}}}"
    )
    policy = f"""\
apiVersion: passavant/v1
kind: Policy
name: ends
default: deny
users: {{default: unrestricted}}
agents: {{{agents}}}
tools:
  git.git_log: {{risk: read, emits: []}}
rules:
  - {{id: reads, roles: [reader], tools: [git.git_log], effect: allow}}
delegation:
  edges:
    - {{id: hands, from: late, to: clerk, tools: [git.git_log]}}
"""
    documents = read_policies([("ends.policy.yaml", policy.encode())])
    world = World(compile_snapshot(documents, None), Catalogue({}, ""), ())
    who = replace(caller(), chain=chain)
    assert sees(world, who, "git.git_log", 0), "long before"
    assert sees(world, who, "git.git_log", NOW) is expected


def test_a_world_does_not_remember_without_end(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempt, "MOST_SEEN", 10)
    for number in range(100):
        assert not sees(world, caller(), f"git.tool_{number}", NOW)
        assert len(world.seen) <= 10
