"""What one poll makes durable, as documents."""

from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import asdict, dataclass, replace

from bridge.delivery.entry import Entry
from bridge.delivery.routing import Routed
from bridge.diff.abilities import Abilities
from bridge.diff.packing import pack_model
from bridge.diff.snapshot import RegisteredModel
from bridge.events.event import Event
from bridge.events.synthesis import Identity
from bridge.store.base import Document, Documents, Writes
from bridge.store.known import MODELS, UNSETTLED
from bridge.store.values import Head, Note, PollRecord, ReconcileRecord

META, EVENTS, OUTBOX, AUDIT = "meta", "events", "outbox", "audit"
HEAD, POLL, RECONCILE, ABILITIES = "head", "poll", "reconcile", "abilities"


@dataclass(frozen=True, slots=True)
class PollCommit:
    """What one poll makes durable, all at once.

    Attributes:
        head: the state's facts afterwards, but for the numbers given here.
        record: how the poll went.
        removed: names under which no model is known any more.
        models: models that read differently, with their identities, by name.
        events: what was observed, in order.
        routed: what is to be delivered, in order.
        at: now, ms since the epoch.
        unsettled: those of ``models`` whose versions have to be read again.
        settled: other models that need not be read again any more.
        notes: what the audit trail says beside the events.
        reconciled: the full scan that this was, if it was one.
        abilities: what the registry can do.
    """

    head: Head
    record: PollRecord
    removed: Sequence[str]
    models: Mapping[str, tuple[RegisteredModel, Identity]]
    events: Sequence[Event]
    routed: Sequence[Routed]
    at: int
    unsettled: AbstractSet[str] = frozenset()
    settled: Collection[str] = ()
    notes: Sequence[Note] = ()
    reconciled: ReconcileRecord | None = None
    abilities: Abilities | None = None


def new_entries(commit: PollCommit) -> list[Entry]:
    """Return the outbox entries that a poll gives rise to, numbered on from the last."""
    return [
        _entry(routed, commit.head.sequence + number, commit.at)
        for number, routed in enumerate(commit.routed, start=1)
    ]


def writes_of(commit: PollCommit, entries: Sequence[Entry], documents: Documents) -> Writes:
    """Return a poll as documents."""
    head = replace(
        commit.head,
        sequence=commit.head.sequence + len(entries),
        noted=commit.head.noted + len(commit.notes),
    )
    facts: dict[str, Document] = {HEAD: head.to_document(), POLL: commit.record.to_document()}
    if commit.reconciled is not None:
        facts[RECONCILE] = commit.reconciled.to_document()
    if commit.abilities is not None:
        facts[ABILITIES] = asdict(commit.abilities)
    writes: Writes = {
        META: {key: fact for key, fact in facts.items() if fact != documents.get(META, key)},
        MODELS: _models(commit, documents),
        EVENTS: {event.id: event.to_document() for event in commit.events},
        AUDIT: {
            str(commit.head.noted + number): note.to_document()
            for number, note in enumerate(commit.notes, start=1)
        },
        **outbox_writes(entries),
    }
    return {table: documents for table, documents in writes.items() if documents}


def outbox_writes(entries: Sequence[Entry]) -> Writes:
    """Return outbox entries as documents."""
    return {OUTBOX: {str(entry.id): entry.to_document() for entry in entries}}


def _entry(routed: Routed, number: int, now_ms: int) -> Entry:
    event = routed.event
    return Entry(number, routed.sink, event.lane, event.id, routed.event_name, now_ms)


def _models(commit: PollCommit, documents: Documents) -> dict[str, Document | None]:
    models: dict[str, Document | None] = dict.fromkeys(commit.removed)
    for name, (model, identity) in commit.models.items():
        models[name] = _model_document(model, identity, is_unsettled=name in commit.unsettled)
    for name in commit.settled:
        models[name] = _settled(documents.get(MODELS, name) or {})
    return models


def _model_document(model: RegisteredModel, identity: Identity, *, is_unsettled: bool) -> Document:
    mark = {UNSETTLED: True} if is_unsettled else {}
    return {**pack_model(model), "lane": identity.lane, "generation": identity.generation, **mark}


def _settled(document: Document) -> Document:
    return {key: value for key, value in document.items() if key != UNSETTLED}
