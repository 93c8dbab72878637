"""How often hints may have the registry read: as a token bucket, so that a storm of hints costs no more than it should."""

from bridge.pipeline.clocks import Clock

_TIMES_AS_OFTEN = 10
"""How many reads for hints there may be, on average and in a row, for each poll that the schedule makes."""


class HintRate:
    """Ten reads for each ``interval_ms``, of which as many can come in a row."""

    def __init__(self, interval_ms: int, clock: Clock) -> None:
        """Begin with all of them."""
        self._each_s = interval_ms / 1000 / _TIMES_AS_OFTEN
        self._clock = clock
        self._left = float(_TIMES_AS_OFTEN)
        self._at = clock.monotonic()

    def wait_s(self) -> float:
        """Return in how many seconds the next read may begin; another thread may call it."""
        return max(0.0, (1 - self._left_at(self._clock.monotonic())) * self._each_s)

    def spend(self) -> None:
        """Count a read that begins."""
        now = self._clock.monotonic()
        self._left, self._at = self._left_at(now) - 1, now

    def _left_at(self, now: float) -> float:
        return min(float(_TIMES_AS_OFTEN), self._left + (now - self._at) / self._each_s)
