"""Prepare text for a terminal: replace control characters, cut to a width, add colours."""

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
"""The words that are shown in colour."""


def printable_lines(text: str) -> str:
    """Return ``text`` as `printable` does, but keep line breaks."""
    return "\n".join(printable(line) if line else "" for line in text.split("\n"))


def columns_of(text: str) -> int:
    """Return the width of ``text`` in terminal columns (Unicode Standard Annex 11)."""
    return len(text) if text.isascii() else sum(map(_columns, text))


def _columns(char: str) -> int:
    if category(char) in _TAKES_NO_ROOM:
        return 0
    return 2 if east_asian_width(char) in {"W", "F"} else 1


def elided(text: str, width: int, *, keeps_end: bool = False) -> str:
    """Cut ``text`` to ``width`` columns; an ellipsis replaces its end, or with ``keeps_end`` its beginning."""
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
    """Return ``text`` padded with spaces to ``width`` columns."""
    return text + " " * (width - columns_of(text))


def room() -> int | None:
    """Return the width of stdout in columns; None if it is not a terminal: lines are then not cut."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def has_colours(stream: TextIO) -> bool:
    """Whether ``stream`` takes colours: a terminal, unless the environment says otherwise.

    NO_COLOR (no-color.org) has precedence; FORCE_COLOR and CLICOLOR_FORCE ask for colours even
    without a terminal; CLICOLOR=0 and TERM=dumb switch them off (bixense.com/clicolors).
    """
    if os.environ.get("NO_COLOR"):
        return False
    if any(os.environ.get(name, "0") not in {"", "0"} for name in ("FORCE_COLOR", "CLICOLOR_FORCE")):
        return True
    if os.environ.get("TERM") == "dumb" or os.environ.get("CLICOLOR") == "0":
        return False
    return stream.isatty()


def show(text: str = "") -> None:
    """Print a line to stdout; its colours are removed if stdout does not take colours."""
    click.echo(text, color=has_colours(sys.stdout))


def status(word: str, text: str | None = None) -> str:
    """Return ``text`` (by default ``word``) in the colour of the status ``word``; unchanged if ``word`` has no colour."""
    shown = word if text is None else text
    colour = _STYLES.get(word)
    return click.style(shown, fg=colour) if colour else shown
