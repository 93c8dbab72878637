"""The instructions for reading the registry, and the result of a read."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from bridge.delivery.storm_guard import Hold
from bridge.diff.malformed_rows import OddRow
from bridge.diff.registry_abilities import Abilities
from bridge.diff.registry_changes import ChangeKind
from bridge.diff.snapshot import RegisteredModel
from bridge.events.change_hints import Hint
from bridge.pipeline.commit_plan import Plan
from bridge.pipeline.incremental_read import Read
from bridge.pipeline.model_scan import ModelScan


@dataclass(frozen=True, slots=True)
class Order:
    """What to read, and how to treat it.

    Attributes:
        read: how much to read.
        accepted: digests of holds that an operator accepts.
        holds: whether anything is held at all (a dry run shows everything).
        held: kinds of changes that are held, and so left out of the result.
        silently: whether to record the registry as it is, without announcing anything.
        may_scan: whether a full scan is within its share of the registry's time, if a fast read needs one.
        hints: what MLflow's server said before: a fast read also reads these models by name.
        since: returns what it has said since: that, too, tells who made the changes that are read.
        only_named: whether a fast read reads nothing but the models that hints name.
        model_scan: the model scan of which a fast read also reads a part.
        gives_way: whether something more urgent than that part waits.
    """

    read: Read
    accepted: frozenset[str] = frozenset()
    holds: bool = True
    held: frozenset[ChangeKind] = frozenset()
    silently: bool = False
    may_scan: bool = True
    hints: tuple[Hint, ...] = ()
    since: Callable[[], tuple[Hint, ...]] = tuple
    only_named: bool = False
    model_scan: ModelScan | None = None
    gives_way: Callable[[], bool] = lambda: False

    @property
    def named(self) -> frozenset[str]:
        """The names of the models that hints name."""
        return frozenset(name for hint in self.hints for name in hint.models)

    def all_hints(self) -> tuple[Hint, ...]:
        """Return all that it has said until now."""
        return (*self.hints, *self.since())


@dataclass(frozen=True, slots=True)
class Observation:
    """The result of a read.

    ``held`` are the holds that stand, ``overlooked`` the rows that these keep from being recorded,
    ``odd_rows`` the malformed rows, and ``model_scan`` how far the model scan has come, if a part of it was read.
    """

    plan: Plan
    read: Read
    read_from: int
    is_first: bool
    abilities: Abilities | None
    held: tuple[Hold, ...] = ()
    accepted: tuple[Hold, ...] = ()
    overlooked: Mapping[str, RegisteredModel] = field(default_factory=dict)
    odd_rows: tuple[OddRow, ...] = ()
    model_scan: ModelScan | None = None
