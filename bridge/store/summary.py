"""What the outbox holds, sink by sink: counted once, then kept up with every change."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from bridge.delivery.entry import Entry, Status
from bridge.store.values import SinkSummary


@dataclass(slots=True)
class _Sink:
    counts: Counter[Status] = field(default_factory=Counter)
    pending: dict[int, int] = field(default_factory=dict)  # entry id → created at
    last: Entry | None = None


class Tally:
    """Summaries whose cost does not grow with the history."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        """Count ``entries``."""
        self._sinks: dict[str, _Sink] = {}
        self._statuses: dict[int, Status] = {}
        self.update(entries)

    def update(self, entries: Iterable[Entry]) -> None:
        """Take in entries that are new, or stand otherwise than before."""
        for entry in entries:
            sink = self._sinks.setdefault(entry.sink, _Sink())
            before = self._statuses.get(entry.id)
            if before is not None:
                sink.counts[before] -= 1
            self._statuses[entry.id] = entry.status
            sink.counts[entry.status] += 1
            _note_pending(sink, entry)
            if _is_later(entry, sink.last):
                sink.last = entry

    def remove(self, entries: Iterable[Entry]) -> None:
        """Forget entries that were pruned or dropped."""
        for entry in entries:
            sink = self._sinks[entry.sink]
            sink.counts[entry.status] -= 1
            sink.pending.pop(entry.id, None)
            del self._statuses[entry.id]

    def summaries(self) -> dict[str, SinkSummary]:
        """Return a summary for every sink that has had entries."""
        return {name: _summary(name, sink) for name, sink in self._sinks.items()}


def _note_pending(sink: _Sink, entry: Entry) -> None:
    if entry.status is Status.PENDING:
        sink.pending[entry.id] = entry.created_at
    else:
        sink.pending.pop(entry.id, None)


def _is_later(entry: Entry, last: Entry | None) -> bool:
    if entry.last_attempt_at is None:
        return False
    return last is None or entry.last_attempt_at >= (last.last_attempt_at or 0)


def _summary(name: str, sink: _Sink) -> SinkSummary:
    last = sink.last
    return SinkSummary(
        sink=name,
        pending=sink.counts[Status.PENDING],
        dead=sink.counts[Status.DEAD],
        delivered=sink.counts[Status.DELIVERED],
        oldest_pending_at=min(sink.pending.values(), default=None),
        last_attempt_at=last.last_attempt_at if last else None,
        last_reason=last.reason if last else "",
        last_status=last.http_status if last else None,
        last_detail=last.detail if last else "",
    )
