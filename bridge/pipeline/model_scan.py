"""The model scan: lists the rows of all models without their versions, in parts, between the full scans of a large registry.

The rows show aliases and tags of models, and which models were deleted. Listing them takes a fraction of the time of a full
scan, most of which goes to versions.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import ceil

from bridge.diff.known_snapshot import KnownModels
from bridge.diff.registry_abilities import Abilities
from bridge.diff.snapshot import RegisteredModel
from bridge.pipeline.clocks import Clock
from bridge.pipeline.full_scan_interval import Cadence, is_due, is_pressing
from bridge.pipeline.incremental_read import MOST_DIFFERING
from bridge.registry.base import Deadline, Registry, RowPosition
from bridge.store.base import Basis

PART_S = 10.0
"""After this time, the poll goes on, and the next one continues the scan."""

PART_OF_DEADLINE = 0.25
"""A part also takes at most this part of the time that the poll has left."""


@dataclass(frozen=True, slots=True)
class ModelScan:
    """How far a scan has come. Each part makes a new value of it, which counts once its poll has been committed.

    Attributes:
        began_at: when it began, ms since the epoch.
        expected: the names of the models that were known then.
        position: where the next page begins; None at the end.
        seen: the names that were listed so far.
        spent_ms: how long its parts took.
    """

    began_at: int
    expected: frozenset[str]
    position: RowPosition | None
    seen: frozenset[str] = frozenset()
    spent_ms: int = 0

    @property
    def is_over(self) -> bool:
        """Whether all models were listed."""
        return self.position is None

    def missing(self, known: KnownModels) -> frozenset[str]:
        """Return the names of models that were known then, still are, and were not listed; none before the scan is over."""
        unseen = self.expected - self.seen if self.is_over else frozenset[str]()
        return frozenset(name for name in unseen if name in known)

    def after(self, began: float) -> "ModelScan":
        """Return the scan after a piece of work that began at this time of the monotonic clock, in seconds."""
        return replace(self, spent_ms=self.spent_ms + ceil((time.monotonic() - began) * 1000))


def read_part(
    registry: Registry, known: KnownModels, scan: ModelScan, deadline: Deadline, gives_way: Callable[[], bool]
) -> tuple[ModelScan, dict[str, RegisteredModel]]:
    """Read at least one page; return how far the scan has come, and the rows that differ from what is ``known``.

    It ends between two pages when ``gives_way`` says that something more urgent waits.

    Raises:
        RegistryError: a page could not be read.
    """
    assert scan.position is not None  # noqa: S101 - a scan that is over has no next part
    began, seen = time.monotonic(), set(scan.seen)
    rows: dict[str, RegisteredModel] = {}
    position: RowPosition | None = scan.position
    part_s = min(PART_S, deadline.remaining() * PART_OF_DEADLINE)
    for page, following in registry.all_rows(scan.position, _first_half(deadline)):
        position = following
        for row in page:
            seen.add(row.name)
            if row == known.row(row.name):
                rows.pop(row.name, None)  # listed twice, because rows before it came or went
            else:
                rows[row.name] = row
        if gives_way() or len(rows) > MOST_DIFFERING or time.monotonic() - began > part_s:
            break
    return replace(scan, seen=frozenset(seen), position=position).after(began), rows


def _first_half(deadline: Deadline) -> Deadline:
    """Return a deadline that leaves half of the time to the rest of the poll."""
    return Deadline.after(round(deadline.remaining() * 500))


class ModelScans:
    """The model scans of a daemon: when one begins, and how far it has come."""

    def __init__(self, cadence: Cadence, clock: Clock) -> None:
        """Begin them as ``cadence`` says."""
        self._cadence = cadence
        self._clock = clock
        self._under_way: ModelScan | None = None
        self._rests_until = 0.0
        self.are_made = False
        """Whether there are any: ``once`` is too short for them."""

    def next_part(self, basis: Basis) -> ModelScan | None:
        """Return the scan of which the next poll reads a part; None if none is under way or due."""
        if not self.are_made or not self._are_needed(basis):
            self._under_way = None
        elif self._under_way is None and self._is_due(basis):
            self._under_way = ModelScan(self._clock.now_ms(), frozenset(basis.known), RowPosition())
        return self._under_way

    def note(self, before: ModelScan | None, now: ModelScan | None, basis: Basis) -> None:
        """Record how far a poll has brought the scan that was ``before``.

        Without ``now``, it was given up, because the poll failed or became a full scan: then the share of that scan is waited for.
        """
        if before is None:
            return
        if now is None:
            self._rests_until = self._clock.monotonic() + self._rest_ms(basis) / 1000
        self._under_way = None if now is None or now.is_over else now

    def _are_needed(self, basis: Basis) -> bool:
        head, last, abilities = basis.head, basis.last_reconcile, basis.abilities or Abilities()
        if head is None or last is None or not abilities.has_full_rows:
            return False
        pressing = is_pressing(head, last, basis.last_poll, basis.abilities)
        return not pressing and self._cadence.needs_model_scans(last, basis.last_poll)

    def _is_due(self, basis: Basis) -> bool:
        last, poll = basis.last_reconcile, basis.last_poll
        if last is None or self._clock.monotonic() < self._rests_until:
            return False
        at = max(last.at, poll.models_listed_at if poll else 0)
        return is_due(at, self._spacing_ms(basis), self._clock.now_ms())

    def _rest_ms(self, basis: Basis) -> float:
        last = basis.last_reconcile
        return max(self._spacing_ms(basis), last.duration_ms / self._cadence.share if last else 0)

    def _spacing_ms(self, basis: Basis) -> int:
        poll, last = basis.last_poll, basis.last_reconcile
        return self._cadence.model_scan_spacing_ms(last, poll) if last else 0
