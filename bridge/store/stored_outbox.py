"""The stored outbox: entries, their attempts, and the states of their sinks."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from bridge.delivery.outbox_entry import Entry, Status
from bridge.delivery.sink_state import Condition
from bridge.events.event_details import merged
from bridge.store.base import Document, Documents, Writes
from bridge.store.poll_commit import (
    ATTEMPTS,
    AUDIT,
    CLOCK,
    DETAILS,
    EVENTS,
    HEAD,
    META,
    OUTBOX,
    SINKS,
    attempt_key,
    attempt_of,
    attempts_kept,
    head_in,
    numbered_head,
    outbox_writes,
    removal,
    settle_writes,
    trail_writes,
)
from bridge.store.sink_summaries import SinkSummaries
from bridge.store.state_metadata import AttemptRecord, ClockRecord, Head, Note, SinkSummary


class Outbox:
    """Reads and commits of the outbox: the part of the state that the relay uses."""

    def __init__(self, documents: Documents) -> None:
        """Store the outbox in ``documents``."""
        self._documents = documents
        self._summaries: SinkSummaries | None = None

    @property
    def head(self) -> Head | None:
        """The head of the state, or None before the baseline."""
        return head_in(self._documents)

    def entries(self) -> Iterator[Entry]:
        """Yield every outbox entry that is still kept, in no particular order."""
        return (Entry.from_document(document) for _, document in self._documents.items(OUTBOX))

    def count_entries(self) -> int:
        """Return how many entries are still kept."""
        return self._documents.count(OUTBOX)

    def newest_entries(self, count: int) -> Iterable[Entry]:
        """Return the last ``count`` entries, newest first, as they are now; each is decoded during iteration.

        The cost does not grow with the outbox.
        """
        return _Unread(self._documents.newest(OUTBOX, count))

    def newest_dead(self, count: int) -> list[Entry]:
        """Return the ``count`` dead entries that ended last, newest first, without reading all others."""
        found = (self.entry(number) for number in self._counted().newest_dead(count))
        dead = [entry for entry in found if entry is not None]
        return sorted(dead, key=lambda one: one.last_attempt_at or one.created_at, reverse=True)[:count]

    def pending(self) -> list[Entry]:
        """Return the entries that are still to be delivered, in order."""
        pending = (entry for entry in self.entries() if entry.status is Status.PENDING)
        return sorted(pending, key=lambda entry: entry.id)

    def entry(self, number: int) -> Entry | None:
        """Return an outbox entry."""
        document = self._documents.get(OUTBOX, str(number))
        return Entry.from_document(document) if document else None

    def attempts(self, entry: Entry) -> list[AttemptRecord]:
        """Return the recorded attempts of an entry, oldest first."""
        keys = (attempt_key(entry.id, number) for number in attempts_kept(entry))
        found = (self._documents.get(ATTEMPTS, key) for key in keys)
        earlier = [AttemptRecord.from_document(document) for document in found if document]
        return [*earlier, attempt_of(entry)] if entry.attempts else earlier

    def details(self, event_id: str) -> Document:
        """Return the stored details of an event, by part."""
        return self._documents.get(DETAILS, event_id) or {}

    def keep_details(self, event_id: str, details: Document) -> Document:
        """Add details of an event to those already stored; return all of them.

        If the event has been pruned meanwhile, nothing is stored.

        Raises:
            StateUnwritable: they were not stored.
        """
        kept = merged(self.details(event_id), details)
        if self._documents.get(EVENTS, event_id) is not None:
            self._documents.commit({DETAILS: {event_id: kept}})
        return kept

    def settle(
        self,
        entries: Sequence[Entry],
        conditions: Mapping[str, Condition] | None = None,
        notes: Sequence[Note] = (),
        clock: ClockRecord | None = None,
    ) -> None:
        """Make the results of some attempts durable, and the states of their sinks.

        With ``clock``, all times are by that clock: it is stored in the same commit, otherwise a jump would
        be corrected twice.

        Raises:
            StateUnwritable: the entries are unchanged.
            StateChanged: an entry has changed since it was attempted; nothing was recorded.
        """
        writes = settle_writes(entries, conditions or {}, self._documents)
        noted = self._numbered((), notes)
        if clock is not None:
            noted = {**noted, META: {**noted.get(META, {}), CLOCK: clock.to_document()}}
        self._documents.commit({**writes, **noted})
        self._count(entries)

    def _numbered(self, entries: Sequence[Entry], notes: Sequence[Note]) -> Writes:
        """Return the writes that add numbered entries and notes; before the baseline, there are none."""
        head = self.head
        if head is None or not (entries or notes):
            return {}
        after = numbered_head(head, head, len(entries), len(notes))
        trail = {AUDIT: trail_writes(notes, head)} if notes else {}
        return {META: {HEAD: after.to_document()}, **trail, **(outbox_writes(entries) if entries else {})}

    def conditions(self) -> dict[str, Condition]:
        """Return the states of the sinks that have one stored."""
        return {sink: Condition.from_document(document) for sink, document in self._documents.items(SINKS)}

    def enqueue(self, entries: Sequence[Entry], notes: Sequence[Note] = ()) -> list[Entry]:
        """Add entries that do not come from a poll; return them with their numbers.

        Raises:
            StateUnwritable: no entry was added.
        """
        head = self.head
        if head is None:
            return []
        numbered = [replace(entry, id=head.sequence + n) for n, entry in enumerate(entries, start=1)]
        self._documents.commit(self._numbered(numbered, notes))
        self._count(numbered)
        return numbered

    def drop(self, entries: Sequence[Entry], notes: Sequence[Note] = ()) -> None:
        """Remove entries, whatever their status.

        Raises:
            StateUnwritable: no entry was removed.
        """
        self._documents.commit({**removal(entries), **self._numbered((), notes)})
        self._discount(entries)

    def summaries(self) -> dict[str, SinkSummary]:
        """Return a summary for each sink that has entries."""
        return self._counted().summaries()

    def _counted(self) -> SinkSummaries:
        if self._summaries is None:
            self._summaries = SinkSummaries(self.entries())
        return self._summaries

    def _count(self, entries: Sequence[Entry]) -> None:
        if self._summaries is not None:
            self._summaries.update(entries)

    def _discount(self, entries: Iterable[Entry]) -> None:
        if self._summaries is not None:
            self._summaries.remove(entries)


class _Unread:
    """Entries as documents, which never change, so they can be decoded later, in another thread."""

    def __init__(self, documents: Sequence[Document]) -> None:
        self._documents = documents

    def __iter__(self) -> Iterator[Entry]:
        return map(Entry.from_document, self._documents)
