"""The Prometheus metrics of the contract. No model names in labels: they are unbounded."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from bridge import __version__
from bridge.delivery.condition import RUNNING, WORDS, Condition
from bridge.delivery.outcome import Verdict
from bridge.pipeline.clock import Clock
from bridge.store.values import SinkSummary

Summaries = Callable[[], Mapping[str, SinkSummary]]
Conditions = Callable[[], Mapping[str, Condition]]
_PREFIX = "mlflow_bridge"


class Metrics:
    """`bridge.pipeline.observer.Observer` that counts."""

    def __init__(self, summaries: Summaries, conditions: Conditions, clock: Clock) -> None:
        """Start at zero; ``summaries`` and ``conditions`` are asked at every scrape."""
        self.registry = CollectorRegistry()
        self._clock = clock
        here: dict[str, Any] = {"namespace": _PREFIX, "registry": self.registry}
        self._polls = Counter("polls", "Polls by outcome.", ["outcome"], **here)
        self._poll_seconds = Histogram("poll_duration_seconds", "How long polls took.", **here)
        self._last_poll = Gauge(
            "last_successful_poll_timestamp_seconds", "When a poll last succeeded.", **here
        )
        self._events = Counter("events", "Events observed, by type.", ["type"], **here)
        self._deliveries = Counter("deliveries", "Attempts by sink and outcome.", ["sink", "outcome"], **here)
        self._delivery_seconds = Histogram(
            "delivery_duration_seconds", "How long attempts took.", ["sink"], **here
        )
        build = Gauge("build_info", "The running version.", ["version"], **here)
        build.labels(__version__).set(1)
        self.registry.register(_Outbox(summaries, conditions, clock))

    def poll_finished(self, outcome: str, seconds: float) -> None:
        """Count a poll."""
        self._polls.labels(outcome).inc()
        self._poll_seconds.observe(seconds)
        if outcome == "ok":
            self._last_poll.set(self._clock.now_ms() / 1000)

    def event_observed(self, event_type: str) -> None:
        """Count an event."""
        self._events.labels(event_type).inc()

    def delivery_finished(self, sink: str, verdict: Verdict, seconds: float) -> None:
        """Count an attempt."""
        self._deliveries.labels(sink, verdict.value).inc()
        self._delivery_seconds.labels(sink).observe(seconds)

    def render(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self.registry)


class _Outbox(Collector):
    """Reads the outbox when it is scraped, so that a gauge can't drift from the state."""

    def __init__(self, summaries: Summaries, conditions: Conditions, clock: Clock) -> None:
        self._summaries = summaries
        self._conditions = conditions
        self._clock = clock

    def collect(self) -> Iterable[Metric]:
        entries = GaugeMetricFamily(
            f"{_PREFIX}_outbox_entries", "Entries by sink and status.", labels=["sink", "status"]
        )
        age = GaugeMetricFamily(
            f"{_PREFIX}_outbox_oldest_age_seconds", "Age of the oldest pending entry.", labels=["sink"]
        )
        standing = GaugeMetricFamily(
            f"{_PREFIX}_sink_condition", "How a sink stands: 1 for what it is.", labels=["sink", "condition"]
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
        return []
