"""The calls by which a file becomes durable, private, and its owner's; and those of them that may fail.

A call is a condition where a promise rests on it. Where what it asks for holds already, it is not made; where
a file system does not have it, and the promise holds without it, the refusal is passed over.
"""

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path

from bridge.store.file_errors import UNSUPPORTED

_PRIVATE = 0o600
_OTHERS = stat.S_IRWXG | stat.S_IRWXO

_UNSUPPORTED_FOLDER = UNSUPPORTED | {errno.EBADF, errno.EACCES, errno.EPERM, errno.EISDIR}
"""What folders answer that cannot be flushed, or not be opened for it (SMB, 9p, some FUSE), as PostgreSQL and SQLite take it."""


def write_all(descriptor: int, data: bytes, offset: int) -> int:
    """Write all of ``data`` at ``offset``; return how much that was.

    Raises:
        OSError: it could not be written.
    """
    view = memoryview(data)
    written = 0
    while written < len(data):
        count = os.pwrite(descriptor, view[written:], offset + written)
        if count == 0:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        written += count
    return written


def flush(descriptor: int) -> None:
    """Have the disk hold what was written to a file.

    Raises:
        OSError: it may not.
    """
    try:
        getattr(os, "fdatasync", os.fsync)(descriptor)
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
        os.fsync(descriptor)


def flush_folder(folder: Path) -> None:
    """Have the disk hold the names in ``folder``, where its file system can be asked for that.

    Where it cannot, renaming is as durable as the file system makes it.

    Raises:
        OSError: the disk fails, is full, or is gone.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in _UNSUPPORTED_FOLDER:
            raise


def close(descriptor: int) -> None:
    """Close a file; what it held was flushed before, or is given up."""
    with suppress(OSError):
        os.close(descriptor)


def remove(path: Path) -> None:
    """Remove a file that nobody needs, if that is possible."""
    with suppress(OSError):
        path.unlink()


def keep_private(descriptor: int) -> None:
    """Have nobody but its owner read and write a file, where its file system keeps modes.

    A mount without them (FAT, SMB, some of virtual machines) has one mode for all of its files, and a setting for it.
    """
    if stat.S_IMODE(os.fstat(descriptor).st_mode) != _PRIVATE:
        with suppress(OSError):
            os.fchmod(descriptor, _PRIVATE)


def keep_folder_private(folder: Path) -> None:
    """Keep others out of ``folder``, where that is ours to decide.

    A mounted volume may belong to somebody else; a folder such as /tmp belongs to all.
    """
    mode = stat.S_IMODE(folder.stat().st_mode)
    wanted = (mode & ~_OTHERS) | stat.S_IRWXU
    if mode != wanted and not mode & stat.S_ISVTX:
        with suppress(OSError):
            folder.chmod(wanted)


def give_to_owner(descriptor: int, folder: Path, before: Path | None = None) -> None:
    """Where root works on a service's folder, leave files that the service can use.

    Args:
        descriptor: the file.
        folder: the folder in which it is; its owner gets the file,
        before: unless there is a file in whose place this one comes: then that one's.

    Raises:
        OSError: it cannot be given, and ``before`` would be taken from its owner.
    """
    if os.geteuid() != 0:
        return
    is_there = before is not None and before.exists()
    owner = (before if before is not None and is_there else folder).stat()
    if os.fstat(descriptor).st_uid == owner.st_uid:
        return
    try:
        os.fchown(descriptor, owner.st_uid, owner.st_gid)
    except OSError:
        if is_there:
            raise
