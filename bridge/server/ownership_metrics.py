"""Metrics of a bridge that shares its state with others: whether it owns the state, and how surely."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Gauge, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from bridge import __version__
from bridge.server.state_metrics import PREFIX


@dataclass(frozen=True, slots=True)
class OwnershipFigures:
    """Whether this bridge owns the state, for how many seconds its lease is trusted, and how many commits were refused."""

    is_owner: bool
    lease_remaining_s: float
    commits_refused: int


class Ownership(Collector):
    """The figures of a bridge that shares its state."""

    def __init__(self, figures: Callable[[], OwnershipFigures]) -> None:
        """Call ``figures`` at every scrape."""
        self._figures = figures

    def collect(self) -> Iterable[Metric]:
        """Yield the metrics."""
        found = self._figures()
        yield GaugeMetricFamily(
            f"{PREFIX}_is_owner",
            "Whether this bridge owns the state, and works.",
            value=float(found.is_owner),
        )
        yield GaugeMetricFamily(
            f"{PREFIX}_lease_remaining_seconds",
            "For how long this bridge can count on its lease.",
            value=max(0.0, found.lease_remaining_s),
        )
        yield CounterMetricFamily(
            f"{PREFIX}_commits_refused",
            "Commits that the database refused, because another bridge owned the state.",
            value=found.commits_refused,
        )

    def describe(self) -> Iterable[Metric]:
        """Return no descriptions: the metrics are known only at a scrape."""
        return []


class StandbyMetrics:
    """The metrics of a bridge that stands by: those of the state come from its owner alone, or sums would count them twice."""

    def __init__(self, figures: Callable[[], OwnershipFigures]) -> None:
        """Call ``figures`` at every scrape."""
        self._registry = CollectorRegistry()
        build = Gauge(
            "build_info", "The running version.", ["version"], namespace=PREFIX, registry=self._registry
        )
        build.labels(__version__).set(1)
        self._registry.register(Ownership(figures))
        ProcessCollector(namespace=PREFIX, registry=self._registry)

    def render(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self._registry)
