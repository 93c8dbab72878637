"""How long to leave a registry alone that gives no answer."""

import random

from bridge.pipeline.clock import Clock

_TIMES = 10
_LONGEST_S = 60.0


class Backoff:
    """Doubles the interval with every failure: to ten times, or a minute; never below the interval itself."""

    def __init__(self, interval_ms: int, clock: Clock) -> None:
        """Begin without a failure."""
        self._interval_s = interval_ms / 1000
        self._clock = clock
        self._failures = 0
        self._until = float("-inf")

    def note(self, *, has_failed: bool) -> None:
        """Take note of how a poll went."""
        self._failures = self._failures + 1 if has_failed else 0
        pause = self._pause_s() if has_failed else 0.0
        self._until = self._clock.monotonic() + pause

    def _pause_s(self) -> float:
        """Return the pause that the failures so far ask for, spread by a tenth, less a little.

        A scheduled poll comes a whole number of intervals later: it must not miss the end narrowly.
        """
        most = max(self._interval_s, min(_TIMES * self._interval_s, _LONGEST_S))
        doubled: float = self._interval_s * 2 ** min(self._failures - 1, _TIMES)
        return min(most, doubled) * random.uniform(0.8, 0.95)  # noqa: S311 - spreads instances, guards nothing

    def remaining_s(self) -> float:
        """Return how long it is still too early to ask again."""
        return max(0.0, self._until - self._clock.monotonic())

    def is_on(self) -> bool:
        """Whether it is too early to ask again."""
        return self._clock.monotonic() < self._until
