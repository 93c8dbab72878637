"""Which version was in which stage at a given time, from the snapshot and the recorded events. Pure.

Each value that may have changed (a model's name, a version's stage, an alias's version) is followed through
the events that changed it. The last event at or before the given time tells the value. If all events are
later, the first one tells what the value was before. A value that no event changed is as it is now. An event
counts from the registry's own time of the change or from the time of observation, whichever is earlier.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from bridge.diff.registry_changes import ChangeKind as K
from bridge.diff.snapshot import NO_STAGE, RegisteredModel, Snapshot, version_order
from bridge.events.event import Event
from bridge.events.event_synthesis import Identity
from bridge.events.name_stage_alias_history import (
    ABSENT,
    Step,
    Taken,
    alias_steps,
    name_steps,
    stage_steps,
    taken_in,
    value_at,
)

_RANKS = {"Production": 0, "Staging": 1, "Archived": 3, NO_STAGE: 4}
_OTHER = 2


@dataclass(frozen=True, slots=True)
class Late:
    """A model, or a version of one, that came into view at ``at`` (ms since the epoch)."""

    at: int
    model: str
    version: str = ""


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a state records.

    Attributes:
        models: the present snapshot.
        identities: the identities of the models in it.
        events: in the order in which they were observed.
        since: ms since the epoch: ``events`` holds everything that was observed from then on.
        late: models and versions that came into view without an event.
    """

    models: Snapshot
    identities: Mapping[str, Identity]
    events: Sequence[Event]
    since: int
    late: Sequence[Late] = ()


@dataclass(frozen=True, slots=True)
class VersionAtTime:
    """A version at the given time; ``stage`` is None where nothing tells it.

    ``since`` is the time from which the version had this stage, ms; None where that was before all records.
    """

    version: str
    stage: str | None
    aliases: tuple[str, ...]
    since: int | None


@dataclass(frozen=True, slots=True)
class ModelAtTime:
    """A model at the given time.

    Attributes:
        name: its name at that time.
        now: its present name, or None where it was deleted since.
        versions: those in Production first, then Staging; those in no stage last; newest first.
        is_complete: whether all its versions are known. Of a model deleted since, only versions with
            events are known, unless its creation is recorded.
        hidden_until: when it came into view, ms, if that was after the given time: nothing else is known then.
    """

    name: str
    now: str | None
    versions: tuple[VersionAtTime, ...] = ()
    is_complete: bool = True
    hidden_until: int | None = None


def models_at(recorded: Recorded, at_ms: int, selects: Callable[[str], bool]) -> list[ModelAtTime]:
    """Return the models that existed at ``at_ms`` (ms since the epoch), by name.

    Args:
        recorded: what the state records.
        at_ms: the given time; nothing is known of times before ``recorded.since``.
        selects: whether a name is asked for. A model matches by the name that it had then, and by
            its present or last name.
    """
    told = [event for event in recorded.events if event.observed_at >= recorded.since]
    taken = taken_in(told)
    models = [
        model
        for life in _lives(recorded, told, selects)
        if (model := _model_at(life, at_ms, taken, recorded.late)) is not None
        if selects(model.name) or selects(life.last_name)
    ]
    return sorted(models, key=lambda model: model.name)


@dataclass(frozen=True, slots=True)
class _Life:
    """The records of one model, from its creation (or the first event known) to its deletion."""

    events: list[Event] = field(default_factory=list)
    model: RegisteredModel | None = None

    @property
    def last_name(self) -> str:
        return self.model.name if self.model else self.events[-1].model_name


def _lives(recorded: Recorded, events: Sequence[Event], selects: Callable[[str], bool]) -> Iterator[_Life]:
    """Yield the records of each model that may be selected; a lane has at most one living model."""
    lanes = {identity.lane: name for name, identity in recorded.identities.items()}
    meant = {lane for lane, name in lanes.items() if selects(name)}
    meant |= {event.lane for event in events if any(map(selects, _names(event)))}
    told: dict[str, list[list[Event]]] = {lane: [[]] for lane in sorted(meant)}
    for event in events:
        if event.lane in told:
            told[event.lane][-1].append(event)
            if event.type is K.MODEL_DELETED:
                told[event.lane].append([])
    for lane, (*past, last) in told.items():
        yield from (_Life(life) for life in past)
        if lane in lanes:
            yield _Life(last, recorded.models[lanes[lane]])


def _names(event: Event) -> set[str]:
    return {event.model_name, event.changed.get("previous_name") or event.model_name}


def _model_at(life: _Life, at_ms: int, taken: Taken, late: Iterable[Late]) -> ModelAtTime | None:
    names = list(name_steps(life.events, taken))
    now = life.model.name if life.model else None
    mine = [one for one in late if value_at(names, one.at, now)[0] == one.model]
    shown = [one.at for one in mine if not one.version and at_ms < one.at]
    if shown:
        return ModelAtTime(value_at(names, shown[0], now)[0] or "", now, hidden_until=shown[0])
    name, _ = value_at(names, at_ms, now)
    if not name:
        return None
    is_complete = life.model is not None or life.events[0].type is K.MODEL_CREATED
    return ModelAtTime(name, now, tuple(_versions_at(life, at_ms, mine)), is_complete)


def _versions_at(life: _Life, at_ms: int, late: Iterable[Late]) -> list[VersionAtTime]:
    aliases, steps = _aliases_at(life, at_ms), stage_steps(life.events)
    known = life.model.versions if life.model else {}
    surfaced = {one.version: one.at for one in late if one.version}
    versions: list[VersionAtTime] = []
    for number in {*steps, *known, *surfaced}:
        now = known[number].stage if number in known else ABSENT if life.model else None
        mine = steps[number]
        if number in surfaced:
            mine.insert(0, Step(surfaced[number], None, mine[0].before if mine else now))
        stage, since = value_at(mine, at_ms, now)
        if stage != ABSENT:
            versions.append(VersionAtTime(number, stage, aliases.get(number, ()), since))
    return sorted(versions, key=_order)


def _aliases_at(life: _Life, at_ms: int) -> dict[str, tuple[str, ...]]:
    """Return each version's aliases."""
    steps = alias_steps(life.events)
    now = dict(life.model.aliases) if life.model else {}
    found: defaultdict[str, tuple[str, ...]] = defaultdict(tuple)
    for alias in sorted({*steps, *now}):
        version, _ = value_at(steps[alias], at_ms, now.get(alias, ABSENT))
        if version:
            found[version] += (alias,)
    return found


def _order(one: VersionAtTime) -> tuple[int, int, str]:
    number, text = version_order(one.version)
    return _RANKS.get(one.stage or "", _OTHER), -number, text
