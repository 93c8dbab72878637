"""Show the progress of a long scan as one line on stderr, on a terminal only; it is erased at the end."""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import click

from bridge.cli.terminal_output import elided
from bridge.events.display_text import count

_PATIENCE_S = 0.5
"""No progress is shown for a scan that takes less than this."""

_EVERY_S = 0.25
_USUAL_COLUMNS = 80
_ERASE = "\r\x1b[K"

Scanned = Callable[[int, int], None]
"""A callback of a scan: it gets the numbers of models and versions that have been read so far."""


class TransientLine:
    """A line on stderr that is erased before anything else is written there. Safe for threads."""

    def __init__(self) -> None:
        """Begin with nothing drawn."""
        self._lock = threading.Lock()
        self._is_drawn = False

    def draw(self, text: str) -> None:
        """Draw ``text`` in place of the previous text, cut to the width of the terminal."""
        with self._lock, suppress(OSError, ValueError):
            sys.stderr.write(_ERASE + elided(text, _columns() - 1))
            sys.stderr.flush()
            self._is_drawn = True

    def erase(self) -> None:
        """Remove the line, if one is drawn."""
        if not self._is_drawn:
            return
        with self._lock, suppress(OSError, ValueError):
            sys.stderr.write(_ERASE)
            sys.stderr.flush()
            self._is_drawn = False


def _columns() -> int:
    """Return the width of the terminal of stderr; stdout may be a pipe."""
    with suppress(OSError, ValueError):
        return os.get_terminal_size(sys.stderr.fileno()).columns or _USUAL_COLUMNS
    return _USUAL_COLUMNS


LINE = TransientLine()
"""The one line of the process: there is only one stderr."""


class Progress:
    """Draws the progress of a scan as its pages arrive, at most once every 0.25 s."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, line: TransientLine = LINE) -> None:
        """Begin with nothing read; ``clock`` is in seconds."""
        self._clock = clock
        self._line = line
        self._first: tuple[float, int] | None = None
        self._drawn_at = 0.0

    def __call__(self, models: int, versions: int) -> None:
        """Draw the progress, unless the scan has just begun or the last drawing is too recent.

        The rate counts from the first page: the time before it was not spent on reading.
        """
        now, read = self._clock(), models + versions
        if self._first is None or read < self._first[1]:
            self._first, self._drawn_at = (now, read), now + _PATIENCE_S - _EVERY_S
        if now - self._drawn_at < _EVERY_S:
            return
        self._drawn_at = now
        rate = (read - self._first[1]) / (now - self._first[0])
        self._line.draw(
            f"reading the registry: {count(models, 'model', ',')}, {count(versions, 'version', ',')} ({rate:,.0f} a second)"
        )


@contextmanager
def scan_progress(ctx: click.Context) -> Iterator[Scanned | None]:
    """Yield a callback that shows a scan's progress on a terminal; None if stderr is not one, or logs are JSON or quiet."""
    options = ctx.find_root().obj
    if not sys.stderr.isatty() or options["quiet"] or options["log_format"] == "json":
        yield None
        return
    try:
        yield Progress()
    finally:
        LINE.erase()
