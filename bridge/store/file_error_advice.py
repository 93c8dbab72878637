"""Advice for file system errors: one sentence for each error number. Pure."""

import errno
import os
from collections.abc import Mapping

_PERMISSIONS = "mend the permissions: this user must be able to write there"

_MENDS: Mapping[int, str] = {
    errno.ENOSPC: "free space on its file system, or inodes (df, df -i)",
    errno.EDQUOT: "raise the quota of this user or project there, or free space within it",
    errno.EFBIG: "free space for it: a limit on the size of files is reached (ulimit -f, LimitFSIZE=)",
    errno.EROFS: "its file system is read-only: mount it for writing (after an error of the disk, which the kernel's "
    "log tells, check it first)",
    errno.EIO: "the disk, or the server behind it, fails: look into the kernel's log (dmesg), and mend or replace it",
    errno.ESTALE: "the NFS server does not know it any more: mount its file system again, then restart the bridge",
    errno.ENOTCONN: "what serves its file system has ended: mount it again, then restart the bridge",
    errno.ETIMEDOUT: "the server behind its file system does not answer: mend the way to it",
    errno.EACCES: _PERMISSIONS,
    errno.EPERM: "mend the permissions: its owner, its attributes (lsattr) or a security module do not allow it to "
    "this user",
    errno.ENOENT: "a folder of its path is gone: put it back, or mount its file system",
    errno.ENOTDIR: "a part of its path is a file: choose another place for it",
    errno.EEXIST: "a file, or a link that leads nowhere, has its name: move that away, or mount what the link leads to",
    errno.EISDIR: "a folder has the name of the file: move it away",
    errno.ELOOP: "a symbolic link is where none may be, or leads in a circle: put the file or folder itself there",
    errno.ENAMETOOLONG: "its path is too long: choose a shorter one",
    errno.EBUSY: "it is a mount of its own, which nothing can replace: mount its folder in place of the file",
    errno.EXDEV: "it is a mount of its own, which nothing can replace: mount its folder in place of the file",
    errno.EMFILE: "raise the limit of open files (ulimit -n, LimitNOFILE=)",
    errno.ENFILE: "raise the machine's limit of open files (fs.file-max)",
}

_OTHERWISE = "its file system does not do what is needed: choose a place on a local disk"

UNSUPPORTED = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOTTY})
"""The errors that file systems return for a call that they do not support."""


def mend_of(error: OSError) -> str:
    """Return what to do about ``error``, for people."""
    return _MENDS.get(error.errno or 0, _OTHERWISE)


def word_of(error: OSError) -> str:
    """Return the system's own description of ``error``."""
    return error.strerror or (os.strerror(error.errno) if error.errno else str(error))
