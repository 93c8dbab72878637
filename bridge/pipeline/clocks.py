"""Time, handed in: everything that decides takes it as an argument."""

import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bridge.store.state_values import ClockRecord, Stamp

_TOLERANCE_MS = 2_000
"""How far the clocks may drift apart between two looks before that counts as a jump."""

_DISTRUST_S = 86_400.0
"""For how long after a jump nothing expires: keeping an entry longer harms nobody."""

_MONOTONIC = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Clock(Protocol):
    """Where the loops get the time from."""

    def now_ms(self) -> int:
        """Return the wall clock's time, ms since the epoch."""
        ...

    def monotonic(self) -> float:
        """Return a time in seconds that never jumps, counted from the machine's start."""
        ...

    def boot_id(self) -> str:
        """Return what tells one start of the machine from another; empty where that's unknown."""
        ...


class SystemClock:
    """The machine's clocks."""

    def now_ms(self) -> int:
        """Return the wall clock's time, ms since the epoch."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """Return a time in seconds that never jumps, and that goes on while the machine sleeps."""
        return time.clock_gettime(_MONOTONIC)

    def boot_id(self) -> str:
        """Return Linux' random id of this start of the machine (proc(5))."""
        with suppress(OSError):
            return _BOOT_ID.read_text().strip()
        return ""


def stamp_of(clock: Clock) -> Stamp:
    """Return what time it is, by both clocks."""
    return Stamp(clock.now_ms(), round(clock.monotonic() * 1000), clock.boot_id())


@dataclass(slots=True)
class Trust:
    """Whether the wall clock may be believed about what is old.

    The wall clock and the monotonic one keep their distance; when it changes, the wall clock
    jumped, and for a day nothing is expired or pruned. What is known of the distance is kept
    with every poll, so that the next run from cron can tell as well.
    """

    clock: Clock
    _distance_ms: int = 0
    _distrusted_until: float = 0.0

    @classmethod
    def since(cls, clock: Clock, record: ClockRecord | None) -> "Trust":
        """Begin with what was recorded since the machine started, if anything was."""
        if record is None or not record.boot_id or record.boot_id != clock.boot_id():
            return cls(clock, _distance(clock))
        return cls(clock, record.distance_ms, record.distrusted_until)

    def jumped_ms(self) -> int:
        """Return by how much the wall clock jumped since the last look; 0 where it did not."""
        distance = _distance(self.clock)
        jump = distance - self._distance_ms
        if abs(jump) > _TOLERANCE_MS // 4:  # follow a slow drift, not every rounding
            self._distance_ms = distance
        if abs(jump) <= _TOLERANCE_MS:
            return 0
        self._distrusted_until = self.clock.monotonic() + _DISTRUST_S
        return jump

    def now_ms(self) -> int:
        """Return the wall clock's time, but for a jump that `jumped_ms` has not told of yet, ms since the epoch.

        What is stored is shifted when it is told of: whatever is dated until then has to be shifted along.
        """
        jump = _distance(self.clock) - self._distance_ms
        return self.clock.now_ms() - (jump if abs(jump) > _TOLERANCE_MS else 0)

    def is_given(self) -> bool:
        """Whether nothing has shaken the trust in the wall clock lately."""
        distance = _distance(self.clock)
        if abs(distance - self._distance_ms) > _TOLERANCE_MS:
            return False
        return self.clock.monotonic() >= self._distrusted_until

    def record(self) -> ClockRecord:
        """Return what the next process has to know."""
        return ClockRecord(self.clock.boot_id(), self._distance_ms, self._distrusted_until)


def _distance(clock: Clock) -> int:
    return clock.now_ms() - round(clock.monotonic() * 1000)
