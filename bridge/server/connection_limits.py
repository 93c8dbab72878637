"""The connections that the server has open: bounded in number, and each in time."""

import io
import time
from collections.abc import Callable
from contextlib import suppress
from socket import SHUT_RDWR, socket
from threading import Lock


class Guests:
    """At most so many connections: where there are more, the oldest gives way.

    Whoever means well is gone within milliseconds, so the oldest is one that holds on. Turning
    away the newest would let a few idle connections keep the probes out.
    """

    def __init__(self, most: int) -> None:
        """Take up to ``most`` at once."""
        self._most = most
        self._open: dict[socket, None] = {}
        self._lock = Lock()

    def admit(self, connection: socket) -> None:
        """Take one more; if that is too many, hang up on the oldest."""
        with self._lock:
            self._open[connection] = None
            oldest = next(iter(self._open)) if len(self._open) > self._most else None
            if oldest is not None:
                del self._open[oldest]
        if oldest is not None:
            with suppress(OSError):  # it may be gone by itself
                oldest.shutdown(SHUT_RDWR)

    def leave(self, connection: socket) -> None:
        """Forget one that is done."""
        with self._lock:
            self._open.pop(connection, None)


class Bounded(io.RawIOBase):
    """What a connection sends, all of which has to come within a time.

    A timeout of the socket's would begin anew with every byte.
    """

    def __init__(
        self, connection: socket, seconds: float, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """Read from ``connection`` for ``seconds`` from now on."""
        self._connection = connection
        self._monotonic = monotonic
        self._until = monotonic() + seconds

    def readable(self) -> bool:
        """Whether it can be read: yes."""
        return True

    def readinto(self, buffer: "memoryview | bytearray") -> int:  # type: ignore[override]  # what is given
        """Read what there is.

        Raises:
            TimeoutError: the time is over.
        """
        left = self._until - self._monotonic()
        if left <= 0:
            raise TimeoutError
        self._connection.settimeout(left)
        return self._connection.recv_into(buffer)
