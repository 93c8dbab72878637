"""What a poll commits, and the conversion of commits into documents."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import asdict, dataclass, field, replace

from bridge.delivery.event_routing import Routed
from bridge.delivery.outbox_entry import Entry
from bridge.delivery.sink_state import Condition
from bridge.diff.recently_replaced_values import Superseded
from bridge.diff.registry_abilities import Abilities
from bridge.diff.snapshot import RegisteredModel
from bridge.diff.snapshot_packing import pack_model
from bridge.errors import StateChanged
from bridge.events.event import Event
from bridge.events.event_synthesis import Identity
from bridge.governance.direct_transition import DirectTransition
from bridge.governance.transition_request import TransitionRequest
from bridge.store.document_store_protocol import Document, Documents, Writes
from bridge.store.state_metadata import AttemptRecord, Head, Note, PollRecord, ReconcileRecord
from bridge.store.stored_models import MODELS, UNSETTLED

META, EVENTS, OUTBOX, AUDIT = "meta", "events", "outbox", "audit"
ATTEMPTS, SINKS, DETAILS = "attempts", "sinks", "details"
SUPERSEDED, WEBHOOKS = "superseded", "webhooks"
REQUESTS, DIRECT = "requests", "direct_transitions"
HEAD, POLL, RECONCILE, ABILITIES, CLOCK, PRUNED = "head", "poll", "reconcile", "abilities", "clock", "pruned"
MOVED = "moved"
"""In a state that was copied to another place: where it goes on. Two bridges with one state would deliver twice."""

MOST_ATTEMPTS = 50
"""How many attempts of an entry are kept besides its last; at the longest wait, they cover a night."""


@dataclass(frozen=True, slots=True)
class PollCommit:
    """Everything that one poll makes durable in one commit.

    Attributes:
        head: the new head of the state; its ``revision`` is the one that the poll began from.
        record: the result of the poll.
        removed: names under which no model is known any more.
        models: models that differ, with their identities, by name.
        events: the observed events, in order.
        routed: the events to deliver, in order.
        at: now, ms since the epoch.
        unsettled: those of ``models`` whose versions have to be read again.
        settled: other models that need not be read again any more.
        notes: notes for the audit trail.
        reconciled: the record of the full scan, if this was one.
        abilities: what the registry can do.
        details: the details to store with events, by event id.
        requests: transition requests that this poll changes.
        direct: direct transitions that this poll found.
        superseded: the former states that this commit replaces.
        forgotten: how many of the oldest former states to drop.
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
    details: Mapping[str, Document] = field(default_factory=dict)
    requests: Sequence[TransitionRequest] = ()
    direct: Sequence[DirectTransition] = ()
    superseded: Sequence[Superseded] = ()
    forgotten: int = 0


def head_in(documents: Documents) -> Head | None:
    """Return the head of the state, or None before the baseline."""
    document = documents.get(META, HEAD)
    return Head.from_document(document) if document else None


def check_basis(head: Head, present: Head | None) -> None:
    """Check that ``head`` was made from the ``present`` head, which it replaces.

    Raises:
        StateChanged: it was not.
    """
    revision = present.revision if present else 0
    if revision != head.revision:
        msg = f"the state changed meanwhile (revision {head.revision}, now {revision}): nothing was changed, try again"
        raise StateChanged(msg)


def last_note(present: Head | None, documents: Documents) -> int:
    """Return the number of the last note; before the baseline, webhooks can change, and no head tells it."""
    if present is not None:
        return present.noted
    return max(map(int, documents.keys(AUDIT)), default=0)


def numbered_head(head: Head, present: Head | None, entries: int = 0, notes: int = 0) -> Head:
    """Return ``head`` with the last numbers advanced by this many entries and notes."""
    last = present or head
    return replace(head, sequence=last.sequence + entries, noted=last.noted + notes)


def new_entries(routed: Sequence[Routed], last: int, now_ms: int) -> list[Entry]:
    """Return new outbox entries, numbered from the number ``last`` on."""
    return [_entry(one, last + n, now_ms) for n, one in enumerate(routed, start=1)]


def writes_of(
    commit: PollCommit, entries: Sequence[Entry], present: Head | None, documents: Documents
) -> Writes:
    """Return a poll's commit as documents."""
    noted = last_note(present, documents)
    tables: Writes = {
        MODELS: _ModelDocuments(commit, documents),
        EVENTS: {event.id: event.to_document() for event in commit.events},
        DETAILS: commit.details,
        AUDIT: trail_writes(commit.notes, noted),
        SUPERSEDED: _superseded(commit, documents),
        REQUESTS: governance_writes(commit.requests),
        DIRECT: governance_writes(commit.direct),
        **outbox_writes(entries),
    }
    last = present or replace(commit.head, noted=noted)
    head = numbered_head(commit.head, last, len(entries), len(commit.notes))
    if head != present or any(tables.values()):
        head = replace(head, revision=head.revision + 1)
    facts: dict[str, Document] = {HEAD: head.to_document(), POLL: commit.record.to_document()}
    if commit.reconciled is not None:
        facts[RECONCILE] = commit.reconciled.to_document()
    if commit.abilities is not None:
        facts[ABILITIES] = asdict(commit.abilities)
    changed = {key: fact for key, fact in facts.items() if fact != documents.get(META, key)}
    writes: Writes = {META: changed, **tables}
    return {table: rows for table, rows in writes.items() if rows}


