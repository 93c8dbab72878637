"""Malformed rows of a registry: which ones are skipped, and since when. Pure.

One malformed row (a migration by hand, a name that only an older server accepted, a row on which the server
fails) must not hide all others. The row is skipped: its known state is kept as if it had not been read, and
the operator is told.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

MOST_KEPT = 100
"""How many malformed rows are recorded at most: more of them have one common cause, which these show."""


@dataclass(frozen=True, slots=True, order=True)
class OddRow:
    """One row that is skipped.

    Attributes:
        model: the name of the model; empty where the registry does not give even that.
        version: the version's number; empty for the row of the model itself, or where it is not given.
        why: what is wrong with the row.
        since: when the row was first skipped, ms since the epoch.
        created: when its model was created, by the registry's clock, ms; 0 where that is not given.
    """

    model: str
    version: str = ""
    why: str = ""
    since: int = 0
    created: int = 0

    @property
    def place(self) -> tuple[str, str]:
        """The model and version that identify the row, whatever is wrong with it."""
        return self.model, self.version


def skipped_rows(
    before: Collection[OddRow], found: Iterable[OddRow], now_ms: int, *, is_complete: bool
) -> tuple[OddRow, ...]:
    """Return the rows that are skipped after a read that ``found`` some malformed rows.

    A full scan that does not find a known row any more has read it successfully. Another read has perhaps not
    covered that row, so the row stays on record.
    """
    known = {row.place: row for row in before}
    rows = {} if is_complete else dict(known)
    for row in sorted(found):
        rows[row.place] = replace(row, since=known[row.place].since if row.place in known else now_ms)
    return tuple(sorted(rows.values())[:MOST_KEPT])


def skipped_row_changes(
    before: Collection[OddRow], after: Collection[OddRow]
) -> tuple[list[OddRow], list[OddRow]]:
    """Return the rows that are newly skipped, and those that are no longer skipped."""
    was, is_now = {row.place for row in before}, {row.place for row in after}
    return [row for row in after if row.place not in was], [row for row in before if row.place not in is_now]


def aside_since(rows: Iterable[OddRow]) -> Mapping[str, int]:
    """Return for each model since when rows of it have been skipped, ms."""
    since: dict[str, int] = {}
    for row in rows:
        since[row.model] = min(row.since, since.get(row.model, row.since))
    return since


def with_unnamed_rows(named: Collection[OddRow], unnamed: Sequence[OddRow]) -> list[OddRow]:
    """Return the ``named`` rows, and those ``unnamed`` ones that exceed the number of named rows."""
    return [*named, *unnamed[len(named) :]]
