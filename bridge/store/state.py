"""The state: known models, events and outbox, stored in any `Documents`."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from bridge.delivery.outbox_entry import Entry, Status
from bridge.diff.known_snapshot import KnownModels
from bridge.diff.recently_replaced_values import Superseded
from bridge.diff.registry_abilities import Abilities
from bridge.diff.snapshot_packing import count_versions
from bridge.events.event import Event
from bridge.events.event_synthesis import Identities
from bridge.store.base import Document, Documents
from bridge.store.poll_commit import (
    ABILITIES,
    AUDIT,
    CLOCK,
    DETAILS,
    EVENTS,
    HEAD,
    META,
    POLL,
    RECONCILE,
    SUPERSEDED,
    PollCommit,
    check_basis,
    new_entries,
    numbered_head,
    removal,
    writes_of,
)
from bridge.store.state_metadata import (
    ClockRecord,
    Head,
    Note,
    PollRecord,
    ReconcileRecord,
)
from bridge.store.stored_models import MODELS, UNSETTLED, StoredIdentities, StoredModels
from bridge.store.stored_outbox import Outbox

_PRUNED, _ORPHANS = "pruned", "orphans"
_SCAN = "scan"


class State(Outbox):
    """Reads and commits of the state. One commit is durable in full or not at all."""

    def __init__(self, documents: Documents) -> None:
        """Work on ``documents``."""
        super().__init__(documents)
        self._unsettled: dict[str, int] | None = None

    @property
    def last_poll(self) -> PollRecord | None:
        """The result of the last poll, or None before the first."""
        document = self._documents.get(META, POLL)
        return PollRecord.from_document(document) if document else None

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
        models = [count_versions(document) for _, document in self._documents.items(MODELS)]
        return len(models), sum(models)

    def commit_poll(self, commit: PollCommit) -> list[Entry]:
        """Make a poll durable: snapshot and outbox entries in one commit; return the new entries.

        Raises:
            StateUnwritable: nothing of it took effect.
            StateChanged: the state is no longer the one that the poll began from; nothing took effect.
        """
        present = self.head
        check_basis(commit.head, present)
        entries = new_entries(commit, present)
        self._documents.commit(writes_of(commit, entries, present, self._documents))
        self._count(entries)
        self._note_settled(commit)
        return entries

    def _note_settled(self, commit: PollCommit) -> None:
        if self._unsettled is not None:
            gone = {*commit.removed, *commit.models, *commit.settled}
            kept = {name: at for name, at in self._unsettled.items() if name not in gone}
            self._unsettled = {**kept, **dict.fromkeys(commit.unsettled, commit.at)}

    def record_poll(self, record: PollRecord, reconciled: ReconcileRecord | None = None) -> None:
        """Record the result of a poll that changed nothing.

        Raises:
            StateUnwritable: it was not recorded.
        """
        scanned = {RECONCILE: reconciled.to_document()} if reconciled else {}
        self._documents.commit({META: {POLL: record.to_document(), **scanned}})

    @property
    def unfinished_scan(self) -> Document | None:
        """The stored progress of an unfinished full scan, or None."""
        return self._documents.get(_SCAN, _SCAN)

    def keep_scan(self, scan: Document | None) -> None:
        """Store the progress of an unfinished full scan; None removes it.

        Raises:
            StateUnwritable: the earlier progress is still stored.
        """
        if scan != self.unfinished_scan:
            self._documents.commit({_SCAN: {_SCAN: scan}})

    @property
    def last_reconcile(self) -> ReconcileRecord | None:
        """The last full scan, or None before the first."""
        document = self._documents.get(META, RECONCILE)
        return ReconcileRecord.from_document(document) if document else None

    @property
    def superseded(self) -> tuple[Superseded, ...]:
        """The former states that recent polls replaced, oldest first."""
        documents = sorted(self._documents.items(SUPERSEDED), key=lambda item: int(item[0]))
        return tuple(Superseded.from_document(document) for _, document in documents)

    @property
    def abilities(self) -> Abilities | None:
        """The detected abilities of the registry, or None before the first poll."""
        document = self._documents.get(META, ABILITIES)
        return Abilities.from_document(document) if document else None

    def notes(self) -> Iterator[Note]:
        """Yield the notes of the audit trail, oldest first."""
        return (Note.from_document(document) for _, document in self._documents.items(AUDIT))

    @property
    def clock(self) -> ClockRecord | None:
        """The clocks when they were last recorded."""
        document = self._documents.get(META, CLOCK)
        return ClockRecord.from_document(document) if document else None

    @property
    def orphaned_since(self) -> Mapping[str, int]:
        """Since when each sink with pending entries has been missing, ms since the epoch."""
        return self._documents.get(META, _ORPHANS) or {}

    def note(self, clock: ClockRecord, orphaned_since: Mapping[str, int]) -> None:
        """Record the clocks and the missing sinks, if they have changed.

        Raises:
            StateUnwritable: they were not recorded.
        """
        news = {CLOCK: clock.to_document(), _ORPHANS: dict(orphaned_since)}
        if any((self._documents.get(META, key) or {}) != value for key, value in news.items()):
            self._documents.commit({META: news})

    def write_head(self, head: Head) -> None:
        """Replace the head of the state (to bind the state to a registry that moved).

        Raises:
            StateUnwritable: the head is unchanged.
            StateChanged: ``head`` was made from another head; it is unchanged.
        """
        present = self.head
        check_basis(head, present)
        after = replace(numbered_head(head, present), revision=head.revision + 1)
        self._documents.commit({META: {HEAD: after.to_document()}})

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

    @property
    def pruned_at(self) -> int | None:
        """When history was last pruned, ms since the epoch."""
        document = self._documents.get(META, _PRUNED)
        return document["at"] if document else None

    @property
    def kept_since(self) -> int:
        """The time from which all observations are kept, ms since the epoch; 0: nothing was pruned yet."""
        document = self._documents.get(META, _PRUNED) or {}
        before: int = document.get("before", document.get("at", 0))
        return before

    def prune(self, delivered_before: int, dead_before: int, now_ms: int) -> int:
        """Prune old history (ms since the epoch); return how many documents were removed.

        Events of pending or dead entries are kept.

        Raises:
            StateUnwritable: nothing was removed.
        """
        limits = {Status.DELIVERED: delivered_before, Status.DEAD: dead_before}
        kept, old = _split(self.entries(), limits)
        needed = {entry.event_id for entry in kept}
        events = [
            key
            for key, document in self._documents.items(EVENTS)
            if key not in needed and document["observed_at"] < delivered_before
        ]
        notes = [key for key, note in self._documents.items(AUDIT) if note["at"] < delivered_before]
        self._documents.commit(
            {
                META: {_PRUNED: {"at": now_ms, "before": max(self.kept_since, delivered_before)}},
                **removal(old),
                EVENTS: dict.fromkeys(events),
                DETAILS: dict.fromkeys(key for key in events if self.details(key)),
                AUDIT: dict.fromkeys(notes),
            }
        )
        self._discount(old)
        return len(old) + len(events) + len(notes)

    def size(self) -> int:
        """Return the size of the state, in bytes."""
        return self._documents.size()

    def close(self) -> None:
        """Close the state."""
        self._documents.close()


def _split(entries: Iterator[Entry], limits: Mapping[Status, int]) -> tuple[list[Entry], list[Entry]]:
    """Split entries into those to keep and those that ended before the limit for their status."""
    kept: list[Entry] = []
    old: list[Entry] = []
    for entry in entries:
        limit = limits.get(entry.status)
        ended = entry.created_at if entry.last_attempt_at is None else entry.last_attempt_at
        (old if limit is not None and ended < limit else kept).append(entry)
    return kept, old
