from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from gateway.action import Outcome, Status
from gateway.metrics import BUCKETS_S, EFFECTS, Metrics, MetricSources, Scrape

SOURCES = MetricSources(
    refusals={"auth.invalid": 3},
    log=lambda: {"size": 42.0, "writable": 1.0},
    epoch=lambda: 7,
    epoch_age_s=lambda: 1.5,
    confirmed=lambda: True,
    stopped=lambda: False,
    open_approvals=lambda: 2,
    memory=lambda: {"entries": 3},
    alarms=lambda: {"denials": 1},
    links_up=lambda: {"git": True, "ledger": False},
    runs_waiting=lambda: {"crew": (4, 2.5)},
    workers=lambda: 2,
)


def scraped(
    metrics: Metrics, sources: MetricSources = SOURCES
) -> dict[tuple[str, frozenset[str]], float]:
    text = Scrape(metrics, sources).text().decode()
    return {
        (sample.name, frozenset(f"{name}={value}" for name, value in sample.labels.items())): (
            sample.value
        )
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_every_status_has_an_effect() -> None:
    assert set(EFFECTS) == set(get_args(Status))


@pytest.mark.parametrize(
    ("name", "labels", "value"),
    [
        ("passavant_calls_total", {"effect=allow", "status=done"}, 2),
        ("passavant_calls_total", {"effect=deny", "status=denied"}, 1),
        ("passavant_calls_total", {"effect=ask", "status=pending"}, 1),
        ("passavant_calls_joined_total", set(), 5),
        ("passavant_refusals_total", {"code=auth.invalid"}, 3),
        ("passavant_epoch", set(), 7),
        ("passavant_epoch_age_seconds", set(), 1.5),
        ("passavant_approvals_open", set(), 2),
        ("passavant_memory_entries", set(), 3),
        ("passavant_alarms_total", {"alarm=denials"}, 1),
        ("passavant_link_up", {"server=git"}, 1),
        ("passavant_link_up", {"server=ledger"}, 0),
        ("passavant_runs_waiting", {"pool=crew"}, 4),
        ("passavant_runs_waiting_seconds", {"pool=crew"}, 2.5),
        ("passavant_runs_workers", set(), 2),
        ("passavant_log_size", set(), 42),
        ("passavant_log_writable", set(), 1),
        ("passavant_call_duration_seconds_count", set(), 4),
    ],
)
def test_a_scrape_tells_what_was_counted(name: str, labels: set[str], value: float) -> None:
    metrics = Metrics(joined=5)
    statuses: list[Status] = ["done", "done", "denied", "pending"]
    for status in statuses:
        metrics.crossed(Outcome(status, None, ""), 1_000_000)
    assert scraped(metrics)[name, frozenset(labels)] == value


def test_a_gateway_that_has_done_nothing_can_be_scraped() -> None:
    assert scraped(Metrics())["passavant_call_duration_seconds_count", frozenset()] == 0


@given(st.lists(st.integers(0, 100_000_000_000), max_size=50))
def test_each_bucket_counts_what_took_no_longer(elapsed: list[int]) -> None:
    metrics = Metrics()
    for ns in elapsed:
        metrics.crossed(Outcome("done", None, ""), ns)
    found = scraped(metrics)
    name = "passavant_call_duration_seconds_bucket"
    for bound in BUCKETS_S:
        expected = sum(ns / 1e9 <= bound for ns in elapsed)
        assert found[name, frozenset({f"le={bound}"})] == expected
    assert found[name, frozenset({"le=+Inf"})] == len(elapsed)


def test_nothing_an_agent_says_becomes_a_label() -> None:
    metrics = Metrics()
    metrics.crossed(Outcome("denied", "limit:planted", "planted", {"planted": 1}), 1)
    assert b"planted" not in Scrape(metrics, SOURCES).text()
