"""Who owns a folder: one process at a time, by a lock that ends with it, however it ends.

flock(2) of a file in the folder, and nothing else: a lock file that only has to *be there* would outlive a
kill, and locks of another kind (fcntl(2)) would not keep out the releases that take this one.
"""

import errno
import fcntl
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Self

from bridge.errors import StateOwned, StateUnwritable
from bridge.store.file_calls import give_to_owner, keep_private
from bridge.store.file_errors import UNSUPPORTED, mend_of, word_of

LOCK = "lock"

_ELSEWHERE = "or name a folder on a local disk in state.url"
_NO_LOCKS = (
    "its file system has no locks (flock), so two instances could own it: have it mounted with them (Lustre: the "
    f"mount option flock), {_ELSEWHERE}"
)
_MENDS: Mapping[int, str] = {
    errno.ENOLCK: "the lock service of its file system does not answer: on NFS start rpc.statd on both sides or use "
    f"version 4; where one machine alone mounts it, mount it with local_lock=flock; {_ELSEWHERE}",
    **dict.fromkeys(UNSUPPORTED, _NO_LOCKS),
}
_TAKEN = frozenset({errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES})
"""A lock that somebody else has: SMB says EACCES."""

_TRIES = 3


class FolderLock:
    """The ownership of a folder, until it is released or the process ends."""

    def __init__(self, folder: Path, descriptor: int) -> None:
        """Keep an open, locked file; use `take`."""
        self._folder = folder
        self._descriptor = descriptor

    @classmethod
    def take(cls, folder: Path) -> Self:
        """Own ``folder``.

        Raises:
            StateOwned: another process does.
            StateUnwritable: it cannot be written, or locked.
        """
        try:
            return cls(folder, _locked(folder))
        except OSError as error:
            msg = f"the state folder {folder} cannot be written: {LOCK}: {word_of(error)}: {mend_of(error)}"
            raise StateUnwritable(msg) from error

    def check(self) -> None:
        """Go on while the folder is still owned: who moves or clears folders looks at no lock.

        A lock file that was removed is made again, if nobody else has owned the folder since.

        Raises:
            StateUnwritable: it is not.
        """
        if _is_at(self._descriptor, self._folder / LOCK):
            return
        try:
            again = _locked(self._folder)
        except (OSError, StateOwned) as error:
            why = (
                word_of(error)
                if isinstance(error, OSError)
                else "another mlflow-bridge owns what is there now"
            )
            msg = (
                f"the state folder {self._folder} was moved, removed or replaced under the running bridge ({why}), so "
                "nothing was changed: put it back, or restart the bridge"
            )
            raise StateUnwritable(msg) from None
        self.release()
        self._descriptor = again

    def release(self) -> None:
        """Give the folder up."""
        with suppress(OSError):
            os.close(self._descriptor)


def has_owner(folder: Path) -> bool:
    """Whether a process owns ``folder``; asking takes the lock for an instant.

    Raises:
        StateUnwritable: that cannot be told.
    """
    try:
        descriptor = os.open(folder / LOCK, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    except OSError as error:
        msg = f"whether a daemon owns the state folder {folder} cannot be told: {word_of(error)}: {mend_of(error)}"
        raise StateUnwritable(msg) from error
    try:
        return not _lock(descriptor, folder, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def _locked(folder: Path) -> int:
    """Return the descriptor of the lock file, locked."""
    path = folder / LOCK
    for _ in range(_TRIES):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            is_ours = _lock(descriptor, folder, fcntl.LOCK_EX)
            if is_ours and _is_at(descriptor, path):
                keep_private(descriptor)
                give_to_owner(descriptor, folder)
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
        if not is_ours:
            break
    raise StateOwned(
        f"another mlflow-bridge owns the state folder {folder}: stop it first, or wait until it has ended"
    )


def _lock(descriptor: int, folder: Path, kind: int) -> bool:
    """Return whether the lock was to be had.

    Raises:
        StateUnwritable: the file system has none.
    """
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _TAKEN:
            return False
        mend = _MENDS.get(error.errno or 0) or mend_of(error)
        msg = f"the state folder {folder} cannot be locked: {word_of(error)}: {mend}"
        raise StateUnwritable(msg) from error
    return True


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether the open file is the one at ``path``, by its inode, as SQLite asks (HAS_MOVED)."""
    with suppress(OSError):
        return os.fstat(descriptor).st_ino == path.stat().st_ino
    return False
