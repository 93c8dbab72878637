"""The liveness and readiness of the daemon, derived from the progress of the poll and the relay."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from bridge.pipeline.clocks import Clock

_STUCK_BEYOND_S = 60.0
_RELAY_TURNS_WITHIN_S = 90.0


@dataclass(slots=True)
class Probes:
    """The progress of the poll and the relay.

    An unreachable registry does not make the bridge unready: the metrics and `status` report it,
    and a restart of the bridge would not help.
    """

    clock: Clock
    poll_deadline_s: float
    relay_is_stuck: Callable[[], bool] = field(default=lambda: False)
    relay_turned_at: Callable[[], float] | None = None
    next_poll_in_s: Callable[[], float | None] = field(default=lambda: None)
    first_attempt: asyncio.Event = field(default_factory=asyncio.Event)
    began: float | None = None

    def poll_began(self) -> None:
        """Record that a poll has begun."""
        self.began = self.clock.monotonic()

    def poll_ended(self) -> None:
        """Record that a poll has ended, with or without success."""
        self.first_attempt.set()
        self.began = None

    def is_making_progress(self) -> bool:
        """Whether neither loop hangs: no poll is far beyond its deadline, and the relay's loop keeps turning.

        A relay that cannot write the state counts as making progress: a restart would not repair the disk, and
        deliveries whose outcome is not yet written would be sent again.
        """
        now = self.clock.monotonic()
        if self.began is not None and now - self.began >= self.poll_deadline_s + _STUCK_BEYOND_S:
            return False
        return self.relay_turned_at is None or now - self.relay_turned_at() < _RELAY_TURNS_WITHIN_S

    def polling_for_s(self) -> float | None:
        """Return for how many seconds the current poll has run; None if no poll is under way."""
        return None if self.began is None else self.clock.monotonic() - self.began

    def is_ready(self) -> bool:
        """Whether a first poll has ended, the loops make progress, and the relay can write the state."""
        done = self.first_attempt.is_set()
        return done and self.is_making_progress() and not self.relay_is_stuck()
