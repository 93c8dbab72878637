"""Whether what was delivered is what happened: applied to the baseline it gives the registry, and more.

Three judgements, each a list of faults in words:
- *replay*: the events of each lane, one after the other, lead from the baseline to the registry as
  it is, each from the very value that the one before it left;
- *history* (see `support.history`): every value told is one that a mutation set, in an order in
  which mutations can have happened;
- *deliveries*: an id stands for one body, and nothing that was recorded was left out.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Slot = tuple[str, str | None, str | None]
"""What holds a value: a kind, the version, the key."""

THERE = "there"


@dataclass
class Model:
    """A model's name and all that it holds; what holds nothing is left out (but for descriptions)."""

    name: str
    slots: dict[Slot, str] = field(default_factory=dict)


Models = dict[str, Model]


@dataclass(frozen=True)
class Delivered:
    """One event as it arrived: its lane is the one that the bridge put it into."""

    id: str
    lane: str
    body: Mapping[str, Any]
    at: float


@dataclass(frozen=True)
class Told:
    """What an event says: a slot of its model goes from one value to another (None is absence)."""

    slot: Slot
    before: str | None
    after: str | None


_TOLD = {
    "REGISTERED_MODEL_RENAMED": ("name", None, "previous_name", "model_name"),
    "REGISTERED_MODEL_UPDATED": ("description", None, "previous_description", "description"),
    "REGISTERED_MODEL_TAG_SET": ("tag", "key", "previous_value", "value"),
    "REGISTERED_MODEL_TAG_DELETED": ("tag", "key", "previous_value", None),
    "MODEL_VERSION_UPDATED": ("version description", None, "previous_description", "description"),
    "MODEL_VERSION_STATUS_CHANGED": ("status", None, "previous_status", "status"),
    "MODEL_VERSION_TRANSITIONED_STAGE": ("stage", None, "from_stage", "to_stage"),
    "MODEL_VERSION_TAG_SET": ("version tag", "key", "previous_value", "value"),
    "MODEL_VERSION_TAG_DELETED": ("version tag", "key", "previous_value", None),
    "MODEL_VERSION_ALIAS_SET": ("alias", "alias", "previous_version", "model_version"),
    "MODEL_VERSION_ALIAS_DELETED": ("alias", "alias", "model_version", None),
}
"""Of each event: what changes, and under which names its body holds the key, from and to."""


def told(body: Mapping[str, Any]) -> list[Told]:
    """Return what an event says, in the order in which it is to be believed."""
    event, version = body["event"], body.get("model_version")
    if event == "REGISTERED_MODEL_CREATED":
        return [
            Told(("model", None, None), None, THERE),
            Told(("description", None, None), None, body["description"] or ""),
        ]
    if event == "REGISTERED_MODEL_DELETED":
        return [Told(("model", None, None), THERE, None)]
    if event == "MODEL_VERSION_CREATED":
        return [
            Told(("version", version, None), None, body["source"]),
            Told(("version description", version, None), None, body["description"] or ""),
            Told(("status", version, None), None, body["status"]),
            Told(("stage", version, None), None, "None"),
        ]
    if event == "MODEL_VERSION_DELETED":
        return [Told(("version", version, None), THERE, None)]
    what, key, before, after = _TOLD[event]
    slot = (what, None if what == "alias" else version, body[key] if key else None)
    return [Told(slot, body[before], body[after] if after else None)]


MayDangle = Callable[[str | None, str | None], bool]
"""Whether MLflow may have pointed this alias to this version just as that was deleted."""


def _never(_alias: str | None, _version: str | None) -> bool:
    return False


def per_lane(deliveries: Iterable[Delivered]) -> dict[str, list[Delivered]]:
    """Return the events of each lane as they arrived, repeats left out."""
    lanes: dict[str, dict[str, Delivered]] = defaultdict(dict)
    for one in deliveries:
        lanes[one.lane].setdefault(one.id, one)
    return {lane: list(events.values()) for lane, events in lanes.items()}


