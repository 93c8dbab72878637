"""The order of the stage transitions of one model within one poll."""

from collections.abc import Iterable, Sequence

from bridge.diff.registry_changes import Change
from bridge.diff.snapshot import NO_STAGE, version_order

_DEMOTION_FIRST = ("Archived", NO_STAGE, "Staging", "Production")


def in_stage_order(transitions: Iterable[Change]) -> list[Change]:
    """Order transitions so that a stage is left before another version enters it; otherwise by version.

    Archiving and promotion carry equal timestamps (MLflow does both in one transaction), so the order follows
    from the stages alone. If two versions swap stages, the transition into the lower stage goes first.
    """
    remaining = sorted(transitions, key=lambda change: version_order(change.version or ""))
    ordered: list[Change] = []
    while remaining:
        leaving = {change.before for change in remaining}
        free = [change for change in remaining if change.after not in leaving]
        batch = free or _lowest(remaining)
        ordered += batch
        entered = {change.after for change in batch}
        remaining = [change for change in remaining if change.after not in entered]
    return ordered


def _lowest(changes: Sequence[Change]) -> list[Change]:
    """Return the transitions into the lowest stage that any of them enters."""
    lowest = min(map(_rank, changes))
    return [change for change in changes if _rank(change) == lowest]


def _rank(change: Change) -> tuple[int, str]:
    stage = change.after or ""
    known = stage in _DEMOTION_FIRST
    return (_DEMOTION_FIRST.index(stage) if known else len(_DEMOTION_FIRST), stage)
