"""The lock that gives one process at a time the ownership of a folder; it ends with the process.

It is flock(2) on a file in the folder, through filelock. filelock's soft lock, a file that only has to
*exist*, is switched off: it would remain after a kill.
"""

import errno
import fcntl
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from filelock import FileLock

from bridge.errors import StateOwned, StateUnwritable
from bridge.store.durable_files import give_to_owner, keep_private
from bridge.store.file_error_advice import UNSUPPORTED, mend_of, word_of

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

_PATIENCE_S = 0.05
"""How long to wait for a lock whose file somebody removes, or that another process tests at this moment."""


class FolderLock:
    """The ownership of a folder, until it is released or the process ends."""

    def __init__(self, folder: Path) -> None:
        """Take the ownership of ``folder``.

        Raises:
            StateOwned: another process owns it.
            StateUnwritable: it cannot be written, or locked.
        """
        self._folder = folder
        self._lock = _locked(folder)
        self._identity = _identity(folder / LOCK)

    def check(self) -> None:
        """Check that the folder is still owned: moving or clearing a folder does not respect locks.

        If the lock file was removed, it is made again, unless another process has taken the folder since.

        Raises:
            StateUnwritable: the folder is no longer owned.
        """
        if self._identity is not None and _identity(self._folder / LOCK) == self._identity:
            return
        try:
            again = FolderLock(self._folder)
        except (StateOwned, StateUnwritable) as error:
            msg = (
                f"the state folder {self._folder} was moved, removed or replaced under the running bridge, so nothing "
                f"was changed: put it back, or restart the bridge ({error})"
            )
            raise StateUnwritable(msg) from None
        self.release()
        self._lock, self._identity = again._lock, again._identity

    def release(self) -> None:
        """Release the folder."""
        with suppress(OSError):
            self._lock.release()


def has_owner(folder: Path) -> bool:
    """Whether a process owns ``folder``; the test holds the lock for an instant.

    Raises:
        StateUnwritable: that cannot be determined.
    """
    try:
        descriptor = os.open(folder / LOCK, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    except OSError as error:
        msg = f"whether a daemon owns the state folder {folder} cannot be told: {word_of(error)}: {mend_of(error)}"
        raise StateUnwritable(msg) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError as error:
        raise _unlockable(folder, error) from error
    finally:
        os.close(descriptor)
    return False


def _locked(folder: Path) -> "FileLock":
    from filelock import FileLock, Timeout  # noqa: PLC0415 - imports asyncio; readers need no lock

    lock = FileLock(folder / LOCK, thread_local=False, fallback_to_soft=False)
    try:
        folder.stat()  # filelock would create a missing folder
        lock.acquire(timeout=_PATIENCE_S, poll_interval=_PATIENCE_S / 5)
    except Timeout:
        raise StateOwned(
            f"another mlflow-bridge owns the state folder {folder}: stop it first, or wait until it has ended"
        ) from None
    except OSError as error:
        raise _unlockable(folder, error) from error
    _give_to_owner(folder)
    return lock


def _give_to_owner(folder: Path) -> None:
    """Give the lock file to the folder's owner, with a private mode, even if an earlier run made it."""
    with suppress(OSError):
        descriptor = os.open(folder / LOCK, os.O_RDONLY | os.O_NOFOLLOW)
        try:
            keep_private(descriptor)
            give_to_owner(descriptor, folder)
        finally:
            os.close(descriptor)


def _unlockable(folder: Path, error: OSError) -> StateUnwritable:
    if error.filename is not None:  # the file could not be opened
        told = f"cannot be written: {LOCK}: {word_of(error)}: {mend_of(error)}"
    else:
        told = f"cannot be locked: {word_of(error)}: {_MENDS.get(error.errno or 0) or mend_of(error)}"
    return StateUnwritable(f"the state folder {folder} {told}")


def _identity(path: Path) -> tuple[int, int] | None:
    """Return the identity of the file at a path (as SQLite's HAS_MOVED does), or None if there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
