"""The values that the status page shows: collected in the event loop, limited in number, and immutable."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bridge.delivery.outbox_entry import Entry
from bridge.events.event import Event
from bridge.store.state_metadata import AttemptRecord, PollRecord

Facts = Mapping[str, Any]
"""Facts with the names used by `mlflow-bridge status --output json`."""


@dataclass(frozen=True, slots=True)
class Pulse:
    """The present activity of the poll and the relay. Times are in milliseconds.

    Attributes:
        polling_for: how long the current poll has run; None if no poll is under way.
        next_poll_in: the time until the next poll; None if none is planned.
        is_polling_stuck: whether the poll or the relay's loop hangs.
        is_relay_stuck: whether the relay cannot write outcomes to the state, so that nothing is delivered.
    """

    polling_for: int | None = None
    next_poll_in: int | None = None
    is_polling_stuck: bool = False
    is_relay_stuck: bool = False


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A dead entry, its last attempts (oldest first), and its event, if that is still kept."""

    entry: Entry
    attempts: Sequence[AttemptRecord]
    event: Event | None


@dataclass(frozen=True, slots=True)
class View:
    """All values that the page shows.

    Attributes:
        now_ms: when the values were collected, in ms since the epoch.
        registry, scan, held, sinks: the values of `bridge.operations.status_report`.
        poll: the last poll.
        events: the last events, newest first.
        entries: the last entries, newest first, read lazily; ``has_all_entries`` means that there are
            no older ones.
        dead: the newest dead entries, newest first.
        is_full: whether there may be older events than ``events``.
        refusal: why the last reload was refused; empty if it was not.
    """

    now_ms: int
    registry: Facts
    poll: PollRecord | None = None
    scan: Facts | None = None
    held: Facts | None = None
    sinks: Sequence[Facts] = ()
    pulse: Pulse = field(default_factory=Pulse)
    events: Sequence[Event] = ()
    entries: Iterable[Entry] = ()
    has_all_entries: bool = True
    dead: Sequence[DeadLetter] = ()
    is_full: bool = False
    refusal: str = ""
