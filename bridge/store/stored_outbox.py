"""The outbox in the words of the domain: entries, their attempts, and how their sinks stand."""

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
from bridge.store.sink_summaries import Tally
from bridge.store.state_values import AttemptRecord, ClockRecord, Head, Note, SinkSummary


class Outbox:
    """Reads and commits of the outbox: the part of the state that the relay works on."""

    def __init__(self, documents: Documents) -> None:
        """Work on ``documents``."""
        self._documents = documents
        self._tally: Tally | None = None

    @property
    def head(self) -> Head | None:
        """The state's facts, or None before the baseline."""
        return head_in(self._documents)

    def entries(self) -> Iterator[Entry]:
        """Yield every outbox entry that is still kept, in no particular order."""
        return (Entry.from_document(document) for _, document in self._documents.items(OUTBOX))

    def count_entries(self) -> int:
        """Return how many entries are still kept."""
        return self._documents.count(OUTBOX)

    def newest_entries(self, count: int) -> Iterable[Entry]:
        """Return the last ``count`` entries, newest first, as they are now; each is read when it is iterated over.

        What that costs does not grow with the outbox.
        """
        return _Unread(self._documents.newest(OUTBOX, count))

    def newest_dead(self, count: int) -> list[Entry]:
        """Return the ``count`` dead entries that ended last, newest first, without looking at all others."""
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
        """Return the attempts of an entry that are on record, oldest first."""
        keys = (attempt_key(entry.id, number) for number in attempts_kept(entry))
        found = (self._documents.get(ATTEMPTS, key) for key in keys)
        earlier = [AttemptRecord.from_document(document) for document in found if document]
        return [*earlier, attempt_of(entry)] if entry.attempts else earlier

    def details(self, event_id: str) -> Document:
        """Return what is kept beside an event of what the registry tells of it, by part."""
        return self._documents.get(DETAILS, event_id) or {}

    def keep_details(self, event_id: str, details: Document) -> Document:
        """Keep what the registry tells of an event beside what is kept already; return all of it.

        Of an event that has been pruned meanwhile, nothing is kept.

        Raises:
            StateUnwritable: it was not kept.
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
        """Make what became of some attempts durable, and how their sinks stand now.

        With ``clock``, they are by that clock: it is noted in the same commit, or a jump would count twice.

        Raises:
            StateUnwritable: the entries stand as before.
            StateChanged: an entry is not what it was when it was attempted; nothing was noted.
        """
        writes = settle_writes(entries, conditions or {}, self._documents)
        noted = self._numbered((), notes)
        if clock is not None:
            noted = {**noted, META: {**noted.get(META, {}), CLOCK: clock.to_document()}}
        self._documents.commit({**writes, **noted})
        self._count(entries)

    def _numbered(self, entries: Sequence[Entry], notes: Sequence[Note]) -> Writes:
        """Return what it takes to add entries that have their numbers, and notes; both begin with the baseline."""
        head = self.head
        if head is None or not (entries or notes):
            return {}
        after = numbered_head(head, head, len(entries), len(notes))
        trail = {AUDIT: trail_writes(notes, head)} if notes else {}
        return {META: {HEAD: after.to_document()}, **trail, **(outbox_writes(entries) if entries else {})}

    def conditions(self) -> dict[str, Condition]:
        """Return how the sinks stand of which there is anything to say."""
        return {sink: Condition.from_document(document) for sink, document in self._documents.items(SINKS)}

    def enqueue(self, entries: Sequence[Entry], notes: Sequence[Note] = ()) -> list[Entry]:
        """Take up entries beside those of polls; return them with their numbers.

        Raises:
            StateUnwritable: nothing was taken up.
        """
        head = self.head
        if head is None:
            return []
        numbered = [replace(entry, id=head.sequence + n) for n, entry in enumerate(entries, start=1)]
        self._documents.commit(self._numbered(numbered, notes))
        self._count(numbered)
        return numbered

    def drop(self, entries: Sequence[Entry], notes: Sequence[Note] = ()) -> None:
        """Forget entries, whatever they wait for.

        Raises:
            StateUnwritable: none was forgotten.
        """
        self._documents.commit({**removal(entries), **self._numbered((), notes)})
        self._discount(entries)

    def summaries(self) -> dict[str, SinkSummary]:
        """Return what the outbox holds for each sink that has entries."""
        return self._counted().summaries()

    def _counted(self) -> Tally:
        if self._tally is None:
            self._tally = Tally(self.entries())
        return self._tally

    def _count(self, entries: Sequence[Entry]) -> None:
        if self._tally is not None:
            self._tally.update(entries)

    def _discount(self, entries: Iterable[Entry]) -> None:
        if self._tally is not None:
            self._tally.remove(entries)


class _Unread:
    """Entries as documents, which never change: they can be read later, and elsewhere."""

    def __init__(self, documents: Sequence[Document]) -> None:
        self._documents = documents

    def __iter__(self) -> Iterator[Entry]:
        return map(Entry.from_document, self._documents)
