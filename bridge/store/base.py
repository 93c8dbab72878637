"""The interfaces of the state for the poll and the relay; `bridge.store.state_reader` is that for whoever asks."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from bridge.delivery.event_routing import Routed
from bridge.delivery.outbox_entry import Entry
from bridge.delivery.sink_state import Condition
from bridge.delivery.webhook import Webhook
from bridge.diff.known_snapshot import KnownModels
from bridge.diff.recently_replaced_values import Superseded
from bridge.diff.registry_abilities import Abilities
from bridge.diff.snapshot import RegisteredModel
from bridge.events.event import Event
from bridge.events.event_synthesis import Identities
from bridge.governance.direct_transition import DirectTransition
from bridge.governance.transition_request import TransitionRequest
from bridge.store.document_store_protocol import Document
from bridge.store.entry_header import EntryHeader
from bridge.store.poll_commit import PollCommit
from bridge.store.state_metadata import (
    ClockRecord,
    Head,
    Note,
    PollRecord,
    ReconcileRecord,
)
from bridge.store.state_reader import StateReader
from bridge.store.write_turn import Turns

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Basis:
    """What a poll begins from; its commit is refused if another poll has changed the snapshot or the head meanwhile.

    A worker thread reads it while the relay settles, and perhaps still when the poll was given up.

    Attributes:
        head: the head of the state; None before the baseline.
        last_poll: the result of the last poll; None before the first.
        last_reconcile: the last full scan; None before the first.
        abilities: the detected abilities of the registry; None before the first poll.
        known: the last committed snapshot.
        identities: lanes and generations of the known models.
        superseded: the former states that recent polls replaced, oldest first.
        unfinished_scan: the stored progress of an unfinished full scan, or None.
    """

    head: Head | None
    last_poll: PollRecord | None
    last_reconcile: ReconcileRecord | None
    abilities: Abilities | None
    known: KnownModels
    identities: Identities
    superseded: tuple[Superseded, ...] = ()
    unfinished_scan: Document | None = None


@dataclass(frozen=True, slots=True)
class Upkeep:
    """What pruning has to know.

    Attributes:
        waiting: the sinks that have pending entries.
        orphaned_since: since when each of them has been missing from the configuration, ms since the epoch.
        pruned_at: when history was last pruned, ms since the epoch; None if it never was.
    """

    waiting: frozenset[str]
    orphaned_since: Mapping[str, int]
    pruned_at: int | None


class PollState(Turns, Protocol):
    """What a poll begins from and commits. Every method that writes raises `StateUnwritable` if nothing was written."""

    async def load_basis(self) -> Basis:
        """Return what a poll begins from."""
        ...

    async def commit_poll(self, commit: PollCommit) -> list[Entry]:
        """Commit a poll: snapshot, events and outbox entries, all or nothing; return the entries with their numbers.

        Numbers rise in the order of commits, also across `RelayState.enqueue`.

        Raises:
            StateChanged: the state is no longer the one that the poll began from; nothing took effect.
        """
        ...

    async def record_poll(self, record: PollRecord, reconciled: ReconcileRecord | None = None) -> None:
        """Record the result of a poll that failed, or that changed nothing."""
        ...

    async def keep_scan(self, scan: Document | None, parts: Iterable[tuple[str, Document]] = ()) -> None:
        """Store the progress of an unfinished full scan, after its new ``parts`` by name; None removes it.

        Parts that ``scan["progress"]["parts"]`` does not name are removed.
        """
        ...

    def scan_part(self, name: str) -> Document:
        """Return a part of the unfinished full scan, or raise `KeyError`. Any thread may ask."""
        ...

    async def load_grants(self) -> list[TransitionRequest]:
        """Return the requests of which the approval may still be used up by a transition, oldest first."""
        ...

    async def load_undoing(self) -> list[DirectTransition]:
        """Return the direct transitions that are being undone."""
        ...

    async def load_direct(self, model: str | None = None) -> list[DirectTransition]:
        """Return the direct transitions of a model, or else of all those about which something is to be done, oldest first."""
        ...

    async def load_requests_of(self, model: str, version: str) -> list[TransitionRequest]:
        """Return the requests about a version that are still kept, oldest first."""
        ...

    async def write_head(self, head: Head) -> None:
        """Replace the head of the state (to bind the state to a registry that moved).

        Raises:
            StateChanged: ``head`` was made from another head; it is unchanged.
        """
        ...

    async def lift_numbers(self, now_ms: int, note: Note) -> None:
        """Have all that is numbered from now on have numbers above those of any life of this state: generations, entries.

        Generations go on from the present second, and entries from the present millisecond (since the epoch): no state
        that was restored before, from whatever backup, has come so far.

        Raises:
            InvalidState: there is no baseline yet.
        """
        ...

    async def load_upkeep(self) -> Upkeep:
        """Return what pruning has to know."""
        ...

    async def note(self, clock: ClockRecord, orphaned_since: Mapping[str, int]) -> None:
        """Record the clocks and the missing sinks, if they have changed."""
        ...

    async def prune(self, delivered_before: int, dead_before: int, now_ms: int) -> int:
        """Prune old history (ms since the epoch); return how many documents were removed.

        Events of pending or dead entries are kept.
        """
        ...


@dataclass(frozen=True, slots=True)
class TakenOutbox:
    """The numbers of the pending entries, in order, and the states of the sinks that have one stored."""

    pending: Sequence[int]
    conditions: Mapping[str, Condition]


@dataclass(frozen=True, slots=True)
class News:
    """What polls and operators changed in the outbox.

    Entries to deliver, entries that need not wait for a verdict any more, removed entries, states of sinks.
    """

    entries: Sequence[Entry] = ()
    released: Sequence[Entry] = ()
    removed: Sequence[Entry] = ()
    conditions: Mapping[str, Condition] = field(default_factory=dict)


Listener = Callable[[News], None]
"""Is called in the event loop, in the order of commits, before the method that commits returns. It must not raise."""


class RelayState(Turns, Protocol):
    """What the relay takes, hears of and settles, and what operators change in the outbox.

    Every method that writes raises `StateUnwritable` if nothing was written. What is written was read before: who reads,
    decides and writes holds the `turn` from the first to the last.
    """

    def is_owned(self) -> bool:
        """Whether this process still owns the state for certain: otherwise another may be sending already."""
        ...

    async def take(self, listener: Listener) -> TakenOutbox:
        """Return what is pending, and tell ``listener`` of every change after it; an earlier listener hears no more.

        An entry is pending or in later news, never in both, and there is no news before the caller waits again, or
        while it holds the turn. Numbers, because a hundred thousand entries would take 50 MB.
        What the relay itself settles is no news.
        """
        ...

    async def load_pending(self, is_wanted: Callable[[EntryHeader], bool]) -> list[Entry]:
        """Return the pending entries that are wanted, in order; no others are decoded."""
        ...

    async def load_conditions(self) -> Mapping[str, Condition]:
        """Return the states of the sinks that have one stored."""
        ...

    async def load_entries(self, numbers: Sequence[int]) -> list[Entry]:
        """Return those of the numbered entries that are in the outbox, in the order of ``numbers``."""
        ...

    async def load_event(self, event_id: str) -> Event | None:
        """Return a recorded event, or None."""
        ...

    async def load_model_name(self, event: Event) -> str | None:
        """Return the present name of an event's model, which may have been renamed; None if it is deleted."""
        ...

    async def load_model(self, name: str) -> RegisteredModel | None:
        """Return a known model, or None."""
        ...

    async def load_details(self, event_id: str) -> Document:
        """Return the stored details of an event, by part."""
        ...

    async def keep_details(self, event_id: str, details: Document) -> Document:
        """Add details of an event to those already stored; return all of them.

        If the event has been pruned meanwhile, nothing is stored.
        """
        ...

    async def load_direct_transition(self, direct: str) -> DirectTransition | None:
        """Return the direct transition with this id, or None."""
        ...

    async def load_clock(self) -> ClockRecord | None:
        """Return the clocks when they were last recorded, or None."""
        ...

    async def settle(
        self,
        entries: Sequence[Entry],
        conditions: Mapping[str, Condition] | None = None,
        clock: ClockRecord | None = None,
    ) -> None:
        """Make the results of some attempts durable, and the states of their sinks.

        With ``clock``, all times are by that clock: it is stored in the same commit, otherwise a jump would
        be corrected twice.

        Raises:
            StateChanged: an entry is no longer in the outbox, or its number belongs to another; nothing was recorded.
        """
        ...

    async def redrive(self, entries: Sequence[Entry], notes: Sequence[Note]) -> None:
        """Store dead entries that are to be delivered again."""
        ...

    async def enqueue(self, entries: Sequence[Entry], notes: Sequence[Note] = ()) -> list[Entry]:
        """Add entries that do not come from a poll; return them with their numbers."""
        ...

    async def drop(self, entries: Sequence[Entry], notes: Sequence[Note] = ()) -> None:
        """Remove entries, whatever their status."""
        ...

    async def set_condition(
        self, sink: str, condition: Condition, entries: Sequence[Entry], notes: Sequence[Note]
    ) -> None:
        """Store the state of a sink that an operator pauses or resumes, and its pending ``entries`` that change."""
        ...


