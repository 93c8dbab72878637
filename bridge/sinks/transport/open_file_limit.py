"""How many files and connections the process may have open (RLIMIT_NOFILE)."""

import errno
import resource

MEND = "raise the limit of open files: LimitNOFILE= in the systemd unit, ulimit -n in a shell, --ulimit nofile= for a container"
_PLENTY = 65_536
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE})


def open_file_limit() -> int:
    """Return the present limit; a large number if there is none."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _PLENTY if soft == resource.RLIM_INFINITY else min(soft, _PLENTY)


def is_exhausted(error: BaseException) -> bool:
    """Whether ``error`` says that the limit of open files is reached."""
    return isinstance(error, OSError) and error.errno in _EXHAUSTED
