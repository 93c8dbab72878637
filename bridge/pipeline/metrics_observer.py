"""Who is told how the loops are doing: metrics, in practice."""

from typing import Protocol

from bridge.delivery.attempt_outcome import Outcome


class Observer(Protocol):
    """Is told; decides nothing, and raises nothing."""

    def poll_finished(self, outcome: str, seconds: float) -> None:
        """A poll ended as ``ok``, ``failed`` or ``held``."""
        ...

    def event_observed(self, event_type: str) -> None:
        """An event was committed."""
        ...

    def delivery_finished(self, sink: str, outcome: Outcome, seconds: float) -> None:
        """An attempt was settled."""
        ...


class Nobody:
    """An observer that looks away."""

    def poll_finished(self, outcome: str, seconds: float) -> None:
        """Look away."""

    def event_observed(self, event_type: str) -> None:
        """Look away."""

    def delivery_finished(self, sink: str, outcome: Outcome, seconds: float) -> None:
        """Look away."""
