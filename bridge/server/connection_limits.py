"""Limit the number of open connections of the server, and the time for each request."""

import io
import time
from collections.abc import Callable
from contextlib import suppress
from socket import SHUT_RDWR, socket
from threading import Lock


class OpenConnections:
    """The open connections, limited in number: beyond the limit, the oldest is closed.

    A normal request ends within milliseconds, so the oldest connection is probably idle. Refusing
    new connections instead would let a few idle ones block the probes.
    """

    def __init__(self, most: int) -> None:
        """Allow up to ``most`` connections at a time."""
        self._most = most
        self._open: dict[socket, None] = {}
        self._lock = Lock()

    def admit(self, connection: socket) -> None:
        """Add a connection; if there are too many, close the oldest."""
        with self._lock:
            self._open[connection] = None
            oldest = next(iter(self._open)) if len(self._open) > self._most else None
            if oldest is not None:
                del self._open[oldest]
        if oldest is not None:
            with suppress(OSError):  # the client may have closed it
                oldest.shutdown(SHUT_RDWR)

    def leave(self, connection: socket) -> None:
        """Remove a connection that has ended."""
        with self._lock:
            self._open.pop(connection, None)


class TimeLimitedInput(io.RawIOBase):
    """The input stream of a connection, with one time limit for all its data.

    The timeout of a socket would start again with every byte.
    """

    def __init__(
        self, connection: socket, seconds: float, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """Read from ``connection`` for at most ``seconds`` from now."""
        self._connection = connection
        self._monotonic = monotonic
        self._until = monotonic() + seconds

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: "memoryview | bytearray") -> int:  # type: ignore[override]  # the types that BufferedReader passes
        """Read the available data into ``buffer``.

        Raises:
            TimeoutError: the time limit has passed.
        """
        left = self._until - self._monotonic()
        if left <= 0:
            raise TimeoutError
        self._connection.settimeout(left)
        return self._connection.recv_into(buffer)
