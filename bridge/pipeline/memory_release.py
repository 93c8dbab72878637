"""Give memory back that a large scan took."""

import ctypes
import gc
from contextlib import suppress

_LARGE = 5_000
"""So many rows leave megabytes behind; after fewer, the search for them costs more than it gives."""


def give_back(rows: int) -> None:
    """Return freed memory to the system after a scan of so many ``rows``, where the C library can (glibc, *malloc_trim*).

    A scan of 100,000 versions leaves tens of megabytes in the allocator, which never come back
    by themselves, and a sidecar is counted by what it holds.
    """
    if rows < _LARGE:
        return
    gc.collect()
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)
