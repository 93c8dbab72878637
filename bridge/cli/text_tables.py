"""Print text tables; on a terminal, cut the cells so that a table fits its width."""

from collections.abc import Mapping, Sequence
from typing import Any

from bridge.cli.terminal_output import columns_of, elided, padded, room, show, status
from bridge.events.display_text import printable

_GAP = "  "
_TOLD_BY_THEIR_ENDS = frozenset(("EVENT", "EVENTS"))
"""Columns whose cells lose their beginning when cut: event names such as MODEL_VERSION_... begin alike."""

_SHARES = {"MODEL": 2, "CHANGE": 2, "DETAIL": 4, **dict.fromkeys(("OBSERVED", "TIME", "BEGAN"), 3)}
"""Weights of the columns when a table is too wide: a column with weight 2 keeps twice as much as one with 1."""

_STATUS_COLUMNS = frozenset(("STATUS", "CONDITION", "LAST OUTCOME"))


def print_table(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print rows, with their keys as the header. Cells are cut only on a terminal."""
    if not rows:
        return
    names = list(rows[0])
    cells = [names, *([printable(row[name]) for name in names] for row in rows)]
    wanted = [max(columns_of(line[index]) for line in cells) for index in range(len(names))]
    widths = fit(wanted, room(), [_SHARES.get(name, 1) for name in names])
    for number, line in enumerate(cells):
        shown = [
            padded(elided(cell, width, keeps_end=number > 0 and name in _TOLD_BY_THEIR_ENDS), width)
            for name, cell, width in zip(names, line, widths, strict=True)
        ]
        shown[-1] = shown[-1].rstrip()
        if number:
            shown = [
                status(cell, text) if name in _STATUS_COLUMNS else text
                for name, cell, text in zip(names, line, shown, strict=True)
            ]
        show(_GAP.join(shown).rstrip())


def fit(widths: Sequence[int], within: int | None, shares: Sequence[int] = ()) -> list[int]:
    """Return column widths that fit into ``within`` terminal columns; unchanged widths if it is None.

    Columns that are wide for their share are cut first, so that short ones (numbers, statuses) stay complete.
    Every column keeps at least one character, even if lines then exceed the terminal's width.
    """
    if within is None:
        return list(widths)
    shares = shares or [1] * len(widths)
    parts = sum(shares)
    left = max(parts, within - len(_GAP) * (len(widths) - 1))
    fitted = [0] * len(widths)
    for index in sorted(range(len(widths)), key=lambda one: widths[one] / shares[one]):
        fitted[index] = min(widths[index], left * shares[index] // parts)
        left -= fitted[index]
        parts -= shares[index]
    return fitted
