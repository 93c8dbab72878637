"""Models that are not the known ones: vanished, replaced under their names, or new. Pure.

A name is not an identity. Where most of the known models are lost, by name *and* creation, the
registry may be another one altogether, whatever its models are called.
"""

from collections import Counter
from dataclasses import dataclass, replace

from bridge.diff.absence_verification import Listing, vanished
from bridge.diff.known_snapshot import KnownModels


@dataclass(frozen=True, slots=True)
class Strangers:
    """How a listing's models are not the known ones.

    Attributes:
        names: listed models that are not known by this name and creation.
        replaced: those of them whose name stood for another model.
        lost: known models that the listing shows under no name, sorted.
    """

    names: frozenset[str]
    replaced: frozenset[str]
    lost: list[str]


def strangers(known: KnownModels, listing: Listing) -> Strangers:
    """Return how the models of a ``listing`` differ from the known ones in what they are."""
    created = {name: listing.models[name].created for name in listing.models}
    names = {name for name, instant in created.items() if not known.knows(name, instant)}
    moved = Counter(created[name] for name in names)
    lost = []
    for name in not_as_known(known, listing):
        row = known.row(name)
        if row is not None and moved[row.created] > 0:
            moved[row.created] -= 1  # renamed, as far as one can see
        else:
            lost.append(name)
    return Strangers(frozenset(names), frozenset(name for name in names if name in known), lost)


def not_as_known(known: KnownModels, listing: Listing) -> list[str]:
    """Return the known names that a listing does not show, or shows as another model, sorted."""
    replaced = {
        name
        for name in listing.models
        if name in known and not known.knows(name, listing.models[name].created)
    }
    return sorted(replaced.union(vanished(known, listing)))


def without_strangers(known: KnownModels, listing: Listing) -> Listing:
    """Leave out what nobody knew."""
    names = strangers(known, listing).names
    models = {name: listing.models[name] for name in listing.models if name not in names}
    return replace(listing, models=models, orphans=frozenset())
