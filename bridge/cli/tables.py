"""Tables: as wide as they need to be, and on a terminal no wider than it."""

from collections.abc import Mapping, Sequence
from typing import Any

from bridge.cli.terminal import columns_of, elided, padded, room, show, status
from bridge.wording import printable

_GAP = "  "
_STATUS_COLUMNS = frozenset(("STATUS", "CONDITION", "LAST OUTCOME"))


def print_table(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print rows under their keys. Into a pipe or a file, everything is printed in full."""
    if not rows:
        return
    names = list(rows[0])
    cells = [names, *([printable(row[name]) for name in names] for row in rows)]
    widths = fit([max(columns_of(line[index]) for line in cells) for index in range(len(names))], room())
    for number, line in enumerate(cells):
        shown = [padded(elided(cell, width), width) for cell, width in zip(line, widths, strict=True)]
        shown[-1] = shown[-1].rstrip()
        if number:
            shown = [
                status(cell, text) if name in _STATUS_COLUMNS else text
                for name, cell, text in zip(names, line, shown, strict=True)
            ]
        show(_GAP.join(shown).rstrip())


def fit(widths: Sequence[int], within: int | None) -> list[int]:
    """Return the widths of columns that fit into ``within`` columns of a terminal; None: as they are.

    The widest give way first, and all of them alike: so short columns (numbers, statuses) stay whole.
    No column vanishes: where even one character each is too much, lines are longer than the terminal.
    """
    if within is None:
        return list(widths)
    left = max(len(widths), within - len(_GAP) * (len(widths) - 1))
    fitted = dict.fromkeys(range(len(widths)), 0)
    by_width = sorted(fitted, key=lambda index: widths[index])
    for place, index in enumerate(by_width):
        fitted[index] = min(widths[index], left // (len(widths) - place))
        left -= fitted[index]
    return list(fitted.values())
