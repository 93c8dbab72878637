"""A snapshot of the registry: models and versions as values.

Fields mean what they mean in MLflow's REST API (``RegisteredModel`` and ``ModelVersion``). Timestamps are
milliseconds since the epoch, by the registry's clock.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

NO_STAGE = "None"
"""The stage of a version that is in no stage, as MLflow spells it."""

Pairs = tuple[tuple[str, str], ...]
"""Tags (key, value) or aliases (alias, version), sorted by their first member."""


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """One version of a registered model.

    ``run_id`` and ``source`` never change after creation. They are passed on to the event that announces the
    version, and are neither compared nor stored.
    """

    version: str
    created: int
    updated: int
    stage: str = NO_STAGE
    status: str = "READY"
    description: str = ""
    user_id: str = ""
    tags: Pairs = ()
    run_id: str = field(default="", compare=False)
    source: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class RegisteredModel:
    """A registered model with its versions, keyed by version number."""

    name: str
    created: int
    updated: int
    description: str = ""
    tags: Pairs = ()
    aliases: Pairs = ()
    versions: Mapping[str, ModelVersion] = field(default_factory=dict)


Snapshot = Mapping[str, RegisteredModel]
"""Models by name."""


def pairs(values: Mapping[str, str] | None) -> Pairs:
    """Return ``values`` as sorted pairs, so that equal contents compare equal."""
    return tuple(sorted((values or {}).items()))


def version_order(version: str) -> tuple[int, str]:
    """Sort key for version numbers, which MLflow gives as decimal strings."""
    return (int(version), "") if version.isdecimal() else (2**63, version)
