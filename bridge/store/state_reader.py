"""The interface of the state for whoever asks: the commands, the status page, the metrics."""

from collections.abc import Iterable, Iterator
from typing import Protocol

from bridge.delivery.outbox_entry import Entry
from bridge.delivery.sink_state import Condition
from bridge.delivery.webhook import Webhook
from bridge.diff.known_snapshot import KnownModels
from bridge.diff.registry_abilities import Abilities
from bridge.events.event import Event
from bridge.events.event_synthesis import Identities
from bridge.governance.transition_request import TransitionRequest
from bridge.store.document_store_protocol import Document
from bridge.store.entry_header import EntryHeader
from bridge.store.state_metadata import (
    AttemptRecord,
    GovernanceSummary,
    Head,
    Note,
    PollRecord,
    ReconcileRecord,
    SinkSummary,
)


class StateReader(Protocol):
    """What is asked of the state. Nothing is changed, and nothing waits: see `bridge.store.base.State.ask`."""

    @property
    def head(self) -> Head | None:
        """The head of the state, or None before the baseline."""
        ...

    @property
    def last_poll(self) -> PollRecord | None:
        """The result of the last poll, or None before the first."""
        ...

    @property
    def last_reconcile(self) -> ReconcileRecord | None:
        """The last full scan, or None before the first."""
        ...

    @property
    def abilities(self) -> Abilities | None:
        """The detected abilities of the registry, or None before the first poll."""
        ...

    @property
    def kept_since(self) -> int:
        """The time from which all observations are kept, ms since the epoch; 0: nothing was pruned yet."""
        ...

    def known(self) -> KnownModels:
        """Return the last committed snapshot."""
        ...

    def identities(self) -> Identities:
        """Return lanes and generations of the known models."""
        ...

    def count_models(self) -> tuple[int, int]:
        """Return how many models and how many versions are known."""
        ...

    def notes(self) -> Iterator[Note]:
        """Yield the notes of the audit trail, oldest first."""
        ...

    def event(self, event_id: str) -> Event | None:
        """Return a recorded event, or None."""
        ...

    def events(self) -> Iterator[Event]:
        """Yield every event that is still kept, in the order in which they were observed."""
        ...

    def newest_events(self, count: int) -> list[Event]:
        """Return the last ``count`` events, newest first; the cost does not grow with the history."""
        ...

    def events_before(self, event_id: str | None) -> Iterator[Event]:
        """Yield events, newest first, from the one before this event on (None: the newest); each is decoded in its turn."""
        ...

    def notes_before(self, number: str | None) -> Iterator[tuple[str, Note]]:
        """Yield the numbers and notes of the audit trail, newest first, from the one before this number on."""
        ...

    def entries_before(self, number: int | None) -> Iterator[Entry]:
        """Yield outbox entries, newest first, from the one before this number on; each is decoded in its turn."""
        ...

    def details(self, event_id: str) -> Document:
        """Return the stored details of an event, by part."""
        ...

    def entry(self, number: int) -> Entry | None:
        """Return an outbox entry, or None."""
        ...

    def entries(self) -> Iterator[Entry]:
        """Yield every outbox entry that is still kept, in no particular order."""
        ...

    def entry_headers(self) -> Iterator[EntryHeader]:
        """Yield the header of every outbox entry that is still kept, in no particular order."""
        ...

    def entries_of(self, event_id: str) -> list[Entry]:
        """Return the outbox entries of an event, in order; no others are decoded."""
        ...

    def pending(self) -> list[Entry]:
        """Return the entries that are still to be delivered, in order."""
        ...

    def count_events(self) -> int:
        """Return how many events are still kept."""
        ...

    def count_notes(self) -> int:
        """Return how many notes are still kept."""
        ...

    def count_entries(self) -> int:
        """Return how many entries are still kept."""
        ...

    def newest_entries(self, count: int) -> Iterable[Entry]:
        """Return the last ``count`` entries, newest first, as they are now; each is decoded during iteration.

        The cost does not grow with the outbox.
        """
        ...

    def newest_dead(self, count: int) -> list[Entry]:
        """Return the ``count`` dead entries that ended last, newest first, without reading all others."""
        ...

    def attempts(self, entry: Entry) -> list[AttemptRecord]:
        """Return the recorded attempts of an entry, oldest first."""
        ...

    def webhooks(self) -> list[Webhook]:
        """Return the webhooks in the order of their creation."""
        ...

    def requests(self) -> Iterator[TransitionRequest]:
        """Yield the transition requests that are still kept, oldest first."""
        ...

    def requests_before(self, request: str | None) -> Iterator[TransitionRequest]:
        """Yield transition requests, newest first, from the one before this id on; each is decoded in its turn."""
        ...

    def request(self, request: str) -> TransitionRequest | None:
        """Return a transition request, or None."""
        ...

    def governance(self) -> GovernanceSummary:
        """Return the transition requests and direct transitions in numbers."""
        ...

    def conditions(self) -> dict[str, Condition]:
        """Return the states of the sinks that have one stored."""
        ...

    def summaries(self) -> dict[str, SinkSummary]:
        """Return a summary for each sink that has entries."""
        ...

    def size(self) -> int:
        """Return the size of the state, in bytes."""
        ...
