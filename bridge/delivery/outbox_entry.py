"""An outbox entry: one event to be delivered to one sink."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from enum import StrEnum, unique
from typing import Any, Self


@unique
class Status(StrEnum):
    """The status of an entry."""

    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Entry:
    """One event for one sink, and the state of its delivery. All times are ms since the epoch.

    Attributes:
        id: the entry's number, in the order in which everything was observed.
        sink: the sink's name.
        lane: the event's lane; entries of one sink and lane are delivered one by one.
        event_id: the id of the event.
        event_name: the name under which the sink asked for it.
        created_at: when the entry was committed.
        attempts: how many attempts were settled.
        first_attempt_at: when the first attempt began; `max_age` counts from here.
        last_attempt_at: when the last attempt ended, by the wall clock of that time.
        wait_ms: how long to wait after the last attempt.
        reason: the last attempt's reason; empty before the first attempt.
        http_status: the status of the last answer, if there was one.
        detail: the last attempt's detail, for people.
        duration_ms: how long the last attempt took.
        stood_still_ms: how long its sink was paused or stopped since the first attempt.
        sent_as: the id that receivers see, where it is not the event's own (a replay).
        waits_for: the direct transition whose verdict it waits for (`bridge.governance.direct_transition`); empty: for none.
        link: where the receiver shows the result of the event (a run, a pipeline).
    """

    id: int
    sink: str
    lane: str
    event_id: str
    event_name: str
    created_at: int
    status: Status = Status.PENDING
    attempts: int = 0
    first_attempt_at: int | None = None
    last_attempt_at: int | None = None
    wait_ms: int = 0
    reason: str = ""
    http_status: int | None = None
    detail: str = ""
    duration_ms: int = 0
    stood_still_ms: int = 0
    sent_as: str = ""
    waits_for: str = ""
    link: str = ""

    def to_document(self) -> dict[str, Any]:
        """Return the entry as plain JSON values, for the store; members with their default value are left out."""
        usual = {name: value for name, value in self.facts().items() if value != _USUAL[name]}
        return {**usual, "status": self.status.value}

    def facts(self) -> dict[str, Any]:
        """Return all members as plain JSON values."""
        return {**{name: getattr(self, name) for name in _USUAL}, "status": self.status.value}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Return the entry that `to_document` wrote; members of later versions are ignored."""
        values = {name: document[name] for name in _USUAL if name in document}
        values["status"] = Status(values["status"])
        return cls(**values)


_USUAL = {field.name: field.default for field in fields(Entry)}
"""The members' default values; `dataclasses.MISSING`, which equals no value, for those without one."""


def shifted(entry: Entry, by_ms: int) -> Entry:
    """Return ``entry`` with the times of its attempts moved by ``by_ms``, after the wall clock jumped."""
    if not by_ms or entry.last_attempt_at is None:
        return entry
    first = None if entry.first_attempt_at is None else entry.first_attempt_at + by_ms
    return replace(entry, last_attempt_at=entry.last_attempt_at + by_ms, first_attempt_at=first)


def remaining_ms(entry: Entry, now_ms: int) -> int:
    """Return how long ``entry`` still has to wait, in ms.

    The entry stores the end of the last attempt and the wait. The result never exceeds that wait, even if the
    clock was set back since.
    """
    if entry.last_attempt_at is None:
        return 0
    return min(max(entry.last_attempt_at + entry.wait_ms - now_ms, 0), entry.wait_ms)
