"""How far a long scan has come: one line on stderr that is drawn over and erased, on a terminal only."""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import click

from bridge.cli.terminal_output import elided

_PATIENCE_S = 0.5
"""What takes less needs no telling."""

_EVERY_S = 0.25
_USUAL_COLUMNS = 80
_ERASE = "\r\x1b[K"

Scanned = Callable[[int, int], None]
"""Is told during a scan how many models and how many versions have been read."""


class TransientLine:
    """A line on stderr that stands until something else is written there. Threads share it."""

    def __init__(self) -> None:
        """Begin with nothing drawn."""
        self._lock = threading.Lock()
        self._is_drawn = False

    def draw(self, text: str) -> None:
        """Draw ``text`` in place of what stood there, no longer than the terminal is wide."""
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
    """Return how wide the terminal of stderr is: stdout may be a pipe."""
    with suppress(OSError, ValueError):
        return os.get_terminal_size(sys.stderr.fileno()).columns or _USUAL_COLUMNS
    return _USUAL_COLUMNS


LINE = TransientLine()
"""There is one stderr, and so one line."""


class Progress:
    """Tells of a scan as its pages come in, but not more often than people can read."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, line: TransientLine = LINE) -> None:
        """Begin with nothing read; ``clock`` is in seconds."""
        self._clock = clock
        self._line = line
        self._first: tuple[float, int] | None = None
        self._drawn_at = 0.0

    def __call__(self, models: int, versions: int) -> None:
        """Draw how far the scan has come, unless it has only begun, or that was done just now.

        The rate is that since the first page: what came before it was not reading.
        """
        now, read = self._clock(), models + versions
        if self._first is None or read < self._first[1]:
            self._first, self._drawn_at = (now, read), now + _PATIENCE_S - _EVERY_S
        if now - self._drawn_at < _EVERY_S:
            return
        self._drawn_at = now
        rate = (read - self._first[1]) / (now - self._first[0])
        self._line.draw(
            f"reading the registry: {models:,} models, {versions:,} versions ({rate:,.0f} a second)"
        )


@contextmanager
def shown(ctx: click.Context) -> Iterator[Scanned | None]:
    """Show a scan's progress where somebody is there to see it; else None: then it costs nothing."""
    options = ctx.find_root().obj
    if not sys.stderr.isatty() or options["quiet"] or options["log_format"] == "json":
        yield None
        return
    try:
        yield Progress()
    finally:
        LINE.erase()
