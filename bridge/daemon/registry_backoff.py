"""How long to leave a registry alone that gives no answer."""

import random

from bridge.pipeline.clocks import Clock

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

    def note(self, *, has_failed: bool, asked_s: float = 0.0) -> None:
        """Take note of how a poll went; ``asked_s`` is how long the registry asked to be left alone."""
        self._failures = self._failures + 1 if has_failed else 0
        pause = self._pause_s(asked_s) if has_failed else 0.0
        self._until = self._clock.monotonic() + pause

    def _pause_s(self, asked_s: float) -> float:
        """Return the pause that the failures so far ask for, or the registry, spread by a tenth, less a little.

        A limit is often lifted long before its ``Retry-After`` is over: so that is no more than a reason
        not to begin with short pauses.
        A scheduled poll comes a whole number of intervals later: it must not miss the end narrowly.
        """
        most = max(self._interval_s, min(_TIMES * self._interval_s, _LONGEST_S))
        doubled: float = self._interval_s * 2 ** min(self._failures - 1, _TIMES)
        return min(most, max(doubled, asked_s)) * random.uniform(0.8, 0.95)  # noqa: S311 - spreads instances, guards nothing

    def remaining_s(self) -> float:
        """Return how long it is still too early to ask again."""
        return max(0.0, self._until - self._clock.monotonic())

    def is_on(self) -> bool:
        """Whether it is too early to ask again."""
        return self._clock.monotonic() < self._until
