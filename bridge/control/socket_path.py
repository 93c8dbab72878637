"""The address of the control socket in the state folder, also if the folder's path is long."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NAME = "control"

_ROOM = 100
"""The longest path in bytes that fits on every system: sun_path has 108 bytes on Linux, 104 on macOS and BSD."""


@contextmanager
def address(folder: Path) -> Iterator[str]:
    """Yield a path of the socket in ``folder`` that fits into a socket address.

    A long path is replaced by one through a descriptor of the folder (proc(5)); without
    /proc, it stays long, and using it fails.

    Raises:
        OSError: the folder cannot be opened.
    """
    path = folder / NAME
    if len(os.fsencode(path)) <= _ROOM:
        yield str(path)
        return
    descriptor = os.open(folder, getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY)
    try:
        short = Path(f"/proc/self/fd/{descriptor}")
        yield str(short / NAME if short.exists() else path)
    finally:
        os.close(descriptor)
