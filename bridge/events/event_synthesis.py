"""Synthesizes events from differences: gives them ids, generations and lanes.

An event's id is derived from the state's own random id, the entity and its creation timestamp, what changed,
from, to, and the model's generation. So the same poll, repeated after a crash, gives the same ids. The same
change made twice gives two ids. A rebuilt state has another random id and never reuses one.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, count
from uuid import UUID, uuid5

from bridge.diff.registry_changes import Change
from bridge.diff.snapshot import RegisteredModel
from bridge.diff.snapshot_comparison import ModelDifference
from bridge.events.event import Event, event_of


@dataclass(frozen=True, slots=True)
class Identity:
    """What a model keeps through renames: its lane, and a generation that only rises."""

    lane: str
    generation: int


@dataclass(frozen=True, slots=True)
class Identities:
    """The identities of all known models, by name, and what remains of deleted models.

    ``floor`` is above every generation of a deleted model. A model that is new or comes back starts there, so
    that no id is ever reused. ``past_lanes`` are the lanes of deleted models that had been renamed: a model
    that gets their name continues their lane.
    """

    by_name: Mapping[str, Identity] = field(default_factory=dict)
    floor: int = 0
    past_lanes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Synthesis:
    """The events of one poll in order, and the identities to store with them."""

    events: tuple[Event, ...]
    identities: Mapping[str, Identity]
    floor: int
    past_lanes: Mapping[str, str]


def synthesize(
    differences: Sequence[ModelDifference], known: Identities, state_id: UUID, observed_at: int
) -> Synthesis:
    """Return the events that ``differences`` give rise to.

    ``identities`` of the result holds the models of ``differences`` that still exist, under their new names.
    Models without a difference keep the identities that they have.
    """
    floor, past_lanes = _left_behind(differences, known)
    lanes = _Lanes(_living_lanes(differences, known), past_lanes)
    events: list[Event] = []
    identities: dict[str, Identity] = {}
    for difference in differences:
        identity = _identity(difference, known, lanes, floor)
        events += [
            event_of(change, _event_id(state_id, identity, change), identity.lane, observed_at)
            for change in difference.changes
        ]
        if difference.after is not None:
            identities[difference.after.name] = identity
    return Synthesis(tuple(events), identities, floor, past_lanes)


def _left_behind(differences: Sequence[ModelDifference], known: Identities) -> tuple[int, dict[str, str]]:
    floor, past_lanes = known.floor, dict(known.past_lanes)
    for difference in differences:
        if difference.after is None and difference.before is not None:
            name = difference.before.name
            identity = known.by_name[name]
            floor = max(floor, identity.generation + 2)
            if identity.lane != name:
                past_lanes[name] = identity.lane
    return floor, past_lanes


def _living_lanes(differences: Sequence[ModelDifference], known: Identities) -> set[str]:
    """Return the lanes that a new model must not take; empty if there is no new model."""
    if all(one.before is not None for one in differences):
        return set()
    gone = {one.before.name for one in differences if one.before and one.after is None}
    return {identity.lane for name, identity in known.by_name.items() if name not in gone}


@dataclass(slots=True)
class _Lanes:
    """Lanes for new models: a model continues the lane of its name, unless a living model has it.

    No two living models share a lane, and generations rise from one holder of a lane to the next. So a lane
    and a generation together never stand for two different moments.
    """

    living: set[str]
    past: Mapping[str, str]

    def take(self, model: RegisteredModel) -> str:
        wished = self.past.get(model.name, model.name)
        free = (f"{model.name}@{model.created}{'+' * more}" for more in count())
        lane = next(lane for lane in chain([wished], free) if lane not in self.living)
        self.living.add(lane)
        return lane


def _identity(difference: ModelDifference, known: Identities, lanes: _Lanes, floor: int) -> Identity:
    """Return a model's identity after this difference; changes raise the generation."""
    if difference.before is not None:
        before = known.by_name[difference.before.name]
        return Identity(before.lane, before.generation + bool(difference.changes))
    if difference.after is None:  # no model on either side: nothing to identify
        return Identity("", floor)
    return Identity(lanes.take(difference.after), floor)


def _event_id(state_id: UUID, identity: Identity, change: Change) -> str:
    facts = (
        identity.lane,
        change.model_created,
        change.version,
        change.version_created,
        change.kind.value,
        change.key,
        change.before,
        change.after,
        identity.generation,
    )
    return str(uuid5(state_id, json.dumps(facts)))
