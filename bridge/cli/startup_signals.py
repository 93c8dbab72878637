"""Block the daemon's signals while the program starts, so that they cannot kill it before it handles them."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_STOPPING = frozenset({signal.SIGTERM, signal.SIGINT})
_HELD = _STOPPING | {signal.SIGHUP, signal.SIGUSR1}


def hold_signals() -> None:
    """Block the signals that the daemon handles; they stay pending (signal(7))."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _HELD)


def release_signals() -> None:
    """Unblock the signals, with their default effects: for commands other than the daemon."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _HELD)


@contextmanager
def exit_on_stop_signals() -> Iterator[None]:
    """Let SIGTERM and SIGINT end the daemon with exit code 0 while it is still starting.

    The other signals stay blocked until the daemon handles them, and are ignored if it ends before.
    """
    for number in _STOPPING:
        signal.signal(number, _stop)
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPPING)
        yield
    finally:
        for number in _HELD - _STOPPING:
            signal.signal(number, signal.SIG_IGN)


def _stop(_number: int, _frame: FrameType | None) -> None:
    sys.exit(0)
