"""Signals that come before anybody is there for them: they wait, and kill nothing that is about to start."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_STOPPING = frozenset({signal.SIGTERM, signal.SIGINT})
_HELD = _STOPPING | {signal.SIGHUP, signal.SIGUSR1}


def hold_signals() -> None:
    """Have the signals that a daemon answers to wait (pending, signal(7)), as the program begins."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _HELD)


def release_signals() -> None:
    """Let them through, with what they do to any program: for commands that are no daemon."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _HELD)


@contextmanager
def stopped_at_once() -> Iterator[None]:
    """Have SIGTERM and SIGINT end a daemon with 0 that has begun nothing yet.

    The others go on waiting until it hears them, and are passed over if it ends before.
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
