"""Which event goes to which sink."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from bridge.diff.registry_changes import ChangeKind as K
from bridge.events.event import Event
from bridge.events.event_names import EVENT_NAMES
from bridge.events.jmespath_expressions import EvaluationFailed, Expression
from bridge.events.json_templates import context_of

EXCLUDES = "!"
"""What a glob begins with that leaves models out."""

_ALIASES = frozenset({K.ALIAS_SET, K.ALIAS_DELETED})
_TAGS = frozenset({K.MODEL_TAG_SET, K.MODEL_TAG_DELETED, K.VERSION_TAG_SET, K.VERSION_TAG_DELETED})


@dataclass(frozen=True, slots=True)
class Route:
    """A sink's filters: every one has to let an event through, and an empty one lets all through.

    Attributes:
        sink: whose they are.
        events: names of events.
        models: globs of models; one that begins with ``!`` leaves out what it matches.
        to_stages: where transitions go; constrains nothing else.
        from_stages: where transitions come from; constrains nothing else.
        aliases: patterns for the whole alias; constrains events of aliases alone.
        tags: keys and globs of their values; constrains events of tags alone.
        when: an expression over what templates see.
        include: what goes with the events (see `bridge.events.event_details`); filters nothing.
    """

    sink: str
    events: tuple[str, ...]
    models: tuple[str, ...] = ()
    to_stages: tuple[str, ...] = ()
    from_stages: tuple[str, ...] = ()
    aliases: tuple[re.Pattern[str], ...] = ()
    tags: tuple[tuple[str, str], ...] = ()
    when: Expression | None = None
    include: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Routed:
    """An event for a sink, under the name that the sink asked for.

    ``doubt`` says why it could not be decided whether the sink wants it: then it gets it.
    """

    event: Event
    sink: str
    event_name: str
    doubt: str = ""


def route(events: Iterable[Event], routes: Sequence[Route]) -> list[Routed]:
    """Return what goes where, event by event in their order."""
    return [found for event in events for way in routes if (found := _routed(event, way)) is not None]


def match(event: Event, way: Route) -> str | None:
    """Return the name under which ``way`` asks for ``event``, or None where it does not."""
    found = _routed(event, way)
    return found.event_name if found else None


def selects(globs: Sequence[str], name: str) -> bool:
    """Whether ``globs`` select the model of that name: one does, or all only exclude, and none excludes it.

    Case-sensitive everywhere.
    """
    wanted, unwanted = parted(globs)
    return (not wanted or any(matches(name, glob) for glob in wanted)) and not any(
        matches(name, glob) for glob in unwanted
    )


def matches(name: str, glob: str) -> bool:
    """Whether a glob matches a name; a name that is written as it is matches itself, brackets and all."""
    return name == glob or fnmatchcase(name, glob)


def parted(globs: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the globs that select, and those that exclude (without their mark)."""
    wanted = tuple(glob for glob in globs if not glob.startswith(EXCLUDES))
    return wanted, tuple(glob.removeprefix(EXCLUDES) for glob in globs if glob.startswith(EXCLUDES))


def _routed(event: Event, way: Route) -> Routed | None:
    name = _asked_as(event, way)
    if name is None or not (_stages_match(event, way) and _model_matches(event, way.models)):
        return None
    if not (_alias_matches(event, way.aliases) and _tag_matches(event, way.tags)):
        return None
    if way.when is None:
        return Routed(event, way.sink, name)
    try:
        return Routed(event, way.sink, name) if way.when.is_true(context_of(event, name, way.sink)) else None
    except EvaluationFailed as failed:  # a delivery too many is better than one that is lost
        return Routed(event, way.sink, name, str(failed))


def _asked_as(event: Event, way: Route) -> str | None:
    """Return the name that fits; where a broad and a narrower one both do, the narrower."""
    asked = [EVENT_NAMES[name] for name in way.events]
    matching = [name for name in asked if name.selects(event.type, event.changed.get("to_stage"))]
    matching.sort(key=lambda name: name.to_stage is None)
    return matching[0].name if matching else None


def _stages_match(event: Event, way: Route) -> bool:
    if event.type is not K.TRANSITIONED:
        return True
    to_stage, from_stage = event.changed.get("to_stage"), event.changed.get("from_stage")
    return (not way.to_stages or to_stage in way.to_stages) and (
        not way.from_stages or from_stage in way.from_stages
    )


def _model_matches(event: Event, globs: Sequence[str]) -> bool:
    """A rename matches by its old or its new name."""
    names = {event.model_name, event.changed.get("previous_name") or event.model_name}
    return any(selects(globs, name) for name in names)


def _alias_matches(event: Event, patterns: Sequence[re.Pattern[str]]) -> bool:
    if not patterns or event.type not in _ALIASES:
        return True
    alias = event.changed.get("alias") or ""
    return any(pattern.fullmatch(alias) for pattern in patterns)


def _tag_matches(event: Event, conditions: Sequence[tuple[str, str]]) -> bool:
    """A tag that was set matches by its new value, one that was deleted by the value that it had."""
    if not conditions or event.type not in _TAGS:
        return True
    value = event.changed.get("value")
    if value is None:
        value = event.changed.get("previous_value")
    key = event.changed.get("key")
    return any(key == named and matches(value or "", glob) for named, glob in conditions)
