"""Whether every value told is one that a mutation set, in an order in which it can have happened."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from support.fidelity import Delivered, Slot, Told, per_lane, told
from support.mutations import ANY_VERSION, REDACTED, Effect

_MODEL: Slot = ("model", None, None)
_STARTS = {"stage": "None", "status": "READY", "description": "", "version description": ""}
"""What a model or a version begins with, without anyone setting it."""


def judge_history(deliveries: Iterable[Delivered], history: "History") -> list[str]:
    """Return the events that tell what never was, or not then, and what is told twice."""
    faults: list[str] = []
    for lane, events in per_lane(deliveries).items():
        faults += _Walk(lane, history).through(events)
    return faults


class History:
    """What mutations set, and which names a model can have had after them."""

    def __init__(self, effects: Iterable[Effect]) -> None:
        self._effects: dict[tuple[Slot, str | None], list[Effect]] = defaultdict(list)
        self._renames: dict[str, list[Effect]] = defaultdict(list)
        self._targets: dict[str | None, set[str | None]] = defaultdict(set)
        self._reach: dict[tuple[str, float], Mapping[str, float]] = {}
        for effect in effects:
            self._effects[(effect.what, effect.version, effect.key), effect.value].append(effect)
            if effect.what == "alias":
                self._targets[effect.key].add(effect.value)
            if effect.what == "name":
                self._renames[effect.model].append(effect)
        self.told: Counter[tuple[str, str | None, str]] = Counter()

    def earliest(self, change: Told, body: Mapping[str, Any], after: float, until: float) -> float | None:
        """Return the first instant after ``after`` at which the value can have been set, or None.

        It was set under a name from which the model can have come to the one that the event tells.
        """
        instants = [
            max(after, effect.began)
            for effect in self._candidates(change)
            if effect.ended >= after and effect.began <= until and self._is_of(effect, change, body, after)
        ]
        return min(instants, default=None)

    def _candidates(self, change: Told) -> Iterator[Effect]:
        (what, version, key), value = change.slot, change.after
        yield from self._effects[(what, version, key), value]
        if version is not None:
            yield from self._effects[(what, ANY_VERSION, key), value]
        if what == "alias" and value is None:  # deleting a version takes its aliases along, unseen ones too
            for target in {change.before, *self._targets[key]}:
                yield from self._effects[("version", target, None), None]

    def _is_of(self, effect: Effect, change: Told, body: Mapping[str, Any], after: float) -> bool:
        """Whether the effect concerns the model that the event tells of, as far as names can say.

        A model's deletion is told under the last name known, and made under one that it had since.
        """
        if change.slot == _MODEL and change.after is None:
            return effect.model in self._names_since(body["model_name"], after)
        name = effect.value or "" if effect.what == "name" else effect.model
        return body["model_name"] in self._names_since(name, effect.began)

    def _names_since(self, name: str, instant: float) -> Mapping[str, float]:
        """Return the names that a model can have had since, each with the first instant of it."""
        if (name, instant) not in self._reach:
            names, waiting = {name: instant}, [name]
            while waiting:
                at = waiting.pop()
                for rename in self._renames[at]:
                    moved, new = max(names[at], rename.began), rename.value or ""
                    if rename.ended >= names[at] and moved < names.get(new, float("inf")):
                        names[new] = moved
                        waiting.append(new)
            self._reach[name, instant] = names
        return self._reach[name, instant]

    def left_behind(self, alias: str | None, version: str | None) -> bool:
        """Whether MLflow may have let an alias point to a version that was deleted at the same time."""
        sets = self._effects[("alias", None, alias), version]
        deletions = self._effects[("version", version, None), None]
        return any(one.ended >= other.began for one in sets for other in deletions)


class _Walk:
    """Along one lane: for every slot, the first instant at which it can have come this far."""

    def __init__(self, lane: str, history: History) -> None:
        self._lane = lane
        self._history = history
        self._instants: dict[Slot, float] = {}
        self._revived: set[str | None] = set()
        self._aliases: dict[str | None, str | None] = {}

    def through(self, events: Iterable[Delivered]) -> Iterator[str]:
        for event in events:
            for change in told(event.body):
                if not self._is_exempt(change):
                    yield from self._judged(change, event)
                yield from self._left_pointing(change, event)

    def _left_pointing(self, change: Told, event: Delivered) -> Iterator[str]:
        """Yield the aliases that should have been told to be gone before their version was."""
        what, version, key = change.slot
        if what == "alias":
            self._aliases[key] = change.after
        elif what == "model":
            self._aliases.clear()
        elif what == "version" and change.after is None:
            for alias, target in self._aliases.items():
                if target == version and not self._history.left_behind(alias, version):
                    yield f"lane {self._lane!r}: {dict(event.body)} came before its alias {alias!r} went"

    def _is_exempt(self, change: Told) -> bool:
        """Whether nothing can be said: MLflow itself brought a deleted version back (a lost update)."""
        what, version, _ = change.slot
        if what == "version":
            (self._revived.add if change.after == REDACTED else self._revived.discard)(version)
        return version in self._revived or (change.before is None and _STARTS.get(what, "\0") == change.after)

    def _judged(self, change: Told, event: Delivered) -> Iterator[str]:
        after = self._known_since(change.slot)
        instant = self._history.earliest(change, event.body, after, event.at)
        if instant is None:
            yield f"lane {self._lane!r}: {dict(event.body)} never was, or not then"
        else:
            self._instants[change.slot] = instant
        if change.slot[0] in {"model", "version"} and change.after is None:
            self._forget(change.slot)
        if "#" in (change.after or "") or (change.slot[0] == "version" and change.after):
            seen = (change.slot[0], change.slot[2], change.after or "")
            self._history.told[seen] += 1
            if self._history.told[seen] > 1:
                yield f"lane {self._lane!r}: {dict(event.body)} was told before"

    def _known_since(self, slot: Slot) -> float:
        return max(self._instants.get(one, 0.0) for one in (slot, ("version", slot[1], None), _MODEL))

    def _forget(self, slot: Slot) -> None:
        """Drop what was known of what is gone.

        The model that has its name next may be the older one, if the first was renamed and then deleted.
        """
        if slot == _MODEL:
            self._instants.clear()
            self._revived.clear()
        else:
            self._instants = {at: since for at, since in self._instants.items() if at[1] != slot[1]}
