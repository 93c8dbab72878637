"""Metrics that are computed from the state at each scrape: polls, the outbox, sink states."""

from collections.abc import Callable, Iterable, Mapping

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from bridge.delivery.sink_state import RUNNING, WORDS, Condition
from bridge.governance.direct_transition import DirectStatus
from bridge.governance.transition_request import RequestStatus
from bridge.pipeline.clocks import Clock
from bridge.store.state_metadata import GovernanceSummary, PollRecord, ReconcileRecord, SinkSummary

Summaries = Callable[[], Mapping[str, SinkSummary]]
Conditions = Callable[[], Mapping[str, Condition]]
PREFIX = "mlflow_bridge"
"""The prefix of all metric names."""


class Polls(Collector):
    """Gauges about the last poll and the last full scan, including those before a restart."""

    def __init__(self, polls: Callable[[], tuple[PollRecord | None, ReconcileRecord | None]]) -> None:
        """Call ``polls`` at every scrape."""
        self._polls = polls

    def collect(self) -> Iterable[Metric]:
        """Yield the gauges; a gauge has no value before the first poll or scan."""
        last, scan = self._polls()
        yield GaugeMetricFamily(
            f"{PREFIX}_last_successful_poll_timestamp_seconds",
            "When a poll last observed the registry; 0: never.",
            value=(last.succeeded_at or 0) / 1000 if last else 0,
        )
        yield GaugeMetricFamily(
            f"{PREFIX}_registry_up",
            "Whether the last poll got from the registry what it asked for.",
            value=_value(None if last is None else last.outcome != "failed"),
        )
        yield GaugeMetricFamily(
            f"{PREFIX}_poll_held",
            "Whether changes are held back until an operator accepts them.",
            value=_value(None if last is None else bool(last.held_digest)),
        )
        yield GaugeMetricFamily(
            f"{PREFIX}_reconcile_failed",
            "Whether the last full scan failed.",
            value=_value(None if scan is None else not (scan.went_well or scan.unfinished)),
        )

    def describe(self) -> Iterable[Metric]:
        """Return no descriptions: the metrics are known only at a scrape."""
        return []


def _value(holds: bool | None) -> float | None:  # noqa: FBT001 - a predicate
    return None if holds is None else float(holds)


class Governance(Collector):
    """Gauges about transition requests and direct transitions."""

    def __init__(self, summary: Callable[[], GovernanceSummary], clock: Clock) -> None:
        """Call ``summary`` at every scrape."""
        self._summary = summary
        self._clock = clock

    def collect(self) -> Iterable[Metric]:
        """Yield the gauges."""
        summary = self._summary()
        requests = GaugeMetricFamily(
            f"{PREFIX}_requests", "Transition requests by status.", labels=["status"]
        )
        for request in RequestStatus:
            requests.add_metric([request.value], summary.requests.get(request.value, 0))
        yield requests
        direct = GaugeMetricFamily(
            f"{PREFIX}_direct_transitions",
            "Transitions past enforcing gates, by what became of them.",
            labels=["status"],
        )
        for status in DirectStatus:
            direct.add_metric([status.value], summary.direct.get(status.value, 0))
        yield direct
        since = summary.oldest_pending_at
        yield GaugeMetricFamily(
            f"{PREFIX}_oldest_request_age_seconds",
            "Age of the request that waits longest for a decision; 0: none waits.",
            value=0 if since is None else max(0, self._clock.now_ms() - since) / 1000,
        )

    def describe(self) -> Iterable[Metric]:
        """Return no descriptions: the metrics are known only at a scrape."""
        return []


class Outbox(Collector):
    """Gauges about the outbox and the states of the sinks."""

    def __init__(self, summaries: Summaries, conditions: Conditions, clock: Clock) -> None:
        """Call ``summaries`` and ``conditions`` at every scrape."""
        self._summaries = summaries
        self._conditions = conditions
        self._clock = clock

    def collect(self) -> Iterable[Metric]:
        """Return the gauges."""
        entries = GaugeMetricFamily(
            f"{PREFIX}_outbox_entries", "Entries by sink and status.", labels=["sink", "status"]
        )
        age = GaugeMetricFamily(
            f"{PREFIX}_outbox_oldest_age_seconds", "Age of the oldest pending entry.", labels=["sink"]
        )
        standing = GaugeMetricFamily(
            f"{PREFIX}_sink_condition", "How a sink stands: 1 for what it is.", labels=["sink", "condition"]
        )
        conditions = self._conditions()
        now_ms = self._clock.now_ms()
        for sink, summary in self._summaries().items():
            for status in ("pending", "delivered", "dead"):
                entries.add_metric([sink, status], getattr(summary, status))
            for word in WORDS:
                standing.add_metric([sink, word], conditions.get(sink, RUNNING).word == word)
            oldest = summary.oldest_pending_at
            age.add_metric([sink], 0 if oldest is None else max(0, now_ms - oldest) / 1000)
        return [entries, age, standing]

    def describe(self) -> Iterable[Metric]:
        """Return no descriptions: the metrics are known only at a scrape."""
        return []
