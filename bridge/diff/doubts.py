"""What a listing leaves in doubt, and how the answers settle it. Pure.

Absence is never proof: pages skip live rows, grants are revoked, servers answer with
nothing, and a rename between two pages shows a model twice or not at all. So whatever a
listing lets disappear, or shows in a way that cannot be, is asked for by name before any
conclusion is drawn.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, auto

from bridge.diff.pairing import is_compatible
from bridge.diff.snapshot import RegisteredModel, Snapshot


@dataclass(frozen=True, slots=True)
class Listing:
    """What a full scan listed.

    Attributes:
        models: the listed models with their listed versions.
        orphans: models that only their versions tell of (made or renamed during the scan).
        atomic: whether one page held all models, so that none can have been skipped.
        clock: the registry's own time when the scan began, ms; None where it doesn't tell.
    """

    models: Snapshot
    orphans: frozenset[str] = frozenset()
    atomic: bool = True
    clock: int | None = None


class Absence(Enum):
    """What a point read says where it yields no model."""

    GONE = auto()
    """The registry says that there is no such model."""

    UNKNOWN = auto()
    """It says neither (access is refused, say): what was known stands."""


Answer = RegisteredModel | Absence
Answers = Mapping[str, Answer]


@dataclass(frozen=True, slots=True)
class Doubt:
    """A model to be asked for by name, and what is known of it."""

    name: str
    known: RegisteredModel | None = None


def vanished(before: Snapshot, listing: Listing) -> list[str]:
    """Return the names of the known models that the listing does not show, sorted."""
    return sorted(name for name in before if name not in listing.models)


def doubts(before: Snapshot, listing: Listing) -> list[Doubt]:
    """Return what has to be asked before ``listing`` can be compared with ``before``."""
    names = set(listing.orphans) | set(vanished(before, listing))
    names.update(name for name in _known(before, listing) if _lost_version(before, listing, name))
    names.update(_twins(before, listing))
    return [Doubt(name, before.get(name)) for name in sorted(names)]


def _known(before: Snapshot, listing: Listing) -> Iterable[str]:
    return (name for name in listing.models if name in before)


def _lost_version(before: Snapshot, listing: Listing, name: str) -> bool:
    """Whether a version is missing, or its number stands for another version.

    MLflow never gives a version number twice within a model, so the latter means that the
    model itself was replaced between the listing of models and that of versions.
    """
    old, new = before[name], listing.models[name]
    if old.created != new.created:
        return False
    return any(
        number not in new.versions or new.versions[number].created != version.created
        for number, version in old.versions.items()
    )


def _twins(before: Snapshot, listing: Listing) -> Iterable[str]:
    """Return models that share their creation with another, where one of them is new here.

    A model renamed between two pages is listed under both names; only asking tells it from
    two models of the same millisecond. The baseline announces nothing, so it asks nothing.
    """
    if not before:
        return ()
    new = {model.created for name, model in listing.models.items() if name not in before}
    shared = Counter(model.created for model in listing.models.values() if model.created in new)
    return [name for name, model in listing.models.items() if shared[model.created] > 1]


def resolve(
    before: Snapshot, listing: Listing, answers: Answers, *, keep_unknown: bool = True
) -> dict[str, RegisteredModel]:
    """Return the snapshot that ``listing`` and the ``answers`` to its doubts amount to.

    What is unknown stands as before, unless it shows under a new name: a registry that hides
    what it does not have (403 for 404) would else lose every rename.
    """
    after = dict(listing.models)
    for name, answer in answers.items():
        after.pop(name, None)
        if isinstance(answer, RegisteredModel):
            after[name] = answer
    unknown = [
        before[name] for name, answer in answers.items() if answer is Absence.UNKNOWN and name in before
    ]
    new = [model for name, model in after.items() if name not in before]
    for model in unknown if keep_unknown else ():
        if sum(is_compatible(model, other) and model.created == other.created for other in new) != 1:
            after[model.name] = model
    return after


def latest_timestamp(snapshot: Snapshot) -> int:
    """Return the latest timestamp in ``snapshot``: how far the registry's clock has come, in ms."""
    return max((_latest(model) for model in snapshot.values()), default=0)


def _latest(model: RegisteredModel) -> int:
    versions = (version.updated for version in model.versions.values())
    return max(model.created, model.updated, *versions)
