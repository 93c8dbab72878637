"""Connections that are kept for a while, place by place. It knows no library: what a connection is, its user says."""

import time
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Generic, TypeVar

C = TypeVar("C")

KEPT_S = 30.0
"""How long an unused connection is kept."""

MOST_KEPT = 256
"""How many unused connections are kept at most, to all places together."""


class Connections(Generic[C]):
    """Idle connections: the one that was used last is used next, and the ones unused longest are closed."""

    def __init__(self, make: Callable[[str], C], close: Callable[[C], Awaitable[None]]) -> None:
        """Keep what ``make`` makes for a place, and ``close`` it in the end."""
        self._make = make
        self._close = close
        self._idle: dict[str, deque[tuple[float, C]]] = {}
        self._count = 0
        self._swept_at = 0.0

    def __len__(self) -> int:
        """Return how many connections are kept and not in use."""
        return self._count

    def take(self, place: str) -> C:
        """Return the connection to ``place`` that was used last, else a new one."""
        idle = self._idle.get(place)
        if not idle:
            return self._make(place)
        self._count -= 1
        return idle.pop()[1]

    async def keep(self, place: str, connection: C) -> None:
        """Keep a connection for the next request; close those that waited too long for one."""
        now = time.monotonic()
        self._idle.setdefault(place, deque()).append((now, connection))
        self._count += 1
        if now - self._swept_at > KEPT_S / 10:
            self._swept_at = now
            await self._close_unused(now - KEPT_S)
        if self._count > MOST_KEPT:
            await self._close_oldest()

    async def aclose(self) -> None:
        """Close all that are kept."""
        await self._close_unused(float("inf"))

    async def _close_unused(self, since: float) -> None:
        old: list[C] = []
        for place, idle in list(self._idle.items()):
            while idle and idle[0][0] <= since:
                old.append(idle.popleft()[1])
            if not idle:
                del self._idle[place]
        self._count -= len(old)
        for connection in old:
            await self._part_from(connection)

    async def _close_oldest(self) -> None:
        place = min(
            (place for place, idle in self._idle.items() if idle), key=lambda one: self._idle[one][0][0]
        )
        _, connection = self._idle[place].popleft()
        self._count -= 1
        await self._part_from(connection)

    async def _part_from(self, connection: C) -> None:
        """Close a connection; if that fails, it is gone all the same, and no delivery failed with it."""
        with suppress(Exception):
            await self._close(connection)
