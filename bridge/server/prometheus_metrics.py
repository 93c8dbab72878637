"""The Prometheus metrics of the bridge. Model names are not used as labels, as their number is unbounded."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from bridge import __version__
from bridge.config import TlsSettings
from bridge.delivery.attempt_outcome import Outcome, Reason, Verdict
from bridge.pipeline.clocks import Clock
from bridge.server.certificate_expiry_metrics import Certificates
from bridge.server.ownership_metrics import Ownership, OwnershipFigures
from bridge.server.state_metrics import PREFIX, Conditions, Governance, Outbox, Polls, Summaries
from bridge.store.state_metadata import GovernanceSummary, PollRecord, ReconcileRecord

_ALERTED = (Reason.MISCONFIGURED, Reason.UNSUCCESSFUL, Reason.SECRET, Reason.TLS)
"""Counted from zero for every sink: Prometheus sees no increase in a series that begins at one."""


def _no_polls() -> tuple[PollRecord | None, ReconcileRecord | None]:
    return None, None


class Metrics:
    """The `bridge.pipeline.metrics_observer.Observer` that updates Prometheus metrics."""

    def __init__(
        self,
        summaries: Summaries,
        conditions: Conditions,
        clock: Clock,
        *,
        polls: Callable[[], tuple[PollRecord | None, ReconcileRecord | None]] = _no_polls,
        tls: Callable[[], Mapping[str, TlsSettings]] = dict,
        governance: Callable[[], GovernanceSummary] = GovernanceSummary,
        ownership: Callable[[], OwnershipFigures] | None = None,
    ) -> None:
        """Create the metrics; all arguments except ``clock`` are called at every scrape.

        Args:
            summaries: the outbox summary of each sink.
            conditions: the state of each sink, if it is not running.
            clock: the time.
            polls: the last poll and the last full scan in the state.
            tls: the TLS settings of each sink.
            governance: the transition requests and direct transitions in numbers.
            ownership: whether this bridge owns a state that it shares; None: it shares none.
        """
        self.registry = CollectorRegistry()
        self._summaries = summaries
        self._counted: set[str] = set()
        here: dict[str, Any] = {"namespace": PREFIX, "registry": self.registry}
        self._polls = Counter("polls", "Polls by outcome.", ["outcome"], **here)
        self._poll_seconds = Histogram("poll_duration_seconds", "How long polls took.", **here)
        self._events = Counter("events", "Events observed, by type.", ["type"], **here)
        self._deliveries = Counter("deliveries", "Attempts by sink and outcome.", ["sink", "outcome"], **here)
        self._failures = Counter(
            "delivery_failures",
            "Attempts that did not deliver, by sink and reason.",
            ["sink", "reason"],
            **here,
        )
        self._delivery_seconds = Histogram(
            "delivery_duration_seconds", "How long attempts took.", ["sink"], **here
        )
        self._verdicts = Counter("gate_verdicts", "Verdicts by gate.", ["gate", "verdict"], **here)
        build = Gauge("build_info", "The running version.", ["version"], **here)
        build.labels(__version__).set(1)
        self.registry.register(Polls(polls))
        self.registry.register(Outbox(summaries, conditions, clock))
        self.registry.register(Certificates(tls))
        self.registry.register(Governance(governance, clock))
        if ownership is not None:
            self.registry.register(Ownership(ownership))
        ProcessCollector(**here)

    def poll_finished(self, outcome: str, seconds: float) -> None:
        """Count a poll."""
        self._polls.labels(outcome).inc()
        self._poll_seconds.observe(seconds)

    def event_observed(self, event_type: str) -> None:
        """Count an event."""
        self._events.labels(event_type).inc()

    def gate_judged(self, gate: str, verdict: str) -> None:
        """Count a verdict."""
        self._verdicts.labels(gate, verdict).inc()

    def delivery_finished(self, sink: str, outcome: Outcome, seconds: float) -> None:
        """Count an attempt."""
        self._counted.add(sink)
        self._deliveries.labels(sink, outcome.verdict.value).inc()
        self._delivery_seconds.labels(sink).observe(seconds)
        if outcome.verdict is not Verdict.DELIVERED:
            self._failures.labels(sink, outcome.reason.value).inc()

    def render(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        present = self._summaries().keys()
        for sink in present:
            for reason in _ALERTED:
                self._failures.labels(sink, reason.value)
        for sink in self._counted - present:
            self._forget(sink)
        self._counted = set(present)
        return generate_latest(self.registry)

    def _forget(self, sink: str) -> None:
        """Remove the series of a sink that is gone: webhooks come and go while the daemon runs."""
        series: list[tuple[Counter | Histogram, tuple[str, ...]]] = [(self._delivery_seconds, (sink,))]
        series += [(self._deliveries, (sink, verdict.value)) for verdict in Verdict]
        series += [(self._failures, (sink, reason.value)) for reason in Reason]
        for metric, labels in series:
            with suppress(KeyError):  # prometheus-client 0.20 raises it where there is no such series
                metric.remove(*labels)
