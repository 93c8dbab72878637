"""Lines that are whole and on the disk, whoever else writes and whatever fails."""

import fcntl
import os
import time
from errno import ENOSPC
from pathlib import Path

_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC


def append(path: str, line: bytes, seconds: float) -> None:
    """Append ``line`` to the file at ``path``, and flush it to the disk.

    The file is opened anew for each line, so that it can be rotated at any time.

    Raises:
        TimeoutError: somebody else held the file's lock for so many seconds.
        OSError: it cannot be written; nothing of the line is left in it.
    """
    opened = os.open(path, _FLAGS, 0o640)
    try:
        _lock(opened, time.monotonic() + seconds)
        size = os.fstat(opened).st_size
        _write(opened, _break_after(opened, size) + line + b"\n", size)
        os.fsync(opened)
    finally:
        os.close(opened)
    if size == 0:
        _flush_name(Path(path).absolute().parent)


def _lock(opened: int, until: float) -> None:
    while True:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                raise TimeoutError from None
            time.sleep(0.02)  # in a thread: nothing else waits for it
        else:
            return


def _break_after(opened: int, size: int) -> bytes:
    """Return the end of the line before, where a crash cut it off: it must not swallow this one."""
    return b"\n" if size and os.pread(opened, 1, size - 1) != b"\n" else b""


def _write(opened: int, text: bytes, size: int) -> None:
    if os.write(opened, text) < len(text):  # the disk is full: half a line is worse than none
        os.ftruncate(opened, size)
        raise OSError(ENOSPC, os.strerror(ENOSPC))


def _flush_name(folder: Path) -> None:
    """Make the name of a new file durable, too."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
