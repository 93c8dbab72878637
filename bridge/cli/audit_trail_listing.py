"""Filter the events and notes of the audit trail, and format them as table rows or JSON. Pure."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from heapq import merge
from itertools import pairwise
from typing import Any

from bridge.cli.option_types import Instant
from bridge.delivery.event_routing import Route, match, selects
from bridge.events.display_text import changed, instant
from bridge.events.event import Event
from bridge.events.event_names import EVENT_NAMES
from bridge.events.event_types import EVENT_TYPES
from bridge.store.state_metadata import Note

_SHORT = 8
"""How many characters of an id a table shows: enough to tell nearly all events apart."""

Observed = Event | Note


@dataclass(frozen=True, slots=True)
class Filter:
    """Which events and notes to list: globs of model names, event names or note kinds, and a time range."""

    models: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    since: Instant | None = None
    until: Instant | None = None

    @property
    def is_empty(self) -> bool:
        """Whether it lists everything."""
        return self == Filter()

    def events(self, events: Iterable[Event]) -> Iterator[Event]:
        """Yield the matching events; models and types match as in a sink's filters."""
        every = tuple(kind.value for kind in EVENT_TYPES)
        names = tuple(name for name in self.types if name in EVENT_NAMES) if self.types else every
        way = Route("", names, self.models)
        selects_all = not self.types and not self.models
        for event in events:
            if self._covers(event.observed_at) and (selects_all or match(event, way) is not None):
                yield event

    def notes(self, notes: Iterable[Note]) -> Iterator[Note]:
        """Yield the matching notes."""
        for note in notes:
            if (
                selects(self.models, note.model)
                and self._covers(note.at)
                and (not self.types or note.kind in self.types)
            ):
                yield note

    def _covers(self, at: int) -> bool:
        return (self.since is None or self.since.at <= at) and (self.until is None or at <= self.until.at)


def merge_by_time(events: Iterable[Event], notes: Iterable[Note]) -> Iterator[Observed]:
    """Yield events and notes together, ordered by the time of observation."""
    return merge(events, notes, key=_at)


def is_ordered(found: Sequence[Observed]) -> bool:
    """Whether nothing was observed before the one before it: the clock was not set back meanwhile."""
    return all(_at(one) <= _at(later) for one, later in pairwise(found))


def _at(one: Observed) -> int:
    return one.observed_at if isinstance(one, Event) else one.at


def newest(found: Iterable[Observed], limit: int | None) -> tuple[Sequence[Observed], int]:
    """Return the newest ``limit`` items (None: all), oldest first, and the number of older ones left out."""
    kept: deque[Observed] = deque(maxlen=limit)
    left_out = 0
    for one in found:
        left_out += len(kept) == limit
        kept.append(one)
    return kept, left_out


def document(found: Sequence[Observed], left_out: int) -> dict[str, Any]:
    """Return the listing as a JSON document."""
    return {
        "events": [one.to_document() for one in found if isinstance(one, Event)],
        "notes": [one.to_document() for one in found if isinstance(one, Note)],
        "left_out": left_out,
    }


def row(one: Observed) -> dict[str, Any]:
    """Return the table row of an event or a note."""
    if isinstance(one, Note):
        change = f"{one.detail} (by {one.by})" if one.by else one.detail
        told = {"EVENT": one.kind, "MODEL": one.model, "VERSION": one.version, "CHANGE": change}
        return {"OBSERVED": instant(one.at), **told, "ID": None}
    return {
        "OBSERVED": instant(one.observed_at),
        "EVENT": one.type.value,
        "MODEL": one.model_name,
        "VERSION": one.model_version,
        "CHANGE": changed(one),
        "ID": one.id[:_SHORT],
    }
