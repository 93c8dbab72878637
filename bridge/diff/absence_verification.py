"""Which models a listing leaves in doubt, and how point reads by name settle them. Pure.

Absence is never proof. Pages can skip live rows, grants can be revoked, servers can answer with nothing, and
a model that is renamed between two pages is listed twice or not at all. So every model that is missing from a
listing, or is listed in a contradictory way, is read by name before the bridge draws a conclusion.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import Enum, auto
from itertools import chain

from bridge.diff.known_snapshot import KnownModels
from bridge.diff.registry_abilities import Abilities
from bridge.diff.rename_detection import Pair, pair_models
from bridge.diff.snapshot import RegisteredModel, Snapshot


@dataclass(frozen=True, slots=True)
class Listing:
    """What a read of the registry returned.

    Attributes:
        models: the models that differ from the known snapshot, with all their versions.
        same: the names of models that equal the known snapshot, versions included.
        orphans: names of models of which only versions were listed (created or renamed during the scan).
        unread: models that were listed but could not be read by name afterwards: nothing is known of them.
        absent: known models that were asked for by name and not found.
        is_complete: whether this was a full scan, so that a model it does not list is missing.
        atomic: whether one page held all models, so that none can have been skipped.
        pages_versions: whether versions came in several pages, so that some can have been skipped.
        latest: the latest timestamp seen, ms: the registry's clock shows at least this time.
        counted: how many models and versions a full scan listed.
        abilities: what the registry can do, where the scan detected it.
    """

    models: Snapshot
    same: AbstractSet[str] = frozenset()
    orphans: frozenset[str] = frozenset()
    unread: frozenset[str] = frozenset()
    absent: frozenset[str] = frozenset()
    is_complete: bool = True
    atomic: bool = True
    pages_versions: bool = False
    latest: int = 0
    counted: tuple[int, int] = (0, 0)
    abilities: Abilities | None = None


class Absence(Enum):
    """What a point read returns instead of a model."""

    GONE = auto()
    """The registry says that no such model exists."""

    UNKNOWN = auto()
    """The registry gives no definite answer (access is refused, for example): the known state is kept."""


Answer = RegisteredModel | Absence
Answers = Mapping[str, Answer]


@dataclass(frozen=True, slots=True)
class Doubt:
    """A model to be read by name, with its known state."""

    name: str
    known: RegisteredModel | None = None


def vanished(known: KnownModels, listing: Listing) -> list[str]:
    """Return the names of the known models that a full scan does not list, sorted."""
    if not listing.is_complete:
        return []
    shown = (listing.same, listing.models, listing.unread)
    return sorted(name for name in known if not any(name in part for part in shown))


def doubts(known: KnownModels, listing: Listing) -> list[Doubt]:
    """Return the models to read by name before ``listing`` can be compared with what is ``known``."""
    names = set(listing.orphans) | set(listing.absent) | set(vanished(known, listing))
    if known:
        names.update(name for name, model in listing.models.items() if is_torn(model, known.get(name)))
    if known or not listing.atomic:
        names.update(_twins(known, listing))
    return [Doubt(name, known.get(name)) for name in sorted(names)]


def is_torn(new: RegisteredModel, old: RegisteredModel | None) -> bool:
    """Whether a model and its parts may come from two moments, or from two models with one name.

    The bridge reads the model and its parts one after the other. So does MLflow: it reads rows first, then
    their tags and aliases, without a database snapshot. Meanwhile a model can be renamed or deleted and its
    name given to another model. Its parts then seem to be gone, or belong to the other model.
    """
    if old is not None and old.created == new.created and (_lost_version(old, new) or _is_bare(old, new)):
        return True
    return any(number not in new.versions for _, number in new.aliases)


def may_be_another(new: RegisteredModel, old: RegisteredModel | None) -> bool:
    """Whether the versions that were read may belong to another model that has taken the name since.

    A version that was already known to belong to the model proves that they do not. A new version proves
    nothing.
    """
    if old is None or old.created != new.created:
        return True
    return any(number not in old.versions for number in new.versions)


def _is_bare(old: RegisteredModel, new: RegisteredModel) -> bool:
    """Whether all tags or all aliases of the model, or all tags of one of its versions, are gone."""
    if (old.tags and not new.tags) or (old.aliases and not new.aliases):
        return True
    return any(
        old.versions[number].tags and not version.tags
        for number, version in new.versions.items()
        if number in old.versions
    )


def _lost_version(old: RegisteredModel, new: RegisteredModel) -> bool:
    """Whether a version is missing, or its number now belongs to another version.

    MLflow never gives a version number twice within a model. A reused number therefore means that the model
    was replaced between the listing of models and the listing of versions.
    """
    return any(
        number not in new.versions or new.versions[number].created != version.created
        for number, version in old.versions.items()
    )


def _twins(known: KnownModels, listing: Listing) -> Iterable[str]:
    """Return the models that share a creation timestamp with another model, where one of them is new.

    A model that is renamed between two pages is listed under both names, and a read of the latest changes
    lists only its new name. Only a read by name tells a rename from two models that were created in the same
    millisecond. A baseline that fits into one page lists nothing twice, so nothing is asked.
    """
    created = {name: listing.models[name].created for name in listing.models}
    new = {instant for name, instant in created.items() if not known.knows(name, instant)}
    if not new:
        return []
    listed = Counter(created.values())
    unlisted = [
        (instant, name)
        for instant, names in known.created_in(new).items()
        for name in names
        if name not in listing.models and (not listing.is_complete or name in listing.same)
    ]
    listed.update(instant for instant, _ in unlisted)
    shared = {instant for instant in new if listed[instant] > 1}
    return [
        *(name for name, instant in created.items() if instant in shared),
        *(name for instant, name in unlisted if instant in shared),
    ]


def models_to_reread(
    known: KnownModels, listing: Listing, answers: Answers, asked: Collection[str]
) -> dict[str, int]:
    """Return the names to read again because of the answers to the names ``asked`` last, with their creations.

    If a creation is found under two names and one of them is new for it, the model was renamed between the
    two reads. The older of the two reads is then out of date. ``answers`` are in the order in which they
    came.
    """
    instants = {one.created for name in asked if isinstance(one := answers[name], RegisteredModel)}
    if not instants:
        return {}
    as_known = chain.from_iterable(known.created_in(instants).values())
    names = [name for name in (*as_known, *listing.models) if name not in answers]
    places: dict[int, list[str]] = defaultdict(list)
    for name in dict.fromkeys([*names, *answers]):
        created = last_seen(known, listing, answers, name)
        if created in instants:
            places[created].append(name)
    return {
        name: created
        for created, group in places.items()
        if any(not known.knows(name, created) for name in group)
        for name in group[:-1]
    }


def last_seen(known: KnownModels, listing: Listing, answers: Answers, name: str) -> int | None:
    """Return the creation timestamp of the model that was last seen under a name."""
    if name in answers:
        answer = answers[name]
        return answer.created if isinstance(answer, RegisteredModel) else None
    if name in listing.models:
        return listing.models[name].created
    row = known.row(name)
    return row.created if row else None


def missing_creations(known: KnownModels, listing: Listing, answers: Answers) -> set[int]:
    """Return the creation timestamps with fewer models now than were known, counted over all names."""
    if not known:
        return set()
    names = {*listing.models, *answers}
    was = Counter(
        known[name].created for name in names if name in known and answers.get(name) is not Absence.UNKNOWN
    )
    now = Counter(last_seen(known, listing, answers, name) for name in names)
    return {instant for instant, count in was.items() if now[instant] < count}


def _as_far_as_known(known: KnownModels, listing: Listing, answers: Answers) -> dict[str, Answer]:
    """Return the answers, with a model that was listed and then gone as unknown unless it may be renamed."""
    moving = missing_creations(known, listing, answers)
    listed = [name for name in answers if name in listing.models or name in listing.same]
    gone = {name: known.row(name) for name in listed if answers[name] is Absence.GONE}
    unsure = [name for name, row in gone.items() if row is None or row.created in moving]
    return {**answers, **dict.fromkeys(unsure, Absence.UNKNOWN)}


def resolve(
    known: KnownModels, listing: Listing, answers: Answers, *, keep_unknown: bool = True
) -> tuple[dict[str, RegisteredModel], dict[str, RegisteredModel]]:
    """Return the models that this read covers: as they were known, and as they are now.

    A model that is unknown stays as it was known, unless its creation is found under a new name. Otherwise
    every rename would be missed on a registry that answers 403 for objects it does not have. The same holds
    for a model that was listed and gone a moment later: the next read shows whether it was renamed in
    between.
    """
    answers = _as_far_as_known(known, listing, answers)
    before = {name: known[name] for name in {*listing.models, *answers} if name in known}
    after = dict(listing.models)
    for name, answer in answers.items():
        after.pop(name, None)
        if isinstance(answer, RegisteredModel):
            after[name] = answer
    if keep_unknown:
        unknown = {name for name, answer in answers.items() if answer is Absence.UNKNOWN}
        after.update(_still(pair_models(before, after), unknown))
    return before, after


def _still(pairs: Iterable[Pair], unknown: AbstractSet[str]) -> dict[str, RegisteredModel]:
    """Return those of the ``unknown`` models that were not found under another name."""
    gone = [pair.before for pair in pairs if pair.before is not None and pair.after is None]
    return {model.name: model for model in gone if model.name in unknown}
