"""Values that a recent poll replaced, kept so that a stale read can be recognised. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bridge.diff.snapshot import ModelVersion, RegisteredModel
from bridge.diff.snapshot_comparison import ModelDifference
from bridge.diff.snapshot_packing import pack_model, unpack_model

OVERLAP_MS = 120_000
"""How much later than its own timestamp a row may become visible (clock skew, late commits), and how far a

stale read (a replica, a cache) may be behind the registry, ms.
"""

_MOST_VERSIONS = 100
"""How many versions of a model are kept for one change at most."""

_MOST = 500
"""How many changes are kept at most: a flood of changes must not make every commit larger."""


@dataclass(frozen=True, slots=True)
class Superseded:
    """The former state of a model that a poll replaced.

    Attributes:
        at: when it was replaced, by the bridge's clock, ms since the epoch.
        created: when the model was created, by the registry's clock, ms.
        was: the model's former state, with only those versions that differ now; None where the model
            was not known.
        is_gone: whether the model is no longer known.
        new_versions: versions that were not known before.
    """

    at: int
    created: int
    was: RegisteredModel | None
    is_gone: bool = False
    new_versions: tuple[str, ...] = ()

    def to_document(self) -> dict[str, Any]:
        """Return this as plain JSON."""
        was = {"name": self.was.name, **pack_model(self.was)} if self.was else None
        return {
            "at": self.at,
            "created": self.created,
            "was": was,
            "is_gone": self.is_gone,
            "new_versions": list(self.new_versions),
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> "Superseded":
        """Return the value that `to_document` wrote."""
        was = document["was"]
        return cls(
            document["at"],
            document["created"],
            unpack_model(was["name"], was) if was else None,
            document["is_gone"],
            tuple(document["new_versions"]),
        )


def superseded_by(differences: Iterable[ModelDifference], at: int) -> list[Superseded]:
    """Return the former states that ``differences`` replace; of a flood of changes, only the last ones."""
    return list(_superseded_by(differences, at))[-_MOST:]


def _superseded_by(differences: Iterable[ModelDifference], at: int) -> Iterator[Superseded]:
    for one in differences:
        old, new = one.before, one.after
        if old is None and new is not None:
            yield Superseded(at, new.created, None, new_versions=tuple(new.versions))
        elif old is not None:
            versions = new.versions if new else {}
            changed = [number for number, known in old.versions.items() if versions.get(number) != known]
            parts = {number: old.versions[number] for number in changed[-_MOST_VERSIONS:]}
            was = RegisteredModel(
                old.name, old.created, old.updated, old.description, old.tags, old.aliases, parts
            )
            fresh = tuple(number for number in versions if number not in old.versions)
            yield Superseded(at, old.created, was, is_gone=new is None, new_versions=fresh)


@dataclass(frozen=True, slots=True)
class RecentlyReplacedValues:
    """The former states that recent polls replaced. Times are ms, by the bridge's clock.

    Attributes:
        past: the former states, oldest first.
        baseline_at: when the baseline was recorded.
        scanned_at: when the last full scan began: a model that was not read since may be as old as that.
    """

    past: Sequence[Superseded] = ()
    baseline_at: int = 0
    scanned_at: int = 0
    _by_creation: Mapping[int, list[Superseded]] = field(init=False, repr=False, compare=False)
    _by_name: Mapping[str, list[Superseded]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Index the former states by creation and by name: a large scan looks up many models."""
        creations, names = defaultdict(list), defaultdict(list)
        for one in self.past:
            creations[one.created].append(one)
            if one.was is not None:
                names[one.was.name].append(one)
        object.__setattr__(self, "_by_creation", dict(creations))
        object.__setattr__(self, "_by_name", dict(names))

    def of(self, created: int) -> list[Superseded]:
        """Return the former states of a model."""
        return self._by_creation.get(created, [])

    def of_others(self, model: RegisteredModel) -> list[Superseded]:
        """Return the former states of other models that had the name of this one."""
        return [
            one
            for one in self.past
            if one.created != model.created and one.was and one.was.name == model.name
        ]

    def recorded_at(self, created: int) -> int | None:
        """Return when a model was last recorded anew; None if that was before the last full scan."""
        at = max([self.baseline_at, *(one.at for one in self.of(created))])
        return at if at >= self.scanned_at - OVERLAP_MS else None

    def lately(self, created: int, now_ms: int) -> list[Superseded]:
        """Return the former states of a model that are so recent that a stale read may still show them."""
        return [one for one in self.of(created) if one.at > now_ms - OVERLAP_MS]

    def is_past(self, model: RegisteredModel, now_ms: int) -> bool:
        """Whether a model was recently recorded as deleted, or as renamed from the name that it has here."""
        return any(
            one.is_gone or (one.was is not None and one.was.name == model.name)
            for one in self.lately(model.created, now_ms)
        )

    def expired(self, at: int, more: int) -> int:
        """Return how many of the oldest states can be dropped when ``more`` are added at time ``at``."""
        since = min(self.scanned_at, at) - OVERLAP_MS
        kept = sum(one.at >= since for one in self.past)
        return len(self.past) - min(kept, max(0, _MOST - more))


def former_versions(past: Iterable[Superseded], number: str) -> Iterator[ModelVersion]:
    """Yield the former states of a version."""
    return (one.was.versions[number] for one in past if one.was and number in one.was.versions)
