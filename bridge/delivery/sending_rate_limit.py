"""The sending rate limit of each sink: when it may be attempted, and by how many lanes at once. Pure.

Times are seconds of a monotonic clock.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from bridge.delivery.sink_state import RUNNING, Condition, Standing, remaining_ms


@dataclass(frozen=True, slots=True)
class Terms:
    """The limits of a sink: at most this many lanes at once, attempts at least this many ms apart.

    No lane at once means that the sink is switched off.
    """

    concurrency: int = 16
    spacing_ms: int = 0


@dataclass(slots=True)
class _SinkLimit:
    terms: Terms
    condition: Condition = RUNNING
    rests_until: float = 0.0
    paced_until: float = 0.0


class SendingRateLimits:
    """The limits of all sinks: how many lanes may be busy, and from when."""

    def __init__(self, terms: Mapping[str, Terms]) -> None:
        """Start with a running sink for each of the ``terms``."""
        self._limits = {sink: _SinkLimit(one) for sink, one in terms.items()}

    def put_terms(self, sink: str, terms: Terms) -> None:
        """Add a running sink, or change the terms of one."""
        if sink in self._limits:
            self._limits[sink].terms = terms
        else:
            self._limits[sink] = _SinkLimit(terms)

    def remove(self, sink: str) -> None:
        """Remove a sink."""
        self._limits.pop(sink, None)

    def limit_of(self, sink: str) -> int:
        """Return how many lanes of a sink may be busy: one if its circuit is open, none if it takes no entries."""
        limit = self._limits.get(sink)
        if limit is None or not limit.condition.is_running:
            return 0
        return min(1, limit.terms.concurrency) if limit.condition.is_open else limit.terms.concurrency

    def opens_at(self, sink: str) -> float:
        """Return from when a sink may be attempted."""
        limit = self._limits[sink]
        return max(limit.rests_until, limit.paced_until)

    def is_resting(self, sink: str, now: float) -> bool:
        """Whether a sink rests because of its receiver's last answer."""
        return self._limits[sink].rests_until > now

    def passed(self, sink: str, now: float) -> None:
        """Record that an attempt begins."""
        limit = self._limits[sink]
        limit.paced_until = now + limit.terms.spacing_ms / 1000

    def condition(self, sink: str) -> Condition:
        """Return the state of a sink."""
        return self._limits[sink].condition

    def put(self, sink: str, condition: Condition, now: float, now_ms: int) -> None:
        """Record the state of a sink at ``now``, which is ``now_ms`` by the wall clock."""
        limit = self._limits[sink]
        limit.condition = condition
        limit.rests_until = now + remaining_ms(condition, now_ms) / 1000
        if condition.paced_at is not None:
            spacing = limit.terms.spacing_ms
            pace = min(max(condition.paced_at + spacing - now_ms, 0), spacing)
            limit.paced_until = max(limit.paced_until, now + pace / 1000)

    def taking(self) -> set[str]:
        """Return the sinks that are neither paused by an operator nor switched off."""
        return {
            sink
            for sink, limit in self._limits.items()
            if limit.terms.concurrency and limit.condition.standing is not Standing.PAUSED
        }
