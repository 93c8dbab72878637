"""The state in the words of the domain: known models, events, outbox; over any `Documents`."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from bridge.delivery.entry import Entry, Status
from bridge.delivery.routing import Routed
from bridge.diff.snapshot import RegisteredModel
from bridge.events.event import Event
from bridge.events.synthesis import Identities, Identity
from bridge.store.base import Document, Documents, Writes
from bridge.store.known import MODELS, KnownModels
from bridge.store.packing import count_versions, pack_model
from bridge.store.summary import Tally
from bridge.store.values import ClockRecord, Head, PollRecord, SinkSummary

_META, _EVENTS, _OUTBOX = "meta", "events", "outbox"
_HEAD, _POLL, _PRUNED, _CLOCK, _ORPHANS = "head", "poll", "pruned", "clock", "orphans"


@dataclass(frozen=True, slots=True)
class PollCommit:
    """What one poll makes durable, all at once.

    Attributes:
        head: the state's facts afterwards, but for ``sequence``, which the commit counts on.
        record: how the poll went.
        removed: names under which no model is known any more.
        models: models that read differently, with their identities, by name.
        events: what was observed, in order.
        routed: what is to be delivered, in order.
        at: now, ms since the epoch.
    """

    head: Head
    record: PollRecord
    removed: Sequence[str]
    models: Mapping[str, tuple[RegisteredModel, Identity]]
    events: Sequence[Event]
    routed: Sequence[Routed]
    at: int


class State:
    """Reads and commits of the state. One commit is durable in full or not at all."""

    def __init__(self, documents: Documents) -> None:
        """Work on ``documents``."""
        self._documents = documents
        self._tally: Tally | None = None

    @property
    def head(self) -> Head | None:
        """The state's facts, or None before the baseline."""
        document = self._documents.get(_META, _HEAD)
        return Head.from_document(document) if document else None

    @property
    def last_poll(self) -> PollRecord | None:
        """How the last poll went, or None before the first."""
        document = self._documents.get(_META, _POLL)
        return PollRecord.from_document(document) if document else None

    def known(self) -> KnownModels:
        """Return the last committed snapshot."""
        return KnownModels(self._documents)

    def identities(self) -> Identities:
        """Return lanes and generations of the known models."""
        head = self.head
        by_name = {
            name: Identity(document["lane"], document["generation"])
            for name, document in self._documents.items(MODELS)
        }
        return Identities(by_name, head.floor if head else 0, head.past_lanes if head else {})

    def count_models(self) -> tuple[int, int]:
        """Return how many models and how many versions are known."""
        models = [count_versions(document) for _, document in self._documents.items(MODELS)]
        return len(models), sum(models)

    def commit_poll(self, commit: PollCommit) -> list[Entry]:
        """Make a poll durable: snapshot and outbox entries in one; return the new entries.

        Raises:
            StateUnwritable: nothing of it took effect.
        """
        sequence = commit.head.sequence
        entries = [
            _entry(routed, sequence + number, commit.at)
            for number, routed in enumerate(commit.routed, start=1)
        ]
        head = replace(commit.head, sequence=sequence + len(entries))
        models: dict[str, Document | None] = dict.fromkeys(commit.removed)
        models.update({name: _model_document(*known) for name, known in commit.models.items()})
        self._documents.commit(
            {
                _META: {_HEAD: head.to_document(), _POLL: commit.record.to_document()},
                MODELS: models,
                _EVENTS: {event.id: event.to_document() for event in commit.events},
                **_outbox(entries),
            }
        )
        self._count(entries)
        return entries

    def record_poll(self, record: PollRecord) -> None:
        """Note how a poll went that changed nothing.

        Raises:
            StateUnwritable: it was not noted.
        """
        self._documents.commit({_META: {_POLL: record.to_document()}})

    @property
    def clock(self) -> ClockRecord | None:
        """How the clocks stood when that was last noted."""
        document = self._documents.get(_META, _CLOCK)
        return ClockRecord.from_document(document) if document else None

    @property
    def orphaned_since(self) -> Mapping[str, int]:
        """Since when each sink that has pending entries has been missing, ms since the epoch."""
        return self._documents.get(_META, _ORPHANS) or {}

    def note(self, clock: ClockRecord, orphaned_since: Mapping[str, int]) -> None:
        """Note how the clocks stand and which sinks are missing, where that is news.

        Raises:
            StateUnwritable: it was not noted.
        """
        news = {_CLOCK: clock.to_document(), _ORPHANS: dict(orphaned_since)}
        if any((self._documents.get(_META, key) or {}) != value for key, value in news.items()):
            self._documents.commit({_META: news})

    def write_head(self, head: Head) -> None:
        """Replace the state's facts (to bind it to a registry that moved).

        Raises:
            StateUnwritable: they stay as they were.
        """
        self._documents.commit({_META: {_HEAD: head.to_document()}})

    def event(self, event_id: str) -> Event | None:
        """Return a recorded event."""
        document = self._documents.get(_EVENTS, event_id)
        return Event.from_document(document) if document else None

    def entries(self) -> Iterator[Entry]:
        """Yield every outbox entry that is still kept, in no particular order."""
        return (Entry.from_document(document) for _, document in self._documents.items(_OUTBOX))

    def pending(self) -> list[Entry]:
        """Return the entries that are still to be delivered, in order."""
        pending = (entry for entry in self.entries() if entry.status is Status.PENDING)
        return sorted(pending, key=lambda entry: entry.id)

    def settle(self, entries: Sequence[Entry]) -> None:
        """Make what became of some attempts durable.

        Raises:
            StateUnwritable: the entries stand as before.
        """
        self._documents.commit(_outbox(entries))
        self._count(entries)

    def summaries(self) -> dict[str, SinkSummary]:
        """Return what the outbox holds for each sink that has entries."""
        if self._tally is None:
            self._tally = Tally(sorted(self.entries(), key=lambda entry: entry.id))
        return self._tally.summaries()

    def _count(self, entries: Sequence[Entry]) -> None:
        if self._tally is not None:
            self._tally.update(entries)

    @property
    def pruned_at(self) -> int | None:
        """When history was last pruned, ms since the epoch."""
        document = self._documents.get(_META, _PRUNED)
        return document["at"] if document else None

    def prune(self, delivered_before: int, dead_before: int, now_ms: int) -> int:
        """Forget old history (ms since the epoch); return how many documents went.

        What a pending or dead entry refers to stays.

        Raises:
            StateUnwritable: nothing was forgotten.
        """
        limits = {Status.DELIVERED: delivered_before, Status.DEAD: dead_before}
        kept, old = _split(self.entries(), limits)
        needed = {entry.event_id for entry in kept}
        events = [
            key
            for key, document in self._documents.items(_EVENTS)
            if key not in needed and document["observed_at"] < delivered_before
        ]
        self._documents.commit(
            {
                _META: {_PRUNED: {"at": now_ms}},
                _OUTBOX: dict.fromkeys(str(entry.id) for entry in old),
                _EVENTS: dict.fromkeys(events),
            }
        )
        if self._tally is not None:
            self._tally.remove(old)
        return len(old) + len(events)

    def size(self) -> int:
        """Return how much room the state takes, in bytes."""
        return self._documents.size()

    def close(self) -> None:
        """Let go of the state."""
        self._documents.close()


def _entry(routed: Routed, number: int, now_ms: int) -> Entry:
    event = routed.event
    return Entry(number, routed.sink, event.lane, event.id, routed.event_name, now_ms)


def _model_document(model: RegisteredModel, identity: Identity) -> Document:
    return {**pack_model(model), "lane": identity.lane, "generation": identity.generation}


def _outbox(entries: Sequence[Entry]) -> Writes:
    return {_OUTBOX: {str(entry.id): entry.to_document() for entry in entries}}


def _split(entries: Iterator[Entry], limits: Mapping[Status, int]) -> tuple[list[Entry], list[Entry]]:
    """Part entries into those to keep and those that ended before their status' limit."""
    kept: list[Entry] = []
    old: list[Entry] = []
    for entry in entries:
        limit = limits.get(entry.status)
        ended = entry.created_at if entry.last_attempt_at is None else entry.last_attempt_at
        (old if limit is not None and ended < limit else kept).append(entry)
    return kept, old
