"""Signs that a reading of the registry is older than what is known: times that went back. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

from bridge.diff.model_pairing import Pair
from bridge.diff.recently_replaced_values import OVERLAP_MS, Memory, Superseded, former_versions
from bridge.diff.snapshot import ModelVersion, RegisteredModel

RACE_MS = 10_000
"""How far a row's time goes back where two writers change it at once: the one that began first can end last."""


class Caution(IntEnum):
    """How far what carries no time is believed."""

    TRUSTING = 0
    """The registry has always answered with its present: all of it is believed."""

    WARY = 1
    """It has given old pictures: what was superseded lately may be shown again."""

    SUSPECTING = 2
    """Something in this very picture is old: nothing is believed that carries no time."""


@dataclass(frozen=True, slots=True)
class Sign:
    """A part of a model that reads as older than it is known.

    Attributes:
        model: the model's name, as it is known.
        version: the version's number; empty for the model itself.
        known: when the part was changed last as far as is known, by the registry's clock, ms.
        read: the same, as it was read now.
        is_certain: whether neither clocks that differ nor writers at once explain it.
        until: from when on, by our clock, a picture of the past can't explain it, ms.
    """

    model: str
    version: str
    known: int
    read: int
    is_certain: bool
    until: int = 0

    def stands(self, caution: Caution, now_ms: int) -> bool:
        """Whether the part is not to be believed."""
        if self.is_certain:
            return True
        is_race = self.known - self.read <= RACE_MS and caution is Caution.TRUSTING
        return not is_race and now_ms < self.until


def signs_of(pair: Pair, memory: Memory, now_ms: int) -> Iterator[Sign]:
    """Yield what of a model reads as older than it is known."""
    old, new = pair.before, pair.after
    if new is None:
        return
    if old is None:
        if memory.is_past(new, now_ms):
            yield Sign(new.name, "", new.updated, new.updated, is_certain=True)
        return
    for number in _gone_versions_that_show(old, new, memory.lately(old.created, now_ms)):
        yield Sign(old.name, number, old.updated, new.updated, is_certain=True)
    recorded_at = memory.recorded_at(old.created)
    for version, known, read, is_former in _parts_of_the_past(old, new, memory.of(old.created)):
        is_certain = is_former or recorded_at is None or known - read > OVERLAP_MS
        yield Sign(old.name, version, known, read, is_certain, (recorded_at or 0) + OVERLAP_MS)
    if new.updated == old.updated and recorded_at is not None:  # a deletion moves the model's time
        for number in old.versions.keys() - new.versions.keys():
            yield Sign(old.name, number, old.updated, new.updated, False, recorded_at + OVERLAP_MS)  # noqa: FBT003


def _gone_versions_that_show(
    old: RegisteredModel, new: RegisteredModel, past: Sequence[Superseded]
) -> Iterator[str]:
    """Yield the versions that are shown, and were deleted lately."""
    for number, read in new.versions.items():
        formerly = former_versions(past, number) if number not in old.versions else ()
        if any(one.created == read.created for one in formerly):
            yield number


def _parts_of_the_past(
    old: RegisteredModel, new: RegisteredModel, past: Sequence[Superseded]
) -> Iterator[tuple[str, int, int, bool]]:
    """Yield version (empty for the model), time known, time read, and whether it is just as it formerly was.

    What is as it formerly was is of the past also where its time is a later one: clocks differ. A part that has
    lost its time (0, by a change in the database itself) tells nothing.
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
