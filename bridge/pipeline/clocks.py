"""The wall clock and the monotonic clock, and whether the wall clock can be trusted."""

import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bridge.store.state_metadata import ClockRecord, Stamp

_TOLERANCE_MS = 2_000
"""How far the clocks may drift apart between two readings before that counts as a jump."""

_DISTRUST_S = 86_400.0
"""How long after a jump nothing expires: keeping an entry longer does no harm."""

_MONOTONIC = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Clock(Protocol):
    """The source of the time for the loops."""

    def now_ms(self) -> int:
        """Return the wall clock's time, ms since the epoch."""
        ...

    def monotonic(self) -> float:
        """Return a time in seconds that never jumps, counted from the machine's start."""
        ...

    def boot_id(self) -> str:
        """Return an id of this start of the machine; empty where it is unknown."""
        ...


class SystemClock:
    """The machine's clocks."""

    def now_ms(self) -> int:
        """Return the wall clock's time, ms since the epoch."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """Return a time in seconds that never jumps, and that continues while the machine sleeps."""
        return time.clock_gettime(_MONOTONIC)

    def boot_id(self) -> str:
        """Return Linux's random id of this start of the machine (proc(5))."""
        with suppress(OSError):
            return _BOOT_ID.read_text().strip()
        return ""


def stamp_of(clock: Clock) -> Stamp:
    """Return the present time by both clocks."""
    return Stamp(clock.now_ms(), round(clock.monotonic() * 1000), clock.boot_id())


@dataclass(slots=True)
class Trust:
    """Whether the wall clock can be trusted to tell how old something is.

    The distance between the wall clock and the monotonic clock is constant. If it changes, the wall clock has
    jumped; then nothing is expired or pruned for a day. The distance is stored with every poll, so that the
    next run from cron can detect a jump as well.
    """

    clock: Clock
    _distance_ms: int = 0
    _distrusted_until: float = 0.0

    @classmethod
    def since(cls, clock: Clock, record: ClockRecord | None) -> "Trust":
        """Begin with the record of an earlier process, if the machine has not been restarted since."""
        if record is None or not record.boot_id or record.boot_id != clock.boot_id():
            return cls(clock, _distance(clock))
        return cls(clock, record.distance_ms, record.distrusted_until)

    def jumped_ms(self) -> int:
        """Return by how much the wall clock jumped since the last call; 0 if it did not."""
        distance = _distance(self.clock)
        jump = distance - self._distance_ms
        if abs(jump) > _TOLERANCE_MS // 4:  # follow a slow drift, but not rounding
            self._distance_ms = distance
        if abs(jump) <= _TOLERANCE_MS:
            return 0
        self._distrusted_until = self.clock.monotonic() + _DISTRUST_S
        return jump

    def now_ms(self) -> int:
        """Return the wall clock's time without a jump that `jumped_ms` has not yet returned, ms since the epoch.

        Stored times are shifted once `jumped_ms` returns the jump. Times stored before that are shifted with
        them, so they must be by the clock before the jump.
        """
        jump = _distance(self.clock) - self._distance_ms
        return self.clock.now_ms() - (jump if abs(jump) > _TOLERANCE_MS else 0)

    def is_given(self) -> bool:
        """Whether the wall clock is trusted: it has not jumped within the last day."""
        distance = _distance(self.clock)
        if abs(distance - self._distance_ms) > _TOLERANCE_MS:
            return False
        return self.clock.monotonic() >= self._distrusted_until

    def record(self) -> ClockRecord:
        """Return the record that the next process needs."""
        return ClockRecord(self.clock.boot_id(), self._distance_ms, self._distrusted_until)


def _distance(clock: Clock) -> int:
    return clock.now_ms() - round(clock.monotonic() * 1000)
