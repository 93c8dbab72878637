"""Which event goes to which sink."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from bridge.events.event import Event
from bridge.events.names import EVENT_NAMES


@dataclass(frozen=True, slots=True)
class Route:
    """A sink's filters: names of events, globs of models, and stages (none means all)."""

    sink: str
    events: tuple[str, ...]
    models: tuple[str, ...] = ()
    to_stages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Routed:
    """An event for a sink, under the name that the sink asked for."""

    event: Event
    sink: str
    event_name: str


def route(events: Iterable[Event], routes: Sequence[Route]) -> list[Routed]:
    """Return what goes where, event by event in their order."""
    return [
        Routed(event, way.sink, name)
        for event in events
        for way in routes
        if (name := match(event, way)) is not None
    ]


def match(event: Event, way: Route) -> str | None:
    """Return the name under which ``way`` asks for ``event``, or None where it does not.

    Where a broad and a narrower name both match, the narrower one wins.
    """
    to_stage = event.changed.get("to_stage")
    if way.to_stages and to_stage is not None and to_stage not in way.to_stages:
        return None
    if not _model_matches(event, way.models):
        return None
    asked = [EVENT_NAMES[name] for name in way.events]
    matching = [name for name in asked if name.selects(event.type, to_stage)]
    matching.sort(key=lambda name: name.to_stage is None)
    return matching[0].name if matching else None


def _model_matches(event: Event, globs: Sequence[str]) -> bool:
    """A rename matches by its old or its new name. Globs are case-sensitive everywhere."""
    names = {event.model_name, event.changed.get("previous_name") or event.model_name}
    return not globs or any(fnmatchcase(name, glob) for name in names for glob in globs)
