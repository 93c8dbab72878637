"""Signals that come before anybody is there for them: they wait, and kill nothing that is about to start."""

import signal
import sys
from types import FrameType

_STOPPING = frozenset({signal.SIGTERM, signal.SIGINT})
_HELD = _STOPPING | {signal.SIGHUP, signal.SIGUSR1}


def hold_signals() -> None:
    """Have the signals that a daemon answers to wait (pending, signal(7)), as the program begins."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _HELD)


def release_signals() -> None:
    """Let them through, with what they do to any program: for commands that are no daemon."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _HELD)


def stop_at_once() -> None:
    """Have SIGTERM and SIGINT end a daemon with 0 that has begun nothing yet; the others go on waiting."""
    for number in _STOPPING:
        signal.signal(number, _stop)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPPING)


def _stop(_number: int, _frame: FrameType | None) -> None:
    sys.exit(0)
