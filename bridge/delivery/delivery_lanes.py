"""Decides which entries are attempted now: in order within a lane, sinks side by side.

It works on entry numbers only. Times are seconds of a monotonic clock, so that a jump of the wall clock
neither delays nor hastens an attempt.
"""

from collections import Counter, deque
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum, auto
from heapq import heappop, heappush
from typing import Protocol

from bridge.delivery.outbox_entry import Entry

LaneKey = tuple[str, str]
"""A sink's name and an event's lane."""


_NEVER = float("inf")


class LaneLimits(Protocol):
    """How many lanes of each sink may be busy, and from when (see `bridge.delivery.sending_rate_limit`)."""

    def limit_of(self, sink: str) -> int:
        """Return how many lanes of ``sink`` may be busy at once; 0 where it takes no entries."""
        ...

    def opens_at(self, sink: str) -> float:
        """Return from when ``sink`` may be attempted."""
        ...

    def passed(self, sink: str, now: float) -> None:
        """Record that an attempt begins."""
        ...


class _Is(Enum):
    WAITING = auto()
    READY = auto()
    BUSY = auto()


@dataclass(slots=True)
class _Lane:
    """The numbers of a lane's pending entries; ``due`` is when the first of them is due."""

    entries: deque[int] = field(default_factory=deque)
    due: float = 0.0
    state: _Is = _Is.WAITING


class Lanes:
    """The pending entries in one queue for each sink and model; only the head of a queue can be claimed."""

    def __init__(self, limits: LaneLimits, overall: int) -> None:
        """Start empty. At most ``overall`` lanes are busy, but each sink may always have one busy lane."""
        self._limits = limits
        self._overall = overall
        self._lanes: dict[LaneKey, _Lane] = {}
        self._due: list[tuple[float, int, LaneKey]] = []
        self._ready: dict[str, deque[LaneKey]] = {}
        self._held: set[int] = set()
        """The entries that wait for a verdict: until then, they hold up their lane."""
        self._busy: Counter[str] = Counter()

    def __len__(self) -> int:
        """Return how many entries are pending, those being attempted included."""
        return sum(len(lane.entries) for lane in self._lanes.values())

    def waiting(self, sinks: Collection[str]) -> int:
        """Return how many entries of these sinks are pending."""
        return sum(len(lane.entries) for (sink, _), lane in self._lanes.items() if sink in sinks)

    @property
    def in_flight(self) -> int:
        """How many entries are claimed and not yet released."""
        return self._busy.total()

    def add(self, entries: Iterable[tuple[Entry, float]]) -> None:
        """Append entries in their order, each with the time from which it is due."""
        for entry, due in entries:
            key = (entry.sink, entry.lane)
            lane = self._lanes.setdefault(key, _Lane())
            lane.entries.append(entry.id)
            if entry.waits_for:
                self._held.add(entry.id)
            if len(lane.entries) == 1:
                self._await(key, lane, due)

    def _await(self, key: LaneKey, lane: _Lane, due: float) -> None:
        lane.due, lane.state = _NEVER if lane.entries[0] in self._held else due, _Is.WAITING
        if lane.due != _NEVER:
            heappush(self._due, (due, lane.entries[0], key))

    def let_go(self, entries: Iterable[Entry], now: float) -> None:
        """Make entries that waited for a verdict due now, each in its turn."""
        for entry in entries:
            self._held.discard(entry.id)
            key = (entry.sink, entry.lane)
            lane = self._lanes.get(key)
            if lane is not None and lane.entries[0] == entry.id and lane.state is _Is.WAITING:
                self._await(key, lane, now)

    def claim(self, now: float) -> list[int]:
        """Return the numbers of the entries to attempt now, and mark their lanes as busy."""
        while self._due and self._due[0][0] <= now:
            due, number, key = heappop(self._due)
            if self._is_current(due, number, key):
                self._lanes[key].state = _Is.READY
                self._ready.setdefault(key[0], deque()).append(key)
        return [number for sink in list(self._ready) for number in self._turn_of(sink, now)]

    def _is_current(self, due: float, number: int, key: LaneKey) -> bool:
        """Whether a lane still waits for this due time and entry: either may have changed since."""
        lane = self._lanes.get(key)
        if lane is None or lane.state is not _Is.WAITING:
            return False
        return (lane.due, lane.entries[0]) == (due, number)

    def _turn_of(self, sink: str, now: float) -> list[int]:
        """Return the entries that a sink can attempt now; after that, the other sinks come first."""
        claimed = list(self._claim_of(sink, now))
        if claimed and sink in self._ready:
            self._ready[sink] = self._ready.pop(sink)
        return claimed

    def _claim_of(self, sink: str, now: float) -> Iterator[int]:
        waiting = self._ready[sink]
        while waiting and self._has_place(sink) and self._limits.opens_at(sink) <= now:
            lane = self._lanes.get(waiting.popleft())
            if lane is None or lane.state is not _Is.READY:  # the lane was removed or changed meanwhile
                continue
            lane.state = _Is.BUSY
            self._busy[sink] += 1
            self._limits.passed(sink, now)
            yield lane.entries[0]
        if not waiting:
            del self._ready[sink]

    def _has_place(self, sink: str) -> bool:
        busy = self._busy[sink]
        return busy < self._limits.limit_of(sink) and (busy == 0 or self.in_flight < self._overall)

    def release(self, entry: Entry, due: float | None) -> None:
        """Release a claimed entry: it is still pending and due at ``due``, or done (``None``)."""
        key = (entry.sink, entry.lane)
        lane = self._lanes[key]
        self._busy[entry.sink] -= 1
        if due is not None:
            self._await(key, lane, due)
            return
        lane.entries.popleft()
        self._go_on(key, lane)

    def _go_on(self, key: LaneKey, lane: _Lane) -> None:
        if lane.entries:
            self._await(key, lane, 0.0)  # due at once: it was never attempted
        else:
            del self._lanes[key]

    def hurry(self, sink: str, now: float) -> None:
        """Make all waiting entries of a sink due now, because its receiver answers again."""
        for key, lane in self._lanes.items():
            if key[0] == sink and lane.state is _Is.WAITING and lane.due > now:
                self._await(key, lane, now)

    def remove(self, entries: Iterable[Entry]) -> None:
        """Remove entries; attempts that are already running continue."""
        unwanted: dict[LaneKey, set[int]] = {}
        for entry in entries:
            unwanted.setdefault((entry.sink, entry.lane), set()).add(entry.id)
        self._held.difference_update(*unwanted.values())
        for key, numbers in unwanted.items():
            if key in self._lanes:
                self._remove(key, self._lanes[key], numbers)

    def _remove(self, key: LaneKey, lane: _Lane, numbers: set[int]) -> None:
        head, busy = lane.entries[0], lane.state is _Is.BUSY
        lane.entries = deque(one for one in lane.entries if one not in numbers or (busy and one == head))
        if not lane.entries or lane.entries[0] != head:
            self._go_on(key, lane)

    def forget(self, sink: str) -> None:
        """Remove a sink whose entries have all been removed."""
        self._ready.pop(sink, None)
        del self._busy[sink]

    def next_due(self) -> float | None:
        """Return when the next entry can be claimed if nothing else happens; None for never."""
        times = [self._due[0][0]] if self._due else []
        return min([*times, *map(self._limits.opens_at, self.held_up())], default=None)

    def held_up(self) -> list[str]:
        """Return the sinks with due entries that wait only for their rate limit or rest to end."""
        return [sink for sink in self._ready if self._has_place(sink)]
