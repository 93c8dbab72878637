"""Connections that are kept for a while, place by place, and how many are open.

It knows no library: what a connection is, its user says.
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
"""How many unused connections are kept at most, to all places together."""

_SHARE = 2
_FEWEST = 8


def most_open() -> int:
    """Return how many connections may be open: half of the files that the process may open, the rest is for all else."""
    return max(_FEWEST, open_file_limit() // _SHARE)


class Connections(Generic[C]):
    """Open connections: the one that was used last is used next, and the ones unused longest are closed.

    An owner and a place tell which one will do. All owners together have no more open than ``most``:
    where there is no more room, an unused one is closed, else the next has to wait.
    """

    def __init__(
        self, close: Callable[[C], Awaitable[None]], fits: Callable[[C], bool], most: int | None = None
    ) -> None:
        """Have ``most`` open, by default as many as the limit of open files leaves.

        Each is closed by ``close`` in the end, and at once where it no longer ``fits`` for another request.
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
        """Return how many connections are kept and not in use."""
        return self._count

    @asynccontextmanager
    async def lent(self, owner: Hashable, place: str, make: Callable[[], C]) -> AsyncIterator[C]:
        """Lend the connection of ``owner`` to ``place`` that was used last, else what ``make`` makes."""
        self._tell_if_full()
        async with self._room:
            self._in_use += 1
            try:
                connection = await self._taken((owner, place)) or make()
                try:
                    yield connection
                except BaseException:  # cut off in the midst of something, it could stay busy for ever
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
        """Keep a connection for the next request, if it fits for one; close those that waited too long."""
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
        """Close all that are kept for ``owner``."""
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
        """Close a connection; if that fails, it is gone all the same, and no delivery failed with it."""
        with suppress(Exception):
            await self._close(connection)
