"""The history of model names, version stages and alias targets, as steps read from events. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from bridge.diff.registry_changes import ChangeKind as K
from bridge.diff.snapshot import NO_STAGE
from bridge.events.event import Event

ABSENT = ""
"""The value of something that does not exist: no name, stage or version is empty."""


@dataclass(frozen=True, slots=True)
class Step:
    """A value that changed at ``at``, ms since the epoch; None is a value that is not known."""

    at: int
    before: str | None
    after: str | None


def value_at(steps: Sequence[Step], at_ms: int, now: str | None) -> tuple[str | None, int | None]:
    """Return the value at ``at_ms``, and since when it had it; ``now`` is the value if it never changed."""
    for step in reversed(steps):
        if step.at <= at_ms:
            return step.after, step.at
    return (steps[0].before if steps else now), None


def _moment(event: Event) -> int:
    """Return the time of an event: never later than its observation, even if the registry's clock is ahead."""
    return min(event.timestamp, event.observed_at)


Taken = Mapping[tuple[int, str], int]
"""When a name was taken, ms since the epoch, by the time of the observation and the name."""


def taken_in(events: Iterable[Event]) -> Taken:
    """Return when each name was taken: its previous holder no longer had it by then."""
    takers = (event for event in events if event.type in {K.MODEL_CREATED, K.MODEL_RENAMED})
    return {(event.observed_at, event.model_name): _moment(event) for event in takers}


def name_steps(events: Iterable[Event], taken: Taken) -> Iterator[Step]:
    """Yield how the name of one model changed, from its creation to its deletion."""
    for event in events:
        at, name = _moment(event), event.model_name
        if event.type is K.MODEL_CREATED:
            yield Step(at, ABSENT, name)
        elif event.type is K.MODEL_RENAMED:
            before = event.changed["previous_name"] or ""
            yield Step(min(at, taken.get((event.observed_at, before), at)), before, name)
        elif event.type is K.MODEL_DELETED:
            yield Step(min(at, taken.get((event.observed_at, name), at)), name, ABSENT)


def stage_steps(events: Iterable[Event]) -> defaultdict[str, list[Step]]:
    """Return the steps of each version's stage; versions with other events have none.

    If a version number was used again within one observation, its creation is announced before the deletion
    of the former version.
    """
    steps: defaultdict[str, list[Step]] = defaultdict(list)
    born: dict[tuple[int, str], Step] = {}
    for event in events:
        if event.model_version is None:
            continue
        number, at = event.model_version, _moment(event)
        mine = steps[number]
        if event.type is K.VERSION_CREATED:
            mine.append(Step(at, ABSENT, NO_STAGE))
            born[event.observed_at, number] = mine[-1]
        elif event.type is K.TRANSITIONED:
            mine.append(Step(at, event.changed["from_stage"], event.changed["to_stage"]))
        elif event.type is K.VERSION_DELETED:
            heir = born.get((event.observed_at, number))
            place, end = (mine.index(heir), min(at, heir.at)) if heir else (len(mine), at)
            mine.insert(place, Step(end, None, ABSENT))
    return steps


def alias_steps(events: Iterable[Event]) -> defaultdict[str, list[Step]]:
    """Return the steps of each alias's version."""
    steps: defaultdict[str, list[Step]] = defaultdict(list)
    for event in events:
        alias = event.changed.get("alias") or ""
        if event.type is K.ALIAS_SET:
            before = event.changed.get("previous_version") or ABSENT
            steps[alias].append(Step(_moment(event), before, event.model_version))
        elif event.type is K.ALIAS_DELETED:
            steps[alias].append(Step(_moment(event), event.model_version, ABSENT))
    return steps
