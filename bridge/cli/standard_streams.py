"""The standard streams as a process may be given them: closed, full, cut off, or slower than what is said."""

import os
import select
import sys
from contextlib import suppress
from io import RawIOBase, TextIOWrapper
from typing import TYPE_CHECKING, TextIO

from bridge.errors import BridgeError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_NAMES = ("stdin", "stdout", "stderr")
_PATIENCE_MS = 1_000
"""How long a line for people waits for those who read it slowly; then lines are lost until they do."""


class Results(RawIOBase):
    """Standard output: what cannot be written there is an error, which says so."""

    patience_ms: int | None = None

    def __init__(self, descriptor: int) -> None:
        """Write to an open file."""
        self._descriptor = descriptor

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._descriptor

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return os.isatty(self._descriptor)

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, data: "ReadableBuffer", /) -> int:
        """Write all of ``data``; return how much that is.

        Raises:
            BrokenPipeError: nobody reads any more.
            BridgeError: it cannot be written.
        """
        view = memoryview(data).cast("B")
        try:
            self._write_all(view)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise BridgeError(f"stdout cannot be written: {error.strerror}") from None
        return len(view)

    def _write_all(self, view: memoryview) -> None:
        """Write all of ``view``; where the other side reads slowly, and the file does not wait for it, wait here."""
        written = 0
        while written < len(view):
            try:
                written += os.write(self._descriptor, view[written:])
            except BlockingIOError:
                self._wait()

    def _wait(self) -> None:
        poll = select.poll()
        poll.register(self._descriptor, select.POLLOUT)
        if not poll.poll(self.patience_ms):
            raise TimeoutError


class Messages(Results):
    """Standard error: where it is full, gone or stuck, lines are lost, and nothing else."""

    patience_ms = _PATIENCE_MS

    def write(self, data: "ReadableBuffer", /) -> int:
        """Write ``data`` as far as possible; return how long it is."""
        view = memoryview(data).cast("B")
        try:
            self._write_all(view)
            self.patience_ms = _PATIENCE_MS
        except TimeoutError:
            self.patience_ms = 0
        except OSError:
            pass
        return len(view)


def prepare_streams() -> None:
    """Have each of the standard streams be there, and fail as is right for it.

    A stream that is closed is opened on nothing: otherwise the next file that is opened would have its number, and be
    printed into.
    """
    for number, name in enumerate(_NAMES):
        if not _is_open(number):
            _open_on_nothing(number, name)
    sys.stdout = _over(sys.stdout, sys.__stdout__, Results)
    sys.stderr = _over(sys.stderr, sys.__stderr__, Messages)


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def _open_on_nothing(number: int, name: str) -> None:
    """Open the lowest number that is free: it is ``number``, as those below it are open."""
    os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # noqa: FBT003 - its only argument
    stream = open(number, "r" if number == 0 else "w", closefd=False)  # noqa: SIM115 - for good
    setattr(sys, name, stream)
    setattr(sys, f"__{name}__", stream)


def _over(stream: TextIO, original: TextIO | None, kind: type[Results]) -> TextIO:
    """Return ``stream``, over ``kind`` where it is the process' own: one that a caller put there is theirs.

    What its encoding lacks is replaced, and does not fail: names hold any character.
    """
    if isinstance(stream, TextIOWrapper) and stream is original:
        with suppress(OSError, ValueError):
            raw = kind(stream.fileno())
            return TextIOWrapper(raw, encoding=stream.encoding, errors="replace", write_through=True)  # type: ignore[type-var]
    if isinstance(stream, TextIOWrapper):
        stream.reconfigure(errors="replace")
    return stream
