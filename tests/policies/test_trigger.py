"""Triggers in policies: one cause each, spelled so that it can come, of a flow that is named."""

from datetime import date

import pytest

from policies.compile import compile_snapshot
from policies.errors import PolicyInvalid
from policies.lint import lint
from policies.loader import read_policies
from policies.schedule import is_schedule, last_at, next_after
from policies.snapshot import Snapshot

WORLD = """\
apiVersion: passavant/v1
kind: Policy
name: test
default: deny
users: {default: unrestricted}
agents: {job: {owner: team}}
tools: {s.read: {risk: read, emits: []}}
rules: [{id: reads, agents: [job], tools: [s.read], effect: allow}]
"""


def compiled(trigger: str) -> Snapshot:
    text = f"{WORLD}triggers: {{first: {{{trigger}}}}}\n"
    return compile_snapshot(read_policies([("p.yaml", text.encode())]), None)


@pytest.mark.parametrize(
    "trigger",
    [
        "flow: job, schedule: '0 3 * * *'",
        "flow: job, schedule: '*/5 8-17 * * mon-fri', missed: once, input: {a: 1}",
        "flow: job, webhook: 'env:SECRET', payload: trusted",
        "flow: job, entry: 'kind:outcome tool:bank.pay status:done'",
        "flow: job, entry: 'kind:decision tool:bank.*'",
    ],
)
def test_what_starts_a_flow_is_stated(trigger: str) -> None:
    assert set(compiled(trigger).triggers) == {"first"}


@pytest.mark.parametrize(
    ("trigger", "code"),
    [
        pytest.param("flow: job", "policy.trigger", id="no-cause"),
        pytest.param(
            "flow: job, schedule: '0 3 * * *', entry: 'kind:stop'", "policy.trigger", id="two"
        ),
        pytest.param("flow: job, schedule: '0 3 * *'", "policy.schedule", id="four-fields"),
        pytest.param("flow: job, schedule: '0 0 3 * * *'", "policy.schedule", id="six-fields"),
        pytest.param("flow: job, schedule: '@daily'", "policy.schedule", id="a-word"),
        pytest.param("flow: job, schedule: '61 3 * * *'", "policy.schedule", id="minute-61"),
        pytest.param("flow: job, schedule: '0 3 30 2 *'", "policy.schedule", id="never"),
        pytest.param("flow: job, webhook: hunter2", "policy.spelling", id="a-secret-itself"),
        pytest.param("flow: job, entry: 'tool:bank.pay'", "policy.entry", id="no-kind"),
        pytest.param("flow: job, entry: 'kind:*'", "policy.entry", id="any-kind"),
        pytest.param("flow: job, entry: 'kind:run*'", "policy.entry", id="kinds"),
        pytest.param("flow: job, entry: 'kind:stop word'", "policy.entry", id="a-word-in-it"),
        pytest.param("flow: job, entry: 'kind:stop after:1h'", "policy.entry", id="a-time"),
        pytest.param("flow: job, entry: 'kind:stop colour:red'", "policy.entry", id="no-such"),
        pytest.param(
            "flow: job, webhook: 'env:S', missed: once", "policy.trigger", id="missed-message"
        ),
        pytest.param(
            "flow: job, entry: 'kind:stop', payload: trusted", "policy.trigger", id="trusted-entry"
        ),
        pytest.param("flow: nobody, schedule: '0 3 * * *'", "policy.unknown-agent", id="no-agent"),
    ],
)
def test_what_could_not_be_is_refused(trigger: str, code: str) -> None:
    with pytest.raises(PolicyInvalid) as refused:
        compiled(trigger)
    assert [finding.code for finding in refused.value.findings] == [code]


def test_a_trigger_of_an_agent_that_may_do_nothing_is_a_doubt() -> None:
    idle = WORLD.replace("{job: {owner: team}}", "{job: {owner: team}, idle: {owner: team}}")
    text = f"{idle}triggers: {{first: {{flow: idle, webhook: 'env:S', payload: trusted}}}}\n"
    documents = read_policies([("p.yaml", text.encode())])
    found = [finding.code for finding in lint(documents, today=date(2026, 11, 20))]
    assert {"lint.unused", "lint.trusted-payload"} <= set(found)


def test_moments_are_told_in_utc() -> None:
    noon = 1_790_000_000 // 86_400 * 86_400 + 43_200
    assert last_at("0 12 * * *", noon) == noon
    assert last_at("0 12 * * *", noon - 1) == noon - 86_400
    assert next_after("0 12 * * *", noon) == noon + 86_400
    assert not is_schedule("")
