"""Timestamp regressions: rows whose time of last change is earlier than the known one. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

from bridge.diff.recently_replaced_values import (
    OVERLAP_MS,
    RecentlyReplacedValues,
    Superseded,
    former_versions,
)
from bridge.diff.rename_detection import Pair
from bridge.diff.snapshot import ModelVersion, RegisteredModel

RACE_MS = 10_000
"""How far a row's time can go back when two writers change it at once: the first to begin can be the last to commit."""


class Caution(IntEnum):
    """How far values without a timestamp (tags, aliases, deletions) are accepted."""

    TRUSTING = 0
    """The registry has never given a stale read: everything is accepted."""

    WARY = 1
    """The registry has given stale reads before: a recently replaced value may be shown again."""

    SUSPECTING = 2
    """Something in this very read is stale: nothing without a timestamp is accepted."""


@dataclass(frozen=True, slots=True)
class TimestampRegression:
    """A part of a model that reads as older than it is known.

    Attributes:
        model: the known name of the model.
        version: the version's number; empty for the model itself.
        known: the known time of the part's last change, by the registry's clock, ms.
        read: the same, as it was read now.
        is_certain: whether neither clock skew nor simultaneous writers can explain it.
        until: the time, by the bridge's clock, from which a stale read can't explain it any more, ms.
    """

    model: str
    version: str
    known: int
    read: int
    is_certain: bool
    until: int = 0

    def stands(self, caution: Caution, now_ms: int) -> bool:
        """Whether the part is not accepted."""
        if self.is_certain:
            return True
        is_race = self.known - self.read <= RACE_MS and caution is Caution.TRUSTING
        return not is_race and now_ms < self.until


def find_regressions(
    pair: Pair, memory: RecentlyReplacedValues, now_ms: int
) -> Iterator[TimestampRegression]:
    """Yield the parts of a model that read as older than they are known."""
    old, new = pair.before, pair.after
    if new is None:
        return
    if old is None:
        if memory.is_past(new, now_ms):
            yield TimestampRegression(new.name, "", new.updated, new.updated, is_certain=True)
        return
    for number in _gone_versions_that_show(old, new, memory.lately(old.created, now_ms)):
        yield TimestampRegression(old.name, number, old.updated, new.updated, is_certain=True)
    recorded_at = memory.recorded_at(old.created)
    for version, known, read, is_former in _parts_of_the_past(old, new, memory.of(old.created)):
        is_certain = is_former or recorded_at is None or known - read > OVERLAP_MS
        yield TimestampRegression(old.name, version, known, read, is_certain, (recorded_at or 0) + OVERLAP_MS)
    if new.updated == old.updated and recorded_at is not None:  # deleting a version changes the model's time
        for number in old.versions.keys() - new.versions.keys():
            until = recorded_at + OVERLAP_MS
            yield TimestampRegression(
                old.name, number, old.updated, new.updated, is_certain=False, until=until
            )


def _gone_versions_that_show(
    old: RegisteredModel, new: RegisteredModel, past: Sequence[Superseded]
) -> Iterator[str]:
    """Yield the versions that are shown although they were deleted recently."""
    for number, read in new.versions.items():
        formerly = former_versions(past, number) if number not in old.versions else ()
        if any(one.created == read.created for one in formerly):
            yield number


def _parts_of_the_past(
    old: RegisteredModel, new: RegisteredModel, past: Sequence[Superseded]
) -> Iterator[tuple[str, int, int, bool]]:
    """Yield version (empty for the model), known time, time read, and whether it equals a former state.

    A part that equals a former state is stale even if its time is later, because clocks differ. A part whose
    time is 0 (changed in the database itself) tells nothing.
    """
    if new.updated and new.updated != old.updated:
        is_former = _is_former_row(new, past)
        if is_former or new.updated < old.updated:
            yield "", old.updated, new.updated, is_former
    for number, read in new.versions.items():
        known = old.versions.get(number)
        if known is None or read.created != known.created or not read.updated:
            continue
        if read.updated != known.updated:
            is_former = _is_former_version(read, past)
            if is_former or read.updated < known.updated:
                yield number, known.updated, read.updated, is_former


def _is_former_row(row: RegisteredModel, past: Iterable[Superseded]) -> bool:
    facts = (row.name, row.updated, row.description)
    return any(one.was and facts == (one.was.name, one.was.updated, one.was.description) for one in past)


def _is_former_version(version: ModelVersion, past: Iterable[Superseded]) -> bool:
    read = replace(version, tags=())
    return any(replace(one, tags=()) == read for one in former_versions(past, version.version))
