"""Compares which models exist: known models that are missing or replaced, and models that are new. Pure.

A name is not an identity. If most of the known models, by name *and* creation timestamp, are missing, the
registry may be a different one, even if its models have the same names.
"""

from collections import Counter
from dataclasses import dataclass, replace

from bridge.diff.absence_verification import Listing, vanished
from bridge.diff.known_snapshot import KnownModels


@dataclass(frozen=True, slots=True)
class ReplacedModels:
    """How the models of a listing differ in identity from the known ones.

    Attributes:
        names: listed models that are not known by this name and creation timestamp.
        replaced: those of them whose name belonged to another model.
        lost: known models that the listing does not show under any name, sorted.
    """

    names: frozenset[str]
    replaced: frozenset[str]
    lost: list[str]


def find_replaced_models(known: KnownModels, listing: Listing) -> ReplacedModels:
    """Return how the models of a ``listing`` differ in identity from the known ones."""
    created = {name: listing.models[name].created for name in listing.models}
    names = {name for name, instant in created.items() if not known.knows(name, instant)}
    moved = Counter(created[name] for name in names)
    lost = []
    for name in missing_or_replaced_models(known, listing):
        row = known.row(name)
        if row is not None and moved[row.created] > 0:
            moved[row.created] -= 1  # counts as renamed
        else:
            lost.append(name)
    return ReplacedModels(frozenset(names), frozenset(name for name in names if name in known), lost)


def missing_or_replaced_models(known: KnownModels, listing: Listing) -> list[str]:
    """Return the known names that a listing does not show, or shows for another model, sorted."""
    replaced = {
        name
        for name in listing.models
        if name in known and not known.knows(name, listing.models[name].created)
    }
    return sorted(replaced.union(vanished(known, listing)))


def without_unknown_models(known: KnownModels, listing: Listing) -> Listing:
    """Return the listing without the models that are not known by name and creation timestamp."""
    names = find_replaced_models(known, listing).names
    models = {name: listing.models[name] for name in listing.models if name not in names}
    return replace(listing, models=models, orphans=frozenset())
