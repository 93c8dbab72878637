"""Reads the state from its documents."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from bridge.delivery.outbox_entry import Entry, Status
from bridge.delivery.sink_state import Condition
from bridge.delivery.webhook import Webhook
from bridge.diff.known_snapshot import KnownModels
from bridge.diff.registry_abilities import Abilities
from bridge.diff.snapshot_packing import count_versions, packed_versions
from bridge.events.event import Event
from bridge.events.event_synthesis import Identities
from bridge.governance.transition_request import RequestStatus, TransitionRequest
from bridge.store.document_store_protocol import Document, Documents
from bridge.store.entry_header import EntryHeader, decode_header
from bridge.store.poll_commit import (
    ABILITIES,
    ATTEMPTS,
    AUDIT,
    DETAILS,
    DIRECT,
    EVENTS,
    META,
    OUTBOX,
    POLL,
    PRUNED,
    RECONCILE,
    REQUESTS,
    SINKS,
    WEBHOOKS,
    attempt_key,
    attempt_of,
    attempts_kept,
    head_in,
)
from bridge.store.sink_summaries import SinkSummaries
from bridge.store.state_metadata import (
    AttemptRecord,
    GovernanceSummary,
    Head,
    Note,
    PollRecord,
    ReconcileRecord,
    SinkSummary,
)
from bridge.store.stored_models import MODELS, UNSETTLED, StoredIdentities, StoredModels


class DocumentReader:
    """`bridge.store.state_reader.StateReader` over documents."""

    def __init__(self, documents: Documents) -> None:
        """Read from ``documents``."""
        self._documents = documents
        self._summaries: SinkSummaries | None = None
        self._unsettled: dict[str, int] | None = None

    @property
    def documents(self) -> Documents:
        """The documents themselves, for who copies a state."""
        return self._documents

    @property
    def head(self) -> Head | None:
        """The head of the state, or None before the baseline."""
        return head_in(self._documents)

    @property
    def last_poll(self) -> PollRecord | None:
        """The result of the last poll, or None before the first."""
        document = self._documents.get(META, POLL)
        return PollRecord.from_document(document) if document else None

    @property
    def last_reconcile(self) -> ReconcileRecord | None:
        """The last full scan, or None before the first."""
        document = self._documents.get(META, RECONCILE)
        return ReconcileRecord.from_document(document) if document else None

    @property
    def abilities(self) -> Abilities | None:
        """The detected abilities of the registry, or None before the first poll."""
        document = self._documents.get(META, ABILITIES)
        return Abilities.from_document(document) if document else None

    @property
    def kept_since(self) -> int:
        """The time from which all observations are kept, ms since the epoch; 0: nothing was pruned yet."""
        document = self._documents.get(META, PRUNED) or {}
        before: int = document.get("before", document.get("at", 0))
        return before

    def known(self) -> KnownModels:
        """Return the last committed snapshot."""
        if self._unsettled is None:
            self._unsettled = {
                name: int(doc[UNSETTLED]) for name, doc in self._documents.items(MODELS) if UNSETTLED in doc
            }
        return StoredModels(self._documents, self._unsettled)

    def identities(self) -> Identities:
        """Return lanes and generations of the known models."""
        head = self.head
        return Identities(
            StoredIdentities(self._documents), head.floor if head else 0, head.past_lanes if head else {}
        )

    def count_models(self) -> tuple[int, int]:
        """Return how many models and how many versions are known."""
        models = [_count_versions(document) for _, document in self._documents.items(MODELS)]
        return len(models), sum(models)

    def notes(self) -> Iterator[Note]:
        """Yield the notes of the audit trail, oldest first."""
        return (Note.from_document(document) for _, document in self._documents.items(AUDIT))

    def event(self, event_id: str) -> Event | None:
        """Return a recorded event."""
        document = self._documents.get(EVENTS, event_id)
        return Event.from_document(document) if document else None

    def events(self) -> Iterator[Event]:
        """Yield every event that is still kept, in the order in which they were observed."""
        return (Event.from_document(document) for _, document in self._documents.items(EVENTS))

    def newest_events(self, count: int) -> list[Event]:
        """Return the last ``count`` events, newest first; the cost does not grow with the history."""
        return [Event.from_document(document) for document in self._documents.newest(EVENTS, count)]

    def events_before(self, event_id: str | None) -> Iterator[Event]:
        """Yield events, newest first, from the one before this event on (None: the newest)."""
        return (Event.from_document(document) for _, document in self._documents.backwards(EVENTS, event_id))

    def notes_before(self, number: str | None) -> Iterator[tuple[str, Note]]:
        """Yield the numbers and notes of the audit trail, newest first, from the one before this number on."""
        return (
            (key, Note.from_document(document)) for key, document in self._documents.backwards(AUDIT, number)
        )

    def entries_before(self, number: int | None) -> Iterator[Entry]:
        """Yield outbox entries, newest first, from the one before this number on."""
        key = None if number is None else str(number)
        return (Entry.from_document(document) for _, document in self._documents.backwards(OUTBOX, key))

    def details(self, event_id: str) -> Document:
        """Return the stored details of an event, by part."""
        return self._documents.get(DETAILS, event_id) or {}

    def entry(self, number: int) -> Entry | None:
        """Return an outbox entry."""
        document = self._documents.get(OUTBOX, str(number))
        return Entry.from_document(document) if document else None

    def entries(self) -> Iterator[Entry]:
        """Yield every outbox entry that is still kept, in no particular order."""
        return (Entry.from_document(document) for _, document in self._documents.items(OUTBOX))

    def entry_headers(self) -> Iterator[EntryHeader]:
        """Yield the header of every outbox entry that is still kept, in no particular order."""
        return map(decode_header, self._documents.texts(OUTBOX))

    def entries_of(self, event_id: str) -> list[Entry]:
        """Return the outbox entries of an event, in order; no others are decoded."""
        numbers = sorted(header.id for header in self.entry_headers() if header.event_id == event_id)
        return [entry for number in numbers if (entry := self.entry(number)) is not None]

    def pending(self) -> list[Entry]:
        """Return the entries that are still to be delivered, in order."""
        numbers = sorted(header.id for header in self.entry_headers() if header.status is Status.PENDING)
        return [entry for number in numbers if (entry := self.entry(number)) is not None]

    def count_events(self) -> int:
        """Return how many events are still kept."""
        return self._documents.count(EVENTS)

    def count_notes(self) -> int:
        """Return how many notes are still kept."""
        return self._documents.count(AUDIT)

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

    def attempts(self, entry: Entry) -> list[AttemptRecord]:
        """Return the recorded attempts of an entry, oldest first."""
        keys = (attempt_key(entry.id, number) for number in attempts_kept(entry))
        found = (self._documents.get(ATTEMPTS, key) for key in keys)
        earlier = [AttemptRecord.from_document(document) for document in found if document]
        return [*earlier, attempt_of(entry)] if entry.attempts else earlier

    def webhooks(self) -> list[Webhook]:
        """Return the webhooks in the order of their creation."""
        found = (Webhook.from_document(document) for _, document in self._documents.items(WEBHOOKS))
        return sorted(found, key=lambda one: (one.created_at, one.id))

    def requests(self) -> Iterator[TransitionRequest]:
        """Yield the transition requests that are still kept, oldest first."""
        return (TransitionRequest.from_document(document) for _, document in self._documents.items(REQUESTS))

    def requests_before(self, request: str | None) -> Iterator[TransitionRequest]:
        """Yield transition requests, newest first, from the one before this id on."""
        rows = self._documents.backwards(REQUESTS, request)
        return (TransitionRequest.from_document(document) for _, document in rows)

    def request(self, request: str) -> TransitionRequest | None:
        """Return a transition request."""
        document = self._documents.get(REQUESTS, request)
        return TransitionRequest.from_document(document) if document else None

    def governance(self) -> GovernanceSummary:
        """Return the transition requests and direct transitions in numbers."""
        requests = [document for _, document in self._documents.items(REQUESTS)]
        pending = (one["created_at"] for one in requests if one["status"] == RequestStatus.PENDING.value)
        return GovernanceSummary(
            Counter(one["status"] for one in requests),
            Counter(one["status"] for _, one in self._documents.items(DIRECT)),
            min(pending, default=None),
        )

    def conditions(self) -> dict[str, Condition]:
        """Return the states of the sinks that have one stored."""
        return {sink: Condition.from_document(document) for sink, document in self._documents.items(SINKS)}

    def summaries(self) -> dict[str, SinkSummary]:
        """Return a summary for each sink that has entries."""
        return self._counted().summaries()

    def _counted(self) -> SinkSummaries:
        if self._summaries is None:
            self._summaries = SinkSummaries(self.entry_headers())
        return self._summaries

    def size(self) -> int:
        """Return the size of the state, in bytes."""
        return self._documents.size()

    def close(self) -> None:
        """Close the state."""
        self._documents.close()


_ROWS = msgspec.json.Decoder(list[msgspec.Raw])
"""Finds the arrays in an array, and decodes none of them."""


def _count_versions(model: Document) -> int:
    try:
        return len(_ROWS.decode(f"[{packed_versions(model)}]"))
    except msgspec.DecodeError:  # a lone surrogate, which the tags in a registry may hold
        return count_versions(model)


class _Unread:
    """Entries as documents, which never change, so they can be decoded later, in another thread."""

    def __init__(self, documents: Sequence[Document]) -> None:
        self._documents = documents

    def __iter__(self) -> Iterator[Entry]:
        return map(Entry.from_document, self._documents)
