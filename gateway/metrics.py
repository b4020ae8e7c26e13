"""Metrics: what the gateway counts, as plain numbers, and their Prometheus form on demand.

Counting is an addition on the path of a call; names, labels and text are made only when somebody
scrapes. Labels hold effects, codes and server names from the configuration, never a word of a
caller.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from gateway.action import Outcome, Status

EFFECTS: Mapping[Status, str] = {
    "done": "allow",
    "error": "allow",
    "unknown": "allow",
    "pending": "ask",
    "denied": "deny",
    "refused": "none",
    "unavailable": "none",
}
"""What became of a call, by the status it ended with: forwarded, asked about, denied, or nothing
of them because it was wrong in itself or a part was missing."""

BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)


@dataclass(slots=True)
class Metrics:
    """Counters of the crossing, since start."""

    calls: dict[Status, int] = field(default_factory=dict)  # by status of the outcome
    joined: int = 0
    durations: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS_S) + 1))
    duration_sum_s: float = 0.0

    def crossed(self, outcome: Outcome, elapsed_ns: int) -> None:
        """Count one call; `elapsed_ns` from its arrival at the gate to its answer."""
        self.calls[outcome.status] = self.calls.get(outcome.status, 0) + 1
        elapsed_s = elapsed_ns / 1e9
        self.durations[bisect_left(BUCKETS_S, elapsed_s)] += 1
        self.duration_sum_s += elapsed_s


@dataclass(frozen=True, slots=True)
class MetricSources:
    """Where the numbers of other rooms are read at each scrape."""

    refusals: Mapping[str, int]  # by code
    log: Callable[[], Mapping[str, float]]  # see `audit.log.Log.stats`
    epoch: Callable[[], int]
    epoch_age_s: Callable[[], float]  # since something was last revoked, stopped or activated
    confirmed: Callable[[], bool]  # nothing can be missing in the epoch
    stopped: Callable[[], bool]  # everything is
    open_approvals: Callable[[], int]
    alarms: Callable[[], Mapping[str, int]]  # by kind
    memory: Callable[[], Mapping[str, int]]  # see `gateway.memory.items.Items.stats`
    links_up: Callable[[], Mapping[str, bool]]  # by server
    runs_waiting: Callable[[], Mapping[str, tuple[int, float]]]  # by pool; the oldest, in seconds
    workers: Callable[[], int]


class Scrape(Collector):
    """Makes the Prometheus families out of the counted numbers."""

    def __init__(self, metrics: Metrics, sources: MetricSources) -> None:
        self._metrics = metrics
        self._sources = sources

    def text(self) -> bytes:
        """The exposition format, version 0.0.4."""
        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)
        return generate_latest(registry)

    def collect(self) -> Iterator[Metric]:
        """All families, read now."""
        yield self._calls()
        yield self._durations()
        yield self._refusals()
        yield CounterMetricFamily(
            "passavant_calls_joined",
            "Resent calls that were given the first one's answer.",
            value=self._metrics.joined,
        )
        yield GaugeMetricFamily(
            "passavant_epoch", "Raised by every revocation.", value=self._sources.epoch()
        )
        yield GaugeMetricFamily(
            "passavant_epoch_age_seconds",
            "Since something was last revoked, stopped or activated.",
            value=self._sources.epoch_age_s(),
        )
        yield GaugeMetricFamily(
            "passavant_epoch_confirmed",
            "Whether it is known what was revoked; else every call is refused.",
            value=self._sources.confirmed(),
        )
        yield GaugeMetricFamily(
            "passavant_stopped", "Whether everything is stopped.", value=self._sources.stopped()
        )
        yield GaugeMetricFamily(
            "passavant_approvals_open",
            "Requests that wait for people.",
            value=self._sources.open_approvals(),
        )
        yield self._alarms()
        yield self._links()
        yield from self._pools()
        for name, count in self._sources.memory().items():
            yield GaugeMetricFamily(
                f"passavant_memory_{name}", "What agents remember, all together.", value=count
            )
        for name, value in self._sources.log().items():
            yield GaugeMetricFamily(f"passavant_log_{name}", "State of the log.", value=value)

    def _calls(self) -> Metric:
        family = CounterMetricFamily(
            "passavant_calls",
            "Calls at the gate, by what became of them.",
            labels=["effect", "status"],
        )
        for status, count in sorted(self._metrics.calls.items()):
            family.add_metric([EFFECTS[status], status], count)
        return family

    def _refusals(self) -> Metric:
        family = CounterMetricFamily(
            "passavant_refusals", "Requests that were no action, by code.", labels=["code"]
        )
        for code, count in sorted(self._sources.refusals.items()):
            family.add_metric([code], count)
        return family

    def _alarms(self) -> Metric:
        family = CounterMetricFamily(
            "passavant_alarms", "What guards have noticed, by kind.", labels=["alarm"]
        )
        for kind, count in sorted(self._sources.alarms().items()):
            family.add_metric([kind], count)
        return family

    def _pools(self) -> Iterator[Metric]:
        waiting = GaugeMetricFamily(
            "passavant_runs_waiting", "Runs that no worker has yet.", labels=["pool"]
        )
        seconds = GaugeMetricFamily(
            "passavant_runs_waiting_seconds", "How long the oldest has waited.", labels=["pool"]
        )
        for pool, (runs, oldest_s) in sorted(self._sources.runs_waiting().items()):
            waiting.add_metric([pool], runs)
            seconds.add_metric([pool], oldest_s)
        yield waiting
        yield seconds
        yield GaugeMetricFamily(
            "passavant_runs_workers", "Workers that are there.", value=self._sources.workers()
        )

    def _links(self) -> Metric:
        family = GaugeMetricFamily(
            "passavant_link_up", "Whether an upstream is reached.", labels=["server"]
        )
        for server, is_up in sorted(self._sources.links_up().items()):
            family.add_metric([server], float(is_up))
        return family

    def _durations(self) -> Metric:
        family = HistogramMetricFamily(
            "passavant_call_duration_seconds", "From the arrival at the gate to the answer."
        )
        running, buckets = 0, []
        for bound, count in zip(
            (*map(str, BUCKETS_S), "+Inf"), self._metrics.durations, strict=True
        ):
            running += count
            buckets.append((bound, float(running)))
        family.add_metric([], buckets, sum_value=self._metrics.duration_sum_s)
        return family
