"""Routes events to sinks by the sinks' filters."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from bridge.diff.registry_changes import ChangeKind as K
from bridge.events.event import Event
from bridge.events.event_names import EVENT_NAMES
from bridge.events.event_types import GovernanceKind
from bridge.events.jmespath_expressions import EvaluationFailed, Expression
from bridge.events.json_templates import context_of

EXCLUDES = "!"
"""The first character of a glob that excludes models."""

_TAGS = frozenset({K.MODEL_TAG_SET, K.MODEL_TAG_DELETED, K.VERSION_TAG_SET, K.VERSION_TAG_DELETED})


@dataclass(frozen=True, slots=True)
class Route:
    """A sink's filters. An event must pass every one; an empty filter lets all events pass.

    Attributes:
        sink: the name of the sink.
        events: names of events.
        models: globs of models; one that begins with ``!`` excludes the models that it matches.
        to_stages: the target stages of transitions, and of requests for them; other events are not affected.
        from_stages: the source stages likewise.
        aliases: patterns for the whole alias; only events about an alias are affected.
        tags: keys and globs of their values; only tag events are affected.
        when: an expression over the members that templates see.
        include: the details to send with events (see `bridge.events.event_details`); filters nothing.
        requests_as_transitions: whether a sink that asks for transitions gets requests for them, too, under that name.
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
    requests_as_transitions: bool = False


@dataclass(frozen=True, slots=True)
class Routed:
    """An event for a sink, under the name that the sink asks for.

    ``doubt`` is the error if the sink's ``when`` expression could not be evaluated; the event is sent then.
    ``waits_for`` is the direct transition whose verdict the delivery waits for, if there is one.
    """

    event: Event
    sink: str
    event_name: str
    doubt: str = ""
    waits_for: str = ""


def route(events: Iterable[Event], routes: Sequence[Route]) -> list[Routed]:
    """Return the events with their sinks, in the order of the events."""
    return [found for event in events for way in routes if (found := _routed(event, way)) is not None]


def match(event: Event, way: Route) -> str | None:
    """Return the name under which ``way`` asks for ``event``, or None where it does not."""
    found = _routed(event, way)
    return found.event_name if found else None


def selects(globs: Sequence[str], name: str) -> bool:
    """Whether ``globs`` select the model of that name.

    They do if one of them matches, or if all of them only exclude, and none excludes the model. Matching is
    case-sensitive on every platform.
    """
    wanted, unwanted = split_globs(globs)
    return (not wanted or any(matches(name, glob) for glob in wanted)) and not any(
        matches(name, glob) for glob in unwanted
    )


def matches(name: str, glob: str) -> bool:
    """Whether a glob matches a name; a name always matches itself, even with brackets in it."""
    return name == glob or fnmatchcase(name, glob)


def split_globs(globs: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the globs that select, and those that exclude (without the leading ``!``)."""
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
    except EvaluationFailed as failed:  # an unwanted delivery is better than a lost one
        return Routed(event, way.sink, name, str(failed))


def _asked_as(event: Event, way: Route) -> str | None:
    """Return the configured name that selects the event; if several do, the narrower one."""
    asked = [EVENT_NAMES[name] for name in way.events]
    matching = [name for name in asked if name.selects(event.type, event.changed.get("to_stage"))]
    matching.sort(key=lambda name: name.to_stage is None)
    if matching:
        return matching[0].name
    return K.TRANSITIONED.value if _is_told_as_transition(event, way) else None


def _is_told_as_transition(event: Event, way: Route) -> bool:
    is_request = event.type is GovernanceKind.REQUEST_CREATED and "to_stage" in event.changed
    return way.requests_as_transitions and is_request and K.TRANSITIONED.value in way.events


def _stages_match(event: Event, way: Route) -> bool:
    if "to_stage" not in event.changed:
        return True
    to_stage, from_stage = event.changed.get("to_stage"), event.changed.get("from_stage")
    return (not way.to_stages or to_stage in way.to_stages) and (
        not way.from_stages or from_stage in way.from_stages
    )


def _model_matches(event: Event, globs: Sequence[str]) -> bool:
    """Whether the globs select a model; after a rename, by its old or its new name."""
    names = {event.model_name, event.changed.get("previous_name") or event.model_name}
    return any(selects(globs, name) for name in names)


def _alias_matches(event: Event, patterns: Sequence[re.Pattern[str]]) -> bool:
    if not patterns or "alias" not in event.changed:
        return True
    alias = event.changed.get("alias") or ""
    return any(pattern.fullmatch(alias) for pattern in patterns)


def _tag_matches(event: Event, conditions: Sequence[tuple[str, str]]) -> bool:
    """Whether a tag matches: a set tag by its new value, a deleted one by its last value."""
    if not conditions or event.type not in _TAGS:
        return True
    value = event.changed.get("value")
    if value is None:
        value = event.changed.get("previous_value")
    key = event.changed.get("key")
    return any(key == named and matches(value or "", glob) for named, glob in conditions)
