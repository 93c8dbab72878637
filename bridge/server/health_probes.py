"""What the probes say: whether the bridge lives, and whether it does its work."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from bridge.pipeline.clocks import Clock

_STUCK_BEYOND_S = 60.0
_RELAY_TURNS_WITHIN_S = 90.0


@dataclass(slots=True)
class Probes:
    """Whether the loops make progress.

    A registry that is down does not make the bridge unready: that is in the metrics and in
    `status`, and restarting the bridge would not mend it.
    """

    clock: Clock
    poll_deadline_s: float
    relay_is_stuck: Callable[[], bool] = field(default=lambda: False)
    relay_turned_at: Callable[[], float] | None = None
    next_poll_in_s: Callable[[], float | None] = field(default=lambda: None)
    first_attempt: asyncio.Event = field(default_factory=asyncio.Event)
    began: float | None = None

    def poll_began(self) -> None:
        """A poll is under way."""
        self.began = self.clock.monotonic()

    def poll_ended(self) -> None:
        """A poll was attempted, well or not."""
        self.first_attempt.set()
        self.began = None

    def is_making_progress(self) -> bool:
        """Whether neither loop hangs: no poll goes on far beyond its deadline, and the relay comes round.

        A relay that cannot write its state does come round: a restart would not mend the disk, and
        make it send again what it holds the outcome of.
        """
        now = self.clock.monotonic()
        if self.began is not None and now - self.began >= self.poll_deadline_s + _STUCK_BEYOND_S:
            return False
        return self.relay_turned_at is None or now - self.relay_turned_at() < _RELAY_TURNS_WITHIN_S

    def polling_for_s(self) -> float | None:
        """Return how long the poll under way has been; None where there is none."""
        return None if self.began is None else self.clock.monotonic() - self.began

    def is_ready(self) -> bool:
        """Whether a poll was attempted, and the loops make progress."""
        done = self.first_attempt.is_set()
        return done and self.is_making_progress() and not self.relay_is_stuck()
