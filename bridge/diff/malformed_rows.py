"""Rows of a registry that cannot be taken for what they should be. Pure.

One odd row (a migration by hand, a name that only an older server took, a server that fails on it)
is no reason to see nothing of all others. It is left aside: what was known of it stands, as if it had
not been looked at, and somebody is told.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

MOST_KEPT = 100
"""How many odd rows are kept on record: whoever has more of them has one fault, and sees it."""


@dataclass(frozen=True, slots=True, order=True)
class OddRow:
    """One row that is left aside.

    Attributes:
        model: the name of the model; empty where the registry does not tell even that.
        version: the version's number; empty where it is the row of the model, or is not told.
        why: what is odd about it.
        since: when it was first left aside, ms since the epoch.
        created: when its model was created, by the registry's clock, ms; 0 where that is not told.
    """

    model: str
    version: str = ""
    why: str = ""
    since: int = 0
    created: int = 0

    @property
    def place(self) -> tuple[str, str]:
        """Which row it is, whatever is odd about it."""
        return self.model, self.version


def standing(
    before: Collection[OddRow], found: Iterable[OddRow], now_ms: int, *, is_complete: bool
) -> tuple[OddRow, ...]:
    """Return the rows that are left aside after a look which ``found`` some.

    A full scan that finds a row no more has read it; another look has perhaps not come by it.
    """
    known = {row.place: row for row in before}
    rows = {} if is_complete else dict(known)
    for row in sorted(found):
        rows[row.place] = replace(row, since=known[row.place].since if row.place in known else now_ms)
    return tuple(sorted(rows.values())[:MOST_KEPT])


def changed(before: Collection[OddRow], after: Collection[OddRow]) -> tuple[list[OddRow], list[OddRow]]:
    """Return the rows that are left aside only now, and those that are no more."""
    was, is_now = {row.place for row in before}, {row.place for row in after}
    return [row for row in after if row.place not in was], [row for row in before if row.place not in is_now]


def aside_since(rows: Iterable[OddRow]) -> Mapping[str, int]:
    """Return since when rows of each model have been left aside, ms."""
    since: dict[str, int] = {}
    for row in rows:
        since[row.model] = min(row.since, since.get(row.model, row.since))
    return since


def told(named: Collection[OddRow], unnamed: Sequence[OddRow]) -> list[OddRow]:
    """Return ``named`` rows, and as many of the ``unnamed`` ones as those do not account for."""
    return [*named, *unnamed[len(named) :]]
