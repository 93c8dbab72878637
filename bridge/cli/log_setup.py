"""Configure logging: log events with constant dotted names and fields, written to stderr."""

import logging
import sys
from collections.abc import MutableMapping, Sequence
from contextlib import suppress
from typing import Any, TextIO, cast

import structlog

from bridge.cli.progress_line import LINE
from bridge.cli.terminal_output import has_colours, printable_lines

LEVELS = ("debug", "info", "warning", "error")


def configure(level: str, style: str) -> None:
    """Send logs of ``level`` and above to stderr, as ``console`` lines or ``json`` objects.

    Log records of libraries that use the standard library (such as APScheduler) are formatted the same way.
    """
    number = getattr(logging, level.upper())
    shared: list[Any] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, *_rendering(style)],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(file=cast("TextIO", Stderr())),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(Stderr())
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_rendering(style)],
    )
    handler.setFormatter(formatter)
    logging.basicConfig(level=max(number, logging.WARNING), handlers=[handler], force=True)
    # While a poll takes longer than the interval, it would warn at every interval that the next one waits.
    logging.getLogger("apscheduler.scheduler").setLevel(logging.ERROR)


def _rendering(style: str) -> Sequence[Any]:
    if style == "json":
        return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    # The default formatter would print the local variables of every frame, which can hold secrets.
    plain = structlog.dev.plain_traceback
    renderer = structlog.dev.ConsoleRenderer(colors=has_colours(sys.stderr), exception_formatter=plain)
    return [structlog.processors.format_exc_info, _for_terminals, renderer]


def _for_terminals(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace control characters in fields: names come from a registry, and stderr may be a terminal."""
    for key, value in event.items():
        if isinstance(value, str) and value:
            event[key] = printable_lines(value)
    return event


class Stderr:
    """Standard error for log lines: a line that cannot be written is lost, without an error."""

    def write(self, text: str) -> int:
        """Write ``text`` if possible."""
        LINE.erase()
        with suppress(OSError, ValueError):
            return sys.stderr.write(text)
        return 0

    def flush(self) -> None:
        """Flush if possible."""
        with suppress(OSError, ValueError):
            sys.stderr.flush()
