"""Summaries of the outbox for each sink: counted once, then updated with every change."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from bridge.delivery.outbox_entry import Entry, Status
from bridge.store.entry_header import EntryHeader
from bridge.store.state_metadata import SinkSummary


@dataclass(slots=True)
class _Sink:
    counts: Counter[Status] = field(default_factory=Counter)
    pending: dict[int, int] = field(default_factory=dict)  # entry id → created at
    dead: dict[int, None] = field(default_factory=dict)  # entry ids, in the order in which they died
    last: Entry | EntryHeader | None = None
    oldest: int | None = None  # the oldest pending entry; None: not searched since the last one left


class SinkSummaries:
    """Summaries whose cost does not grow with the history."""

    def __init__(self, entries: Iterable[Entry | EntryHeader] = ()) -> None:
        """Count ``entries``."""
        self._sinks: dict[str, _Sink] = {}
        self._statuses: dict[int, Status] = {}
        self.update(entries)

    def update(self, entries: Iterable[Entry | EntryHeader]) -> None:
        """Add entries that are new or have changed."""
        for entry in entries:
            sink = self._sinks.get(entry.sink)
            if sink is None:
                sink = self._sinks[entry.sink] = _Sink()
            before = self._statuses.get(entry.id)
            if before is not None:
                sink.counts[before] -= 1
            self._statuses[entry.id] = entry.status
            sink.counts[entry.status] += 1
            _note_status(sink, entry)
            if _is_later(entry, sink.last):
                sink.last = entry

    def remove(self, entries: Iterable[Entry]) -> None:
        """Remove entries that were pruned or dropped, and sinks that have no entries any more."""
        for entry in entries:
            sink = self._sinks[entry.sink]
            sink.counts[entry.status] -= 1
            _forget_pending(sink, entry)
            sink.dead.pop(entry.id, None)
            del self._statuses[entry.id]
            if not any(sink.counts.values()):
                del self._sinks[entry.sink]

    def pending_of(self, sink: str) -> list[int]:
        """Return the ids of a sink's pending entries, in order."""
        return sorted(self._sinks[sink].pending) if sink in self._sinks else []

    def newest_dead(self, count: int) -> Iterator[int]:
        """Yield the ids of the last ``count`` dead entries of each sink."""
        for sink in self._sinks.values():
            yield from islice(reversed(sink.dead), count)

    def summaries(self) -> dict[str, SinkSummary]:
        """Return a summary for every sink that has entries."""
        return {name: _summary(name, sink) for name, sink in self._sinks.items()}


def _note_status(sink: _Sink, entry: Entry | EntryHeader) -> None:
    if entry.status is Status.PENDING:
        sink.pending[entry.id] = entry.created_at
        if sink.oldest is not None and entry.created_at < sink.pending[sink.oldest]:
            sink.oldest = entry.id
    else:
        _forget_pending(sink, entry)
    if entry.status is Status.DEAD:
        sink.dead.setdefault(entry.id)
    else:
        sink.dead.pop(entry.id, None)


def _forget_pending(sink: _Sink, entry: Entry | EntryHeader) -> None:
    sink.pending.pop(entry.id, None)
    if sink.oldest == entry.id:
        sink.oldest = None


def _oldest(sink: _Sink) -> int | None:
    """Return the entry that waits longest, and store it: with a large backlog, the search takes milliseconds."""
    if sink.oldest is None and sink.pending:
        at = min(sink.pending.values())
        sink.oldest = next(number for number, created_at in sink.pending.items() if created_at == at)
    return sink.oldest


def _is_later(entry: Entry | EntryHeader, last: Entry | EntryHeader | None) -> bool:
    if entry.last_attempt_at is None:
        return False
    return last is None or entry.last_attempt_at >= (last.last_attempt_at or 0)


def _summary(name: str, sink: _Sink) -> SinkSummary:
    last = sink.last
    oldest = _oldest(sink)
    return SinkSummary(
        sink=name,
        pending=sink.counts[Status.PENDING],
        dead=sink.counts[Status.DEAD],
        delivered=sink.counts[Status.DELIVERED],
        oldest_pending_at=None if oldest is None else sink.pending[oldest],
        oldest_pending=oldest,
        last_attempt_at=last.last_attempt_at if last else None,
        last_reason=last.reason if last else "",
        last_status=last.http_status if last else None,
        last_detail=last.detail if last else "",
    )
