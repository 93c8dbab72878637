"""System calls that make a file durable, private and owned by the right user, and which of them may fail.

A failed call is an error if a promise depends on it. A call is not made if its effect already holds. If a
file system does not support a call, and the promise holds without it, the failure is ignored.
"""

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path

from bridge.store.file_error_advice import UNSUPPORTED

_PRIVATE = 0o600
_OTHERS = stat.S_IRWXG | stat.S_IRWXO

_UNSUPPORTED_FOLDER = UNSUPPORTED | {errno.EBADF, errno.EACCES, errno.EPERM, errno.EISDIR}
"""Errors for folders that cannot be flushed or opened for it (SMB, 9p, some FUSE); PostgreSQL and SQLite ignore them too."""


def write_all(descriptor: int, data: bytes, offset: int) -> int:
    """Write all of ``data`` at ``offset``; return the number of bytes.

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
    """Flush the written data of a file to the disk.

    Raises:
        OSError: the data may not be on the disk.
    """
    try:
        getattr(os, "fdatasync", os.fsync)(descriptor)
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
        os.fsync(descriptor)


def flush_folder(folder: Path) -> None:
    """Flush the names in ``folder`` to the disk, if its file system supports that.

    If it does not, a rename is as durable as the file system makes it.

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
    """Close a file; its content was flushed before, or is not needed."""
    with suppress(OSError):
        os.close(descriptor)


def remove(path: Path) -> None:
    """Remove a file that is no longer needed, if that is possible."""
    with suppress(OSError):
        path.unlink()


def keep_private(descriptor: int) -> None:
    """Allow only the owner to read and write a file, if its file system stores modes.

    A mount without modes (FAT, SMB, some of virtual machines) has one mode for all files, and an option to
    set it.
    """
    if stat.S_IMODE(os.fstat(descriptor).st_mode) != _PRIVATE:
        with suppress(OSError):
            os.fchmod(descriptor, _PRIVATE)


def keep_folder_private(folder: Path) -> None:
    """Remove the access of others to ``folder``, if this user may change it.

    A mounted volume may belong to somebody else; a folder such as /tmp belongs to all.
    """
    mode = stat.S_IMODE(folder.stat().st_mode)
    wanted = (mode & ~_OTHERS) | stat.S_IRWXU
    if mode != wanted and not mode & stat.S_ISVTX:
        with suppress(OSError):
            folder.chmod(wanted)


def give_to_owner(descriptor: int, folder: Path, before: Path | None = None) -> None:
    """If root works on a service's folder, give the file to the user of the service.

    Args:
        descriptor: the file.
        folder: the file's folder; its owner gets the file,
        before: unless this file exists, which the new file replaces: then its owner does.

    Raises:
        OSError: the owner cannot be changed, and ``before`` would be taken from its owner.
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
