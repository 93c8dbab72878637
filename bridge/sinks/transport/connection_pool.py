"""A pool of open connections, kept for a while by owner and address, with a limit on their number.

It depends on no HTTP library: its user defines what a connection is.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from contextlib import asynccontextmanager, suppress
from typing import Generic, TypeVar

import structlog

from bridge.sinks.transport.open_file_limit import MEND, open_file_limit

log = structlog.get_logger(__name__)

C = TypeVar("C")

KEPT_S = 30.0
"""How long an unused connection is kept."""

MOST_KEPT = 256
"""How many unused connections are kept at most, over all addresses."""

_SHARE = 2
_FEWEST = 8


def most_open() -> int:
    """Return how many connections may be open: half of the process's limit of open files."""
    return max(_FEWEST, open_file_limit() // _SHARE)


class Connections(Generic[C]):
    """Open connections: the most recently used one is used next, and those unused longest are closed.

    Owner and address decide whether a connection fits. All owners together have at most ``most`` connections
    open. If the pool is full, an unused connection is closed, otherwise the next request waits.
    """

    def __init__(
        self, close: Callable[[C], Awaitable[None]], fits: Callable[[C], bool], most: int | None = None
    ) -> None:
        """Allow ``most`` open connections, by default as many as the limit of open files leaves.

        ``close`` closes a connection; a connection that no longer ``fits`` for another request is closed at
        once.
        """
        self._close = close
        self._fits = fits
        self._most = most_open() if most is None else most
        self._room = asyncio.Semaphore(self._most)
        self._in_use = 0
        self._is_told = False
        self._idle: dict[tuple[Hashable, str], deque[tuple[float, C]]] = {}
        self._count = 0
        self._swept_at = 0.0

    def __len__(self) -> int:
        """Return how many unused connections are kept."""
        return self._count

    @asynccontextmanager
    async def lent(self, owner: Hashable, place: str, make: Callable[[], C]) -> AsyncIterator[C]:
        """Lend the most recently used connection of ``owner`` to ``place``, else a new one from ``make``."""
        self._tell_if_full()
        async with self._room:
            self._in_use += 1
            try:
                connection = await self._taken((owner, place)) or make()
                try:
                    yield connection
                except BaseException:  # interrupted in the middle of something, it might stay busy
                    await self._closed(connection)
                    raise
            finally:
                self._in_use -= 1
            await self._take_back((owner, place), connection)

    async def _taken(self, key: tuple[Hashable, str]) -> C | None:
        idle = self._idle.get(key)
        if idle:
            self._count -= 1
            return idle.pop()[1]
        if self._count and self._in_use + self._count > self._most:
            await self._close_oldest()
        return None

    def _tell_if_full(self) -> None:
        if self._room.locked() and not self._is_told:
            self._is_told = True
            log.warning("connections.limited", most=self._most, open_files=open_file_limit(), mend=MEND)

    async def _take_back(self, key: tuple[Hashable, str], connection: C) -> None:
        """Keep a connection for the next request if it fits; close those that were unused too long."""
        if not self._fits(connection):
            await self._closed(connection)
            return
        now = time.monotonic()
        self._idle.setdefault(key, deque()).append((now, connection))
        self._count += 1
        if now - self._swept_at > KEPT_S / 10:
            self._swept_at = now
            await self._close_unused(now - KEPT_S)
        if self._count > MOST_KEPT:
            await self._close_oldest()

    async def aclose(self, owner: Hashable) -> None:
        """Close all unused connections of ``owner``."""
        await self._close_unused(float("inf"), owner)

    async def _close_unused(self, since: float, owner: Hashable = None) -> None:
        old: list[C] = []
        for key, idle in list(self._idle.items()):
            while idle and idle[0][0] <= since and owner in {None, key[0]}:
                old.append(idle.popleft()[1])
            if not idle:
                del self._idle[key]
        self._count -= len(old)
        for connection in old:
            await self._closed(connection)

    async def _close_oldest(self) -> None:
        key = min((key for key, idle in self._idle.items() if idle), key=lambda one: self._idle[one][0][0])
        _, connection = self._idle[key].popleft()
        self._count -= 1
        await self._closed(connection)

    async def _closed(self, connection: C) -> None:
        """Close a connection; if that fails, the connection is gone anyway, and no delivery depends on it."""
        with suppress(Exception):
            await self._close(connection)
