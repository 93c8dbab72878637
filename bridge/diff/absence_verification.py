"""What a listing leaves in doubt, and how the answers settle it. Pure.

Absence is never proof: pages skip live rows, grants are revoked, servers answer with
nothing, and a rename between two pages shows a model twice or not at all. So whatever a
listing lets disappear, or shows in a way that cannot be, is asked for by name before any
conclusion is drawn.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import Enum, auto
from itertools import chain

from bridge.diff.known_snapshot import KnownModels
from bridge.diff.model_pairing import Pair, pair_models
from bridge.diff.registry_abilities import Abilities
from bridge.diff.snapshot import RegisteredModel, Snapshot


@dataclass(frozen=True, slots=True)
class Listing:
    """What a read of the registry showed.

    Attributes:
        models: the models that read differently from what is known, with all their versions.
        same: models that read as known, their versions too.
        orphans: models that only their versions tell of (made or renamed during the scan).
        unread: models that were listed, and could not be read by name any more: nothing is known.
        is_complete: whether it was a full scan, so that what it does not show is missing.
        atomic: whether one page held all models, so that none can have been skipped.
        pages_versions: whether versions came in several pages, so that some can have been skipped.
        latest: the latest timestamp seen, ms: how far the registry's own clock has come at least.
        counted: how many models and versions a full scan showed.
        abilities: what the registry can do, where the scan found that out.
    """

    models: Snapshot
    same: AbstractSet[str] = frozenset()
    orphans: frozenset[str] = frozenset()
    unread: frozenset[str] = frozenset()
    is_complete: bool = True
    atomic: bool = True
    pages_versions: bool = False
    latest: int = 0
    counted: tuple[int, int] = (0, 0)
    abilities: Abilities | None = None


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


def vanished(known: KnownModels, listing: Listing) -> list[str]:
    """Return the names of the known models that a full scan does not show, sorted."""
    if not listing.is_complete:
        return []
    shown = (listing.same, listing.models, listing.unread)
    return sorted(name for name in known if not any(name in part for part in shown))


def doubts(known: KnownModels, listing: Listing) -> list[Doubt]:
    """Return what has to be asked before ``listing`` can be compared with what is ``known``."""
    names = set(listing.orphans) | set(vanished(known, listing))
    if known:
        names.update(name for name, model in listing.models.items() if is_torn(model, known.get(name)))
    if known or not listing.atomic:
        names.update(_twins(known, listing))
    return [Doubt(name, known.get(name)) for name in sorted(names)]


def is_torn(new: RegisteredModel, old: RegisteredModel | None) -> bool:
    """Whether a model and its parts may be those of two moments, or of two models of one name.

    They are read one after the other, by us and by the registry itself (MLflow reads rows first and
    their tags and aliases then, without a snapshot): meanwhile a model can be renamed or deleted,
    and its name given to another. Its parts seem to be gone then, or to be others.
    """
    if old is not None and old.created == new.created and (_lost_version(old, new) or _is_bare(old, new)):
        return True
    return any(number not in new.versions for _, number in new.aliases)


def may_be_another(new: RegisteredModel, old: RegisteredModel | None) -> bool:
    """Whether what was read as a model's versions may be another's, that has its name since.

    Versions that were known to be its own prove that they are not; anything new proves nothing.
    """
    if old is None or old.created != new.created:
        return True
    return any(number not in old.versions for number in new.versions)


def _is_bare(old: RegisteredModel, new: RegisteredModel) -> bool:
    """Whether all tags or all aliases of something are gone."""
    if (old.tags and not new.tags) or (old.aliases and not new.aliases):
        return True
    return any(
        old.versions[number].tags and not version.tags
        for number, version in new.versions.items()
        if number in old.versions
    )


def _lost_version(old: RegisteredModel, new: RegisteredModel) -> bool:
    """Whether a version is missing, or its number stands for another version.

    MLflow never gives a version number twice within a model, so the latter means that the
    model itself was replaced between the listing of models and that of versions.
    """
    return any(
        number not in new.versions or new.versions[number].created != version.created
        for number, version in old.versions.items()
    )


def _twins(known: KnownModels, listing: Listing) -> Iterable[str]:
    """Return models that share their creation with another, where one of them is new here.

    A model renamed between two pages is listed under both names, and a read of the latest
    changes shows its new name alone; only asking tells a rename from two models of the same
    millisecond. A baseline that one page held shows nothing twice, so it asks nothing.
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


def reopened(
    known: KnownModels, listing: Listing, answers: Answers, asked: Collection[str]
) -> dict[str, int]:
    """Return what has to be asked again because of the answers to what was ``asked`` last.

    What shows under two names was renamed in between, if one of them is new to it: the older
    sighting counts no more. Told are names, with what was created. ``answers`` are as they came.
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
    """Return when what was last seen under a name was created."""
    if name in answers:
        answer = answers[name]
        return answer.created if isinstance(answer, RegisteredModel) else None
    if name in listing.models:
        return listing.models[name].created
    row = known.row(name)
    return row.created if row else None


def departed(known: KnownModels, listing: Listing, answers: Answers) -> set[int]:
    """Return the creations of which fewer models seem to be there than were known, under any name."""
    if not known:
        return set()
    names = {*listing.models, *answers}
    was = Counter(
        known[name].created for name in names if name in known and answers.get(name) is not Absence.UNKNOWN
    )
    now = Counter(last_seen(known, listing, answers, name) for name in names)
    return {instant for instant, count in was.items() if now[instant] < count}


def _as_far_as_known(known: KnownModels, listing: Listing, answers: Answers) -> dict[str, Answer]:
    """Return the answers: what was listed and then gone is unknown, unless it shows elsewhere."""
    moving = departed(known, listing, answers)
    listed = [name for name in answers if name in listing.models or name in listing.same]
    gone = {name: known.row(name) for name in listed if answers[name] is Absence.GONE}
    unsure = [name for name, row in gone.items() if row is None or row.created in moving]
    return {**answers, **dict.fromkeys(unsure, Absence.UNKNOWN)}


def resolve(
    known: KnownModels, listing: Listing, answers: Answers, *, keep_unknown: bool = True
) -> tuple[dict[str, RegisteredModel], dict[str, RegisteredModel]]:
    """Return the models that the read is about, as they were and as they are now.

    What is unknown stands as before, unless it shows under a new name: a registry that hides
    what it does not have (403 for 404) would else lose every rename. So does what was listed
    and gone a moment later: the next read shows whether it was renamed in between.
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
    """Return those of the ``unknown`` models that no other name stands for now."""
    gone = [pair.before for pair in pairs if pair.before is not None and pair.after is None]
    return {model.name: model for model in gone if model.name in unknown}