def governance_writes(changed: Iterable[TransitionRequest | DirectTransition]) -> Mapping[str, Document]:
    """Return transition requests, or direct transitions, as documents."""
    return {one.id: one.to_document() for one in changed}


def trail_writes(notes: Sequence[Note], last: int) -> Mapping[str, Document]:
    """Return notes as documents of the audit trail, numbered from the number ``last`` on."""
    return {str(last + n): note.to_document() for n, note in enumerate(notes, start=1)}


def _superseded(commit: PollCommit, documents: Documents) -> dict[str, Document | None]:
    if not (commit.superseded or commit.forgotten):
        return {}
    numbers = sorted(map(int, documents.keys(SUPERSEDED)))
    first = numbers[-1] + 1 if numbers else 1
    gone: dict[str, Document | None] = dict.fromkeys(map(str, numbers[: commit.forgotten]))
    return gone | {
        str(number): one.to_document() for number, one in enumerate(commit.superseded, start=first)
    }


def outbox_writes(entries: Sequence[Entry]) -> Writes:
    """Return outbox entries as documents."""
    return {OUTBOX: {str(entry.id): entry.to_document() for entry in entries}}


def settle_writes(
    entries: Sequence[Entry], conditions: Mapping[str, Condition], documents: Documents
) -> Writes:
    """Return the results of some attempts as documents.

    An entry itself holds its last attempt; the attempt before that is recorded beside it.

    Raises:
        StateChanged: an entry is not in the outbox, or its number belongs to another.
    """
    records: dict[str, Document | None] = {}
    for entry in entries:
        before = _present(entry, documents)
        if entry.attempts > before.get("attempts", 0) > 0:
            number = before["attempts"]
            records[attempt_key(entry.id, number)] = attempt_of(Entry.from_document(before)).to_document()
            if number > MOST_ATTEMPTS:
                records[attempt_key(entry.id, number - MOST_ATTEMPTS)] = None
    writes = {
        **outbox_writes(entries),
        ATTEMPTS: records,
        SINKS: {sink: condition.to_document() for sink, condition in conditions.items()},
    }
    return {table: rows for table, rows in writes.items() if rows}


def _present(entry: Entry, documents: Documents) -> Document:
    document = documents.get(OUTBOX, str(entry.id))
    if document is None or (document["event_id"], document["sink"]) != (entry.event_id, entry.sink):
        msg = f"entry {entry.id} is no longer in the outbox as it was: what became of it cannot be noted"
        raise StateChanged(msg)
    return document


def attempt_key(entry: int, number: int) -> str:
    """Return the key of attempt ``number`` of an ``entry``."""
    return f"{entry}.{number}"


def attempt_of(entry: Entry) -> AttemptRecord:
    """Return the last attempt of an entry that has had one."""
    ended = entry.last_attempt_at or entry.created_at
    return AttemptRecord(
        ended - entry.duration_ms, entry.duration_ms, entry.reason, entry.http_status, entry.detail
    )


def attempts_kept(entry: Entry) -> range:
    """Return the numbers of the attempts of ``entry`` that are recorded beside it."""
    return range(max(1, entry.attempts - MOST_ATTEMPTS), entry.attempts)


def removal(entries: Iterable[Entry]) -> Writes:
    """Return the writes that remove ``entries`` and their attempts."""
    gone = list(entries)
    keys = (attempt_key(entry.id, number) for entry in gone for number in attempts_kept(entry))
    return {OUTBOX: dict.fromkeys(str(entry.id) for entry in gone), ATTEMPTS: dict.fromkeys(keys)}


def _entry(routed: Routed, number: int, now_ms: int) -> Entry:
    event = routed.event
    return Entry(
        number, routed.sink, event.lane, event.id, routed.event_name, now_ms, waits_for=routed.waits_for
    )


class _ModelDocuments(Mapping[str, Document | None]):
    """The documents of the models that a poll changes; each is made when it is read: a baseline has tens of thousands."""

    def __init__(self, commit: PollCommit, documents: Documents) -> None:
        self._commit = commit
        self._documents = documents
        self._settled = frozenset(commit.settled)
        self._names = (*dict.fromkeys([*commit.removed, *commit.models, *commit.settled]),)

    def __getitem__(self, name: str) -> Document | None:
        if name in self._settled:
            return _settled(self._documents.get(MODELS, name) or {})
        if name not in self._commit.models:
            return None
        model, identity = self._commit.models[name]
        recorded_at = self._commit.at if name in self._commit.unsettled else None
        return _model_document(model, identity, recorded_at)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def _model_document(model: RegisteredModel, identity: Identity, recorded_at: int | None) -> Document:
    mark = {} if recorded_at is None else {UNSETTLED: recorded_at}
    return {**pack_model(model), "lane": identity.lane, "generation": identity.generation, **mark}


def _settled(document: Document) -> Document:
    return {key: value for key, value in document.items() if key != UNSETTLED}
