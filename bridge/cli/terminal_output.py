"""What a terminal gets to see: no control characters, no more than fits, colours where they are wanted."""

import os
import shutil
import sys
from typing import TextIO
from unicodedata import category, east_asian_width

import click

from bridge.events.display_text import printable

_ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"
_TAKES_NO_ROOM = frozenset(("Mn", "Me"))

_STYLES = {
    **dict.fromkeys(("ok", "delivered", "running"), "green"),
    **dict.fromkeys(("held", "paused", "orphaned", "pending"), "yellow"),
    **dict.fromkeys(("failed", "failing", "dead", "stopped"), "red"),
}
"""The statuses that are coloured; nothing else is."""


def printable_lines(text: str) -> str:
    """Return ``text`` as `printable` does, with the line breaks of a message left in it."""
    return "\n".join(printable(line) if line else "" for line in text.split("\n"))


def columns_of(text: str) -> int:
    """Return how many columns of a terminal ``text`` takes (Unicode Standard Annex 11)."""
    return len(text) if text.isascii() else sum(map(_columns, text))


def _columns(char: str) -> int:
    if category(char) in _TAKES_NO_ROOM:
        return 0
    return 2 if east_asian_width(char) in {"W", "F"} else 1


def elided(text: str, width: int, *, keeps_end: bool = False) -> str:
    """Return as much of ``text`` as fits into ``width`` columns; an ellipsis stands for its end, or its beginning."""
    if columns_of(text) <= width:
        return text
    kept, left = [], width - 1
    for char in reversed(text) if keeps_end else text:
        left -= _columns(char)
        if left < 0:
            break
        kept.append(char)
    return _ELLIPSIS + "".join(reversed(kept)) if keeps_end else "".join(kept) + _ELLIPSIS


def padded(text: str, width: int) -> str:
    """Return ``text`` with blanks after it, ``width`` columns in all."""
    return text + " " * (width - columns_of(text))


def room() -> int | None:
    """Return how many columns stdout has; None where it is no terminal, and takes lines of any length."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def has_colours(stream: TextIO) -> bool:
    """Whether ``stream`` takes colours: a terminal, unless the environment says otherwise.

    NO_COLOR (no-color.org) goes before all else; FORCE_COLOR and CLICOLOR_FORCE ask for colours also
    where there is no terminal; CLICOLOR=0 and TERM=dumb switch them off (bixense.com/clicolors).
    """
    if os.environ.get("NO_COLOR"):
        return False
    if any(os.environ.get(name, "0") not in {"", "0"} for name in ("FORCE_COLOR", "CLICOLOR_FORCE")):
        return True
    if os.environ.get("TERM") == "dumb" or os.environ.get("CLICOLOR") == "0":
        return False
    return stream.isatty()


def show(text: str = "") -> None:
    """Print a line to stdout; its colours stay only where they are wanted."""
    click.echo(text, color=has_colours(sys.stdout))


def status(word: str, text: str | None = None) -> str:
    """Return ``text`` (or ``word`` itself) in the colour of the status that ``word`` is, if it is one."""
    shown = word if text is None else text
    colour = _STYLES.get(word)
    return click.style(shown, fg=colour) if colour else shown
