"""The fast read: recently updated models, and watched models by name."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum, unique

from bridge.diff.absence_verification import Listing
from bridge.diff.known_snapshot import KnownModels
from bridge.diff.snapshot import RegisteredModel
from bridge.pipeline.watched_models import Watch
from bridge.registry.base import Deadline, Registry

MOST_DIFFERING = 200
"""If more models than this differ, a full scan is cheaper than reading each of them."""

MOST_ABSENT = 5
"""How many models that are not found a read asks for: if more are gone at once, full scans decide, and hold it."""

_TAIL = 2
"""How many unchanged rows have to follow the changed ones before the read stops."""


@unique
class Read(StrEnum):
    """How much of a registry a poll reads."""

    FAST = "fast"
    """Recently updated models, and watched models by name."""

    FULL = "full"
    """Everything: the full scan, with which a poll reconciles."""


class FullScanNeeded(Exception):
    """More models differ than a fast read can handle: a full scan is needed."""


@dataclass(frozen=True, slots=True)
class Interest:
    """What a fast read looks for.

    Attributes:
        since: the registry's time before which nothing new can be, ms, judged by its rows.
        watch: models to read by name.
        named: models to read by name with their versions, because hints name them: they may also be gone.
        only_named: whether nothing else is read.
        overlooked: rows that differ because a hold keeps them from being recorded.
        listed: rows that a model scan found to differ.
        missing: known models that a model scan did not list: they may be gone.
    """

    since: int
    watch: Watch = field(default_factory=Watch)
    named: frozenset[str] = frozenset()
    only_named: bool = False
    overlooked: Mapping[str, RegisteredModel] = field(default_factory=dict)
    listed: Mapping[str, RegisteredModel] = field(default_factory=dict)
    missing: frozenset[str] = frozenset()


def read_fast(registry: Registry, known: KnownModels, interest: Interest, deadline: Deadline) -> Listing:
    """Read the most recently updated models until nothing differs and nothing new can follow.

    Rows are compared with the snapshot, never with a latest timestamp: timestamps repeat and go back.

    Raises:
        FullScanNeeded: a full scan is needed.
        RegistryError: the registry gave no answer.
    """
    if len(known.unsettled) > MOST_DIFFERING:
        raise FullScanNeeded
    rows = {} if interest.only_named else _latest(registry, known, interest, deadline)
    if known and not rows and not interest.only_named:
        raise FullScanNeeded
    rows = {**interest.listed, **rows}  # those of the model scan are the older ones
    also = () if interest.only_named else known.unsettled
    named = interest.watch.rows.union(also, interest.named) - rows.keys()
    rows.update({row.name: row for row in registry.rows(sorted(named), deadline)} if named else {})
    absent = {*_absent(interest.named - rows.keys(), known), *_absent(interest.missing - rows.keys(), known)}
    wanted = _differing(rows.values(), known, interest)
    if len(wanted) > MOST_DIFFERING:
        raise FullScanNeeded
    by_name = (*known.unsettled, *interest.watch.versions, *interest.named)
    wanted |= {name for name in by_name if name in rows}
    latest = max((row.updated for row in rows.values()), default=0)
    models = registry.with_versions([rows[name] for name in sorted(wanted)], deadline)
    return Listing(models, absent=frozenset(absent), is_complete=False, latest=latest)


def _absent(names: Collection[str], known: KnownModels) -> list[str]:
    found = [name for name in names if name in known]
    return [] if len(found) > MOST_ABSENT else found


def _latest(
    registry: Registry, known: KnownModels, interest: Interest, deadline: Deadline
) -> dict[str, RegisteredModel]:
    rows: dict[str, RegisteredModel] = {}
    for pages in registry.latest(deadline):
        for page in pages:
            rows.update({row.name: row for row in page})
            if len(_differing(rows.values(), known, interest)) > MOST_DIFFERING:
                raise FullScanNeeded
            if _is_past(page, known, interest):
                break
    return rows


def _is_past(page: Sequence[RegisteredModel], known: KnownModels, interest: Interest) -> bool:
    """Whether nothing new can follow after a page: its last rows are unchanged and old enough.

    Rows without a time are ignored: PostgreSQL sorts NULL before the latest time.
    """
    tail = page[-_TAIL:]
    return (
        len(tail) == _TAIL
        and all(0 < row.updated < interest.since for row in tail)
        and not _differing(tail, known, interest)
    )


def _differing(rows: Collection[RegisteredModel], known: KnownModels, interest: Interest) -> set[str]:
    """Return the names of the rows that differ from the snapshot, except rows that are held."""
    return {
        row.name for row in rows if row != known.row(row.name) and row != interest.overlooked.get(row.name)
    }