def judge_deliveries(deliveries: Sequence[Delivered], recorded: Iterable[str]) -> list[str]:
    """Return the ids that stand for two bodies, and those of ``recorded`` that never came."""
    bodies: dict[str, Mapping[str, Any]] = {}
    faults = [
        f"{one.id} came as {bodies[one.id]} and as {one.body}"
        for one in deliveries
        if bodies.setdefault(one.id, one.body) != one.body
    ]
    return faults + [
        f"{missing} was recorded and never came" for missing in recorded if missing not in bodies
    ]


def replay(
    baseline: Models, deliveries: Iterable[Delivered], final: Models, may_dangle: MayDangle = _never
) -> list[str]:
    """Apply what was delivered to ``baseline``; return where it does not fit, and what differs at the end."""
    waiting = {name: Model(name, dict(model.slots)) for name, model in baseline.items()}
    faults, reached = [], []
    for lane, events in per_lane(deliveries).items():
        replayed = _Replay(lane, waiting, may_dangle)
        for event in events:
            replayed.apply(event.body)
        faults += replayed.faults
        reached += [replayed.model] if replayed.model else []
    return faults + _differences([*waiting.values(), *reached], final)


class _Replay:
    """One lane: at most one model at a time."""

    def __init__(self, lane: str, waiting: Models, may_dangle: MayDangle) -> None:
        self._may_dangle = may_dangle
        self._lane = lane
        self._waiting = waiting
        self.model: Model | None = None
        self._is_first = True
        self._versions: set[str | None] = set()  # those that there are, or were
        self.faults: list[str] = []

    def apply(self, body: Mapping[str, Any]) -> None:
        if self._is_first and body["event"] != "REGISTERED_MODEL_CREATED":
            # The lane begins with a model of the baseline, under the name that it had there.
            self.model = self._waiting.pop(body.get("previous_name", body["model_name"]), None)
            self._versions |= {version for _, version, _ in self.model.slots} if self.model else set()
        self._is_first = False
        for change in told(body):
            if not self._fits(change, body):
                self.faults.append(f"lane {self._lane!r}: {dict(body)} does not follow {self._state(change)}")
            self._put(change, body)

    def _fits(self, change: Told, body: Mapping[str, Any]) -> bool:
        what, version, _ = change.slot
        model = self.model
        if what == "model" or model is None:
            return what == "model" and (model is None) == (change.before is None)
        if what == "name":
            return model.name == change.before
        if version is not None and what != "version" and ("version", version, None) not in model.slots:
            return False
        if what == "alias" and change.after is not None and change.after not in self._versions:
            return self._may_dangle(change.slot[2], change.after)
        return model.name == body["model_name"] and model.slots.get(change.slot) == change.before

    def _state(self, change: Told) -> str:
        if self.model is None:
            return "no model"
        return f"{self.model.name!r} with {self.model.slots.get(change.slot)!r}"

    def _put(self, change: Told, body: Mapping[str, Any]) -> None:
        what, version, _ = change.slot
        if what == "model":
            self.model = Model(body["model_name"]) if change.after else None
            self._versions.clear()
        elif self.model is None:
            return
        elif what == "name":
            self.model.name = change.after or ""
        elif change.after is not None:
            self.model.slots[change.slot] = THERE if what == "version" else change.after
            self._versions.add(version)
        elif what == "version":
            for slot in [slot for slot in self.model.slots if slot[1] == version]:
                del self.model.slots[slot]
        else:
            self.model.slots.pop(change.slot, None)


def _differences(reached: Iterable[Model], final: Models) -> list[str]:
    faults, models = [], {}
    for model in reached:
        if model.name in models:
            faults.append(f"two models are called {model.name!r} at the end")
        models[model.name] = model
    for name in sorted(models.keys() | final.keys()):
        ours = models[name].slots if name in models else {("model", None, None): "missing"}
        theirs = final[name].slots if name in final else {("model", None, None): "missing"}
        faults += [
            f"{name!r} {slot}: the events say {ours.get(slot)!r}, the registry {theirs.get(slot)!r}"
            for slot in sorted(ours.keys() | theirs.keys(), key=str)
            if ours.get(slot) != theirs.get(slot)
        ]
    return faults