class WebhookState(Turns, Protocol):
    """The webhooks. Every method that writes raises `StateUnwritable` if nothing was written."""

    async def load_webhooks(self) -> list[Webhook]:
        """Return the webhooks in the order of their creation."""
        ...

    async def keep_webhooks(self, webhooks: Sequence[Webhook], notes: Sequence[Note]) -> None:
        """Create webhooks, or replace those with the same ids, in one commit."""
        ...

    async def delete_webhook(self, webhook: str, notes: Sequence[Note]) -> list[Entry]:
        """Delete the webhook with this id, and give up its pending entries, in one commit; return these entries."""
        ...


@dataclass(frozen=True, slots=True)
class GovernanceCommit:
    """What is committed together when transition requests, or direct transitions, change.

    Attributes:
        requests: the requests that are new or changed.
        direct: the direct transitions that changed.
        released: entries that need not wait for a verdict any more.
        refused: entries that are removed, because what they tell of was undone.
        models: known models as they are now, because the bridge itself changed them.
        events: what tells of it, in order.
        routed: the events to deliver, in order.
        notes: notes for the audit trail.
        at: now, ms since the epoch.
    """

    at: int
    requests: Sequence[TransitionRequest] = ()
    direct: Sequence[DirectTransition] = ()
    released: Sequence[Entry] = ()
    refused: Sequence[Entry] = ()
    models: Sequence[RegisteredModel] = ()
    events: Sequence[Event] = ()
    routed: Sequence[Routed] = ()
    notes: Sequence[Note] = ()


class GovernanceState(Turns, Protocol):
    """The transition requests and direct transitions. Every method that writes raises `StateUnwritable` if nothing was written."""

    async def load_open_requests(self) -> list[TransitionRequest]:
        """Return the requests about which something is still to be done, oldest first."""
        ...

    async def load_request(self, request: str) -> TransitionRequest | None:
        """Return the request with this id, or None."""
        ...

    async def load_waiting(self, direct: DirectTransition) -> list[Entry]:
        """Return the entries that wait for the verdict on a direct transition."""
        ...

    async def commit_governance(self, commit: GovernanceCommit) -> list[Entry]:
        """Commit changes: all of it, or nothing; return the new entries with their numbers.

        Raises:
            InvalidState: there is no baseline yet.
        """
        ...


class State(PollState, RelayState, WebhookState, GovernanceState, Protocol):
    """The whole state, as its owner has it."""

    async def ask(self, question: Callable[[StateReader], T]) -> T:
        """Return the answer to ``question``, which sees the state as it is at one moment."""
        ...
