"""The outbox in documents: entries, their attempts, and the states of their sinks."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from itertools import islice

from bridge.delivery.outbox_entry import Entry, Status
from bridge.delivery.sink_state import Condition
from bridge.diff.snapshot import RegisteredModel
from bridge.events.event import Event
from bridge.events.event_details import merged
from bridge.store.base import Listener, News, TakenOutbox
from bridge.store.document_reader import DocumentReader
from bridge.store.document_store_protocol import Document, Documents, Writes
from bridge.store.entry_header import EntryHeader
from bridge.store.poll_commit import (
    AUDIT,
    CLOCK,
    DETAILS,
    EVENTS,
    HEAD,
    META,
    last_note,
    numbered_head,
    outbox_writes,
    removal,
    settle_writes,
    trail_writes,
)
from bridge.store.sink_summaries import SinkSummaries
from bridge.store.state_metadata import ClockRecord, Note
from bridge.store.write_turn import WriteTurn, in_turn

_TAKEN_AT_ONCE = 2_000
"""How many headers of entries are read before the event loop goes on; that takes some milliseconds."""


class DocumentOutbox(DocumentReader):
    """`bridge.store.base.RelayState` over documents, in the process that owns them; only commits may wait."""

    def __init__(self, documents: Documents) -> None:
        """Store the outbox in ``documents``."""
        super().__init__(documents)
        self._listener: Listener | None = None
        self._turn = WriteTurn()

    def turn(self) -> AbstractAsyncContextManager[None]:
        """Hold the turn to write."""
        return self._turn.hold()

    def is_owned(self) -> bool:
        """Whether this process still owns the state for certain."""
        return self._documents.is_owned()

    async def take(self, listener: Listener) -> TakenOutbox:
        """Return what is pending, and tell ``listener`` of every change after it."""
        self._listener = listener
        pending: list[int] = []
        counted = SinkSummaries()
        async for part in self._header_parts():
            counted.update(part)
            pending += [header.id for header in part if header.status is Status.PENDING]
        self._summaries = counted  # before somebody waits for them
        return TakenOutbox(sorted(pending), self.conditions())

    async def _header_parts(self) -> AsyncIterator[list[EntryHeader]]:
        """Yield the headers of all entries, some at a time; the event loop goes on between two full parts."""
        headers = self.entry_headers()
        while part := list(islice(headers, _TAKEN_AT_ONCE)):
            yield part
            if len(part) == _TAKEN_AT_ONCE:
                await asyncio.sleep(0)

    async def load_pending(self, is_wanted: Callable[[EntryHeader], bool]) -> list[Entry]:
        """Return the pending entries that are wanted, in order; no others are decoded."""
        numbers: list[int] = []
        async for part in self._header_parts():
            numbers += [one.id for one in part if one.status is Status.PENDING and is_wanted(one)]
        return await self.load_entries(sorted(numbers))

    async def load_conditions(self) -> Mapping[str, Condition]:
        """Return the states of the sinks."""
        return self.conditions()

    async def load_entries(self, numbers: Sequence[int]) -> list[Entry]:
        """Return those of the numbered entries that are in the outbox."""
        return [entry for number in numbers if (entry := self.entry(number)) is not None]

    async def load_event(self, event_id: str) -> Event | None:
        """Return a recorded event."""
        return self.event(event_id)

    async def load_model_name(self, event: Event) -> str | None:
        """Return the present name of an event's model, which may have been renamed; None if it is deleted."""
        identities = self.identities().by_name
        known = identities.get(event.model_name)
        if known is not None and known.lane == event.lane:
            return event.model_name
        return next((name for name, one in identities.items() if one.lane == event.lane), None)

    async def load_model(self, name: str) -> RegisteredModel | None:
        """Return a known model."""
        return self.known().get(name)

    async def load_details(self, event_id: str) -> Document:
        """Return the stored details of an event, by part."""
        return self.details(event_id)

    @in_turn
    async def keep_details(self, event_id: str, details: Document) -> Document:
        """Add details of an event to those already stored; return all of them."""
        kept = merged(self.details(event_id), details)
        if self._documents.get(EVENTS, event_id) is not None:
            await self._documents.commit({DETAILS: {event_id: kept}})
        return kept

    async def load_clock(self) -> ClockRecord | None:
        """Return the clocks when they were last recorded."""
        document = self._documents.get(META, CLOCK)
        return ClockRecord.from_document(document) if document else None

    @in_turn
    async def settle(
        self,
        entries: Sequence[Entry],
        conditions: Mapping[str, Condition] | None = None,
        clock: ClockRecord | None = None,
    ) -> None:
        """Make the results of some attempts durable, and the states of their sinks."""
        more: Writes = {} if clock is None else {META: {CLOCK: clock.to_document()}}
        await self._change(entries, conditions or {}, more)

    @in_turn
    async def redrive(self, entries: Sequence[Entry], notes: Sequence[Note]) -> None:
        """Store dead entries that are to be delivered again."""
        await self._change(entries, {}, self._numbered((), notes))
        self._tell(News(entries))

    @in_turn
    async def set_condition(
        self, sink: str, condition: Condition, entries: Sequence[Entry], notes: Sequence[Note]
    ) -> None:
        """Store the state of a sink that an operator pauses or resumes, and its pending ``entries`` that change."""
        await self._change(entries, {sink: condition}, self._numbered((), notes))
        self._tell(News(conditions={sink: condition}))

    @in_turn
    async def enqueue(self, entries: Sequence[Entry], notes: Sequence[Note] = ()) -> list[Entry]:
        """Add entries that do not come from a poll; return them with their numbers."""
        head = self.head
        if head is None:
            return []
        numbered = [replace(entry, id=head.sequence + n) for n, entry in enumerate(entries, start=1)]
        await self._documents.commit(self._numbered(numbered, notes))
        self._add(numbered)
        return numbered

    @in_turn
    async def drop(self, entries: Sequence[Entry], notes: Sequence[Note] = ()) -> None:
        """Remove entries, whatever their status."""
        await self._documents.commit({**removal(entries), **self._numbered((), notes)})
        self._discount(entries)
        self._tell(News(removed=entries))

    async def _change(
        self, entries: Sequence[Entry], conditions: Mapping[str, Condition], more: Writes
    ) -> None:
        await self._documents.commit({**settle_writes(entries, conditions, self._documents), **more})
        self._count(entries)

    def _numbered(self, entries: Sequence[Entry], notes: Sequence[Note]) -> Writes:
        """Return the writes that add numbered entries and notes; before the baseline, there are no entries."""
        head = self.head
        trail = {AUDIT: trail_writes(notes, last_note(head, self._documents))} if notes else {}
        if head is None or not (entries or notes):
            return trail
        after = numbered_head(head, head, len(entries), len(notes))
        return {META: {HEAD: after.to_document()}, **trail, **(outbox_writes(entries) if entries else {})}

    def _add(self, entries: Sequence[Entry]) -> None:
        """Count new entries, and tell the relay."""
        self._count(entries)
        if entries:
            self._tell(News(entries))

    def _tell(self, news: News) -> None:
        if self._listener is not None:
            self._listener(news)

    def _count(self, entries: Sequence[Entry]) -> None:
        if self._summaries is not None:
            self._summaries.update(entries)

    def _discount(self, entries: Iterable[Entry]) -> None:
        if self._summaries is not None:
            self._summaries.remove(entries)
