"""What a look at the registry is to do, and what it comes to."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bridge.delivery.storm_guard import Hold
from bridge.diff.malformed_rows import OddRow
from bridge.diff.registry_abilities import Abilities
from bridge.diff.registry_changes import ChangeKind
from bridge.diff.snapshot import RegisteredModel
from bridge.pipeline.incremental_read import Read
from bridge.pipeline.poll_plan import Plan


@dataclass(frozen=True, slots=True)
class Order:
    """What a look is to do.

    Attributes:
        read: how much to read.
        accepted: digests of holds that an operator lets through.
        holds: whether anything is held at all (a dry run shows everything).
        held: kinds of changes that wait for an operator, and stay out of what is read.
        silently: whether to record the registry as it is, and announce nothing.
        may_scan: whether a full scan is within its share of the registry's time, if a fast read asks for it.
    """

    read: Read
    accepted: frozenset[str] = frozenset()
    holds: bool = True
    held: frozenset[ChangeKind] = frozenset()
    silently: bool = False
    may_scan: bool = True


@dataclass(frozen=True, slots=True)
class Observation:
    """What a look came to.

    ``held`` are the holds that stand; ``overlooked`` the rows that they keep from being recorded;
    ``odd_rows`` those that could not be taken for what they should be.
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
