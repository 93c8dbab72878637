"""Give memory back that a large scan took."""

import ctypes
import gc
from contextlib import suppress


def give_back() -> None:
    """Return freed memory to the system, where the C library can (glibc, *malloc_trim*).

    A scan of 100,000 versions leaves tens of megabytes in the allocator, which never come back
    by themselves, and a sidecar is counted by what it holds.
    """
    gc.collect()
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)
