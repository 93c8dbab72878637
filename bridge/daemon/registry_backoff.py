"""The backoff after failed polls: how long to wait before asking the registry again."""

import random

from bridge.pipeline.clocks import Clock

_TIMES = 10
_LONGEST_S = 60.0


class Backoff:
    """Doubles the interval with every failure, up to ten times or a minute; never less than the interval itself."""

    def __init__(self, interval_ms: int, clock: Clock) -> None:
        """Start without failures."""
        self._interval_s = interval_ms / 1000
        self._clock = clock
        self._failures = 0
        self._until = float("-inf")

    def note(self, *, has_failed: bool, asked_s: float = 0.0) -> None:
        """Record whether a poll failed; ``asked_s`` is the wait that the registry asked for, in seconds."""
        self._failures = self._failures + 1 if has_failed else 0
        pause = self._pause_s(asked_s) if has_failed else 0.0
        self._until = self._clock.monotonic() + pause

    def _pause_s(self, asked_s: float) -> float:
        """Return the pause in seconds: the larger of the doubled interval and ``asked_s``, up to the limit.

        The result is multiplied by a random factor of 0.8 to 0.95, to spread the polls of several instances. The
        factor is below 1 because scheduled polls come in whole intervals: one must not come just before the end.
        ``asked_s`` is limited as well, as rate limits are often lifted before their ``Retry-After`` has passed.
        """
        most = max(self._interval_s, min(_TIMES * self._interval_s, _LONGEST_S))
        doubled: float = self._interval_s * 2 ** min(self._failures - 1, _TIMES)
        return min(most, max(doubled, asked_s)) * random.uniform(0.8, 0.95)  # noqa: S311 - not for security

    def remaining_s(self) -> float:
        """Return how many seconds remain until the next poll is allowed."""
        return max(0.0, self._until - self._clock.monotonic())

    def is_on(self) -> bool:
        """Whether it is too early for the next poll."""
        return self._clock.monotonic() < self._until
