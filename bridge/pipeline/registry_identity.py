"""Checks by the models whether a registry is the one that a state was taken from.

The fingerprint comes from the Default experiment of the *tracking* database. It changes if ``mlflow gc``
purges that experiment, and it does not change if the registry has a store of its own
(``--registry-store-uri``) that is replaced. Names and creation timestamps of models come from the registry
itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from bridge.diff.known_snapshot import KnownModels
from bridge.diff.snapshot import RegisteredModel
from bridge.errors import RegistryError
from bridge.events.display_text import count
from bridge.registry.base import Deadline, Registry

_MOST_ASKED = 50
"""How many models are read for the comparison; each takes a request of its own if versions are compared, too."""

_FEW = 10


@dataclass(frozen=True, slots=True)
class Likeness:
    """How a registry compares with the known snapshot of it.

    Attributes:
        asked: how many of the known models were asked for.
        same: how many of them exist, with the same creation timestamp.
        replaced: how many of the names belong to models with another creation timestamp.
        versions, same_versions: how many versions are known of the models that are the same, and how many
            of those exist, with the same creation timestamp.
    """

    asked: int
    same: int
    replaced: int = 0
    versions: int = 0
    same_versions: int = 0

    @property
    def is_nothing_alike(self) -> bool:
        """Whether models are known, but none of those asked for exists."""
        return self.asked > 0 and self.same == 0

    def models_told(self) -> str:
        """Return in words how many of the models are the same."""
        if not self.asked:
            return "no model is known to compare with"
        replaced = f", {self.replaced} of the names stand for other models" if self.replaced else ""
        were = "model that was asked for is" if self.asked == 1 else "models that were asked for are"
        return f"{self.same} of {self.asked} known {were} there, created at the same instant{replaced}"

    def versions_told(self) -> str:
        """Return in words how many of their versions are the same; empty if none is known."""
        return f"{self.same_versions} of {count(self.versions, 'version')} of these" if self.versions else ""


def compare_models(registry: Registry, known: KnownModels, deadline: Deadline) -> Likeness:
    """Read some of the ``known`` models, evenly chosen by name, and compare them.

    Raises:
        RegistryError: the registry gave no answer.
    """
    rows = _rows(registry, _some(known, _MOST_ASKED), deadline)
    return _likeness(known, rows)


def compare_versions(registry: Registry, known: KnownModels, deadline: Deadline) -> Likeness:
    """Read some of the ``known`` models, as in `compare_models`, and their versions, and compare them.

    Raises:
        RegistryError: the registry gave no answer.
    """
    rows = _rows(registry, _some(known, _MOST_ASKED), deadline)
    found = _likeness(known, rows)
    same = [row for name, row in rows.items() if row is not None and known.knows(name, row.created)]
    versions = here = 0
    for name, model in registry.with_versions(same, deadline).items():
        for number, version in known[name].versions.items():
            there = model.versions.get(number)
            versions += 1
            here += there is not None and there.created == version.created
    return Likeness(found.asked, found.same, found.replaced, versions, here)


def likeness_if_told(registry: Registry, known: KnownModels, deadline: Deadline) -> Likeness | None:
    """Return the result of `compare_models`, or None if the registry gives no answer."""
    try:
        return compare_models(registry, known, deadline)
    except RegistryError:
        return None


def are_back(registry: Registry, known: KnownModels, turn: int, deadline: Deadline) -> bool:
    """Whether a few of the ``known`` models all exist; each ``turn`` selects others.

    Raises:
        RegistryError: the registry gave no answer.
    """
    names = sorted(known)
    start = turn % max(1, len(names))
    rows = _rows(registry, (names[start:] + names[:start])[:: max(1, len(names) // _FEW)][:_FEW], deadline)
    return all(row is not None and known.knows(name, row.created) for name, row in rows.items())


def _some(known: KnownModels, most: int) -> list[str]:
    names = sorted(known)
    return names[:: -(-len(names) // most)] if names else []


def _rows(registry: Registry, names: Sequence[str], deadline: Deadline) -> dict[str, RegisteredModel | None]:
    found = {row.name: row for row in registry.rows(sorted(names), deadline)} if names else {}
    return {name: found.get(name) for name in names}


def _likeness(known: KnownModels, rows: dict[str, RegisteredModel | None]) -> Likeness:
    there = {name: row for name, row in rows.items() if row is not None}
    same = sum(known.knows(name, row.created) for name, row in there.items())
    return Likeness(len(rows), same, len(there) - same)
