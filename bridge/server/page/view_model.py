"""What the status page shows, as values: taken in the event loop, bounded, and never changed after."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bridge.delivery.outbox_entry import Entry
from bridge.events.event import Event
from bridge.store.state_values import AttemptRecord, PollRecord

Facts = Mapping[str, Any]
"""Facts by the names that `mlflow-bridge status --output json` has for them."""


@dataclass(frozen=True, slots=True)
class Pulse:
    """How the two loops do just now. Times are ms.

    Attributes:
        polling_for: how long the poll under way has been; None where there is none.
        next_poll_in: how soon the next poll is due; None where nobody knows.
        is_polling_stuck: whether the poll under way should have ended long ago.
        is_relay_stuck: whether outcomes cannot be written down, so that nothing is delivered.
    """

    polling_for: int | None = None
    next_poll_in: int | None = None
    is_polling_stuck: bool = False
    is_relay_stuck: bool = False


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A dead entry, its last attempts (oldest first), and what it was to tell."""

    entry: Entry
    attempts: Sequence[AttemptRecord]
    event: Event | None


@dataclass(frozen=True, slots=True)
class View:
    """All that the page shows.

    Attributes:
        now_ms: when it was seen, ms since the epoch.
        registry, scan, held, sinks: as `bridge.operations.status_report` has them.
        poll: the last poll.
        events: the last events, newest first.
        entries: the last entries, newest first, read when they are needed; ``has_all_entries``
            says that there are no older ones.
        dead: the entries that died last, newest first.
        is_full: whether there may be older events than those.
        refusal: why the configuration file as it is now was refused, if it was.
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
