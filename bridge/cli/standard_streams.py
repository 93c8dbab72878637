"""Make the standard streams safe to use when they are closed, full, broken, or read slowly."""

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
"""How long a write to stderr waits for a slow reader; after that, lines are lost until it reads again."""


class Results(RawIOBase):
    """Standard output: a failed write is an error with a message."""

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
        """Write all of ``data``; return its length.

        Raises:
            BrokenPipeError: the reader has closed the pipe.
            BridgeError: the write failed.
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
        """Write all of ``view``; wait if the file is non-blocking and its reader is slow."""
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
    """Standard error: if a write fails or takes too long, the line is lost, without an error."""

    patience_ms = _PATIENCE_MS

    def write(self, data: "ReadableBuffer", /) -> int:
        """Write as much of ``data`` as possible; return its full length."""
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
    """Open closed standard streams on /dev/null, and replace stdout and stderr by `Results` and `Messages`.

    If a closed stream stayed closed, the next file to be opened would get its descriptor, and output would be
    written into that file.
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
    """Open /dev/null: it gets the lowest free descriptor, which is ``number``, as those below it are open."""
    os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # noqa: FBT003 - its only argument
    stream = open(number, "r" if number == 0 else "w", closefd=False)  # noqa: SIM115 - stays open
    setattr(sys, name, stream)
    setattr(sys, f"__{name}__", stream)


def _over(stream: TextIO, original: TextIO | None, kind: type[Results]) -> TextIO:
    """Return ``stream`` rebuilt over ``kind``, if it is the process's original stream and not one that a caller set.

    Characters that its encoding lacks are replaced instead of raising an error: names can hold any character.
    """
    if isinstance(stream, TextIOWrapper) and stream is original:
        with suppress(OSError, ValueError):
            raw = kind(stream.fileno())
            return TextIOWrapper(raw, encoding=stream.encoding, errors="replace", write_through=True)  # type: ignore[type-var]
    if isinstance(stream, TextIOWrapper):
        stream.reconfigure(errors="replace")
    return stream
