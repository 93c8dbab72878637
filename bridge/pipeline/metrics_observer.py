"""The observer that the loops report to (in practice, the metrics)."""

from typing import Protocol

from bridge.delivery.attempt_outcome import Outcome


class Observer(Protocol):
    """Receives reports; it decides nothing and must not raise."""

    def poll_finished(self, outcome: str, seconds: float) -> None:
        """A poll ended as ``ok``, ``failed`` or ``held``."""
        ...

    def event_observed(self, event_type: str) -> None:
        """An event was committed."""
        ...

    def gate_judged(self, gate: str, verdict: str) -> None:
        """A gate found ``passed``, ``failed`` or ``inconclusive``."""
        ...

    def delivery_finished(self, sink: str, outcome: Outcome, seconds: float) -> None:
        """An attempt was settled."""
        ...


class NullObserver:
    """An observer that ignores all reports."""

    def poll_finished(self, outcome: str, seconds: float) -> None:
        """Ignore the report."""

    def event_observed(self, event_type: str) -> None:
        """Ignore the report."""

    def gate_judged(self, gate: str, verdict: str) -> None:
        """Ignore the report."""

    def delivery_finished(self, sink: str, outcome: Outcome, seconds: float) -> None:
        """Ignore the report."""
