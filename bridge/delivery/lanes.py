"""Which entries may be attempted now: lanes in order, sinks side by side.

Pure bookkeeping over entries; times are seconds of a clock that never jumps (monotonic), so
that a wall clock set back or forward neither stalls nor hurries anything.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable
from heapq import heappop, heappush

from bridge.delivery.entry import Entry

LaneKey = tuple[str, str]
"""A sink's name and an event's lane."""


class Lanes:
    """The pending entries, one queue a sink and model; only the head of each can be claimed."""

    def __init__(self, limit_of: Callable[[str], int], overall: int) -> None:
        """Start empty.

        Args:
            limit_of: a sink's name to how many of its lanes may be busy at once; 0 for a
                sink that takes nothing (it is not configured).
            overall: how many lanes of all sinks; each sink keeps one place beyond it.
        """
        self._limit_of = limit_of
        self._overall = overall
        self._lanes: dict[LaneKey, deque[tuple[Entry, float]]] = {}
        self._due: list[tuple[float, int, LaneKey]] = []
        self._ready: dict[str, deque[LaneKey]] = {}
        self._busy: Counter[str] = Counter()

    def __len__(self) -> int:
        """Return how many entries are pending, those under way included."""
        return sum(map(len, self._lanes.values()))

    @property
    def in_flight(self) -> int:
        """How many entries are claimed and not yet released."""
        return self._busy.total()

    def add(self, entries: Iterable[tuple[Entry, float]]) -> None:
        """Append entries, in their order, each with the instant from which it is due."""
        for entry, due in entries:
            key = (entry.sink, entry.lane)
            lane = self._lanes.setdefault(key, deque())
            lane.append((entry, due))
            if len(lane) == 1:
                self._await(key)

    def _await(self, key: LaneKey) -> None:
        entry, due = self._lanes[key][0]
        heappush(self._due, (due, entry.id, key))

    def claim(self, now: float) -> list[Entry]:
        """Return the entries to attempt now, and mark their lanes as busy."""
        while self._due and self._due[0][0] <= now:
            _, _, key = heappop(self._due)
            self._ready.setdefault(key[0], deque()).append(key)
        claimed: list[Entry] = []
        for sink in list(self._ready):
            claimed += self._claim_of(sink)
        return claimed

    def _claim_of(self, sink: str) -> list[Entry]:
        waiting = self._ready[sink]
        claimed: list[Entry] = []
        while waiting and self._has_place(sink):
            entry, _ = self._lanes[waiting.popleft()][0]
            self._busy[sink] += 1
            claimed.append(entry)
        if not waiting:
            del self._ready[sink]
        return claimed

    def _has_place(self, sink: str) -> bool:
        busy = self._busy[sink]
        return busy < self._limit_of(sink) and (busy == 0 or self.in_flight < self._overall)

    def release(self, entry: Entry, due: float | None) -> None:
        """Give back a claimed entry: still pending and due at ``due``, or done (``None``)."""
        key = (entry.sink, entry.lane)
        lane = self._lanes[key]
        self._busy[entry.sink] -= 1
        lane.popleft()
        if due is not None:
            lane.appendleft((entry, due))
        if lane:
            self._await(key)
        else:
            del self._lanes[key]

    def next_due(self) -> float | None:
        """Return when the next waiting entry is due, or None where none waits for a time."""
        return self._due[0][0] if self._due else None
