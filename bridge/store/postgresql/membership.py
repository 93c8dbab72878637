"""The membership of one bridge among those that share a state, and its lease of the ownership.

A member that gives no sign of life for a lease is deleted, and what it owned is nobody's (``ON DELETE SET NULL``): so a
renewal and a takeover meet at one row, and only one of them happens. The lease counts by the database's clock; here,
trust in it ends earlier, by a clock that goes on while the machine sleeps, counted from before the question.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, LiteralString
from uuid import UUID, uuid4

import psycopg
import structlog
from psycopg import AsyncConnection

from bridge.errors import StateUnwritable
from bridge.store.postgresql.connections import Database, break_off, told, within
from bridge.store.postgresql.schema import composed, prepare

log = structlog.get_logger(__name__)

_JOIN = """
    INSERT INTO {schema}.members (id, name, version, configuration, expires_at)
    VALUES (%(me)s, %(name)s, %(version)s, %(configuration)s, now() + %(lease)s * interval '1 ms')"""
_RENEW = """
    UPDATE {schema}.members SET expires_at = now() + %(lease)s * interval '1 ms', configuration = %(configuration)s
    WHERE id = %(me)s RETURNING 1"""
_BURY = "DELETE FROM {schema}.members WHERE expires_at < now()"
_TAKE = """
    UPDATE {schema}.duties SET owner = %(me)s, term = term + 1
    WHERE name = {owner} AND owner IS NULL AND EXISTS (SELECT 1 FROM {schema}.members WHERE id = %(me)s)
    RETURNING term"""
_LEAVE = "DELETE FROM {schema}.members WHERE id = %(me)s"

_MARGIN = 0.1
"""The part of a lease for which it is not trusted any more, for clocks that do not go alike."""


def steady_s() -> float:
    """Return the time in seconds by a clock that never jumps, and that goes on while the machine sleeps."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime(clock)


@dataclass(frozen=True, slots=True)
class Member:
    """What a bridge says of itself: its name, its version, and a digest of its present configuration."""

    name: str
    version: str
    configuration: Callable[[], str]


class Membership:
    """One bridge among those that share a state, from `join` to `leave`."""

    def __init__(self, database: Database, member: Member) -> None:
        """Prepare to join; nothing is asked yet."""
        self.id: UUID = uuid4()
        self.term: int | None = None
        """The number of this ownership; None: this bridge stands by."""
        self.ended = asyncio.Event()
        """Set once the membership is over: the lease ran out, or others declared this bridge dead."""
        self._database = database
        self._member = member
        self._lease_ms = database.settings.lease
        self._trusted_until = 0.0
        self._connection: AsyncConnection[tuple[object, ...]] | None = None
        self._taking: AsyncConnection[tuple[object, ...]] | None = None
        self._beating: asyncio.Task[None] | None = None
        self._trouble = ""

    @property
    def lease_s(self) -> float:
        """The lease in seconds."""
        return self._lease_ms / 1000

    @property
    def lease_remaining_s(self) -> float:
        """For how many seconds the lease can still be trusted; not more than 0: it cannot."""
        return self._trusted_until - steady_s()

    def is_trusted(self) -> bool:
        """Whether nobody else can have declared this bridge dead yet."""
        return not self.ended.is_set() and self.lease_remaining_s > 0

    async def join(self) -> None:
        """Become a member, and give signs of life from now on.

        Raises:
            StateError: the database cannot be used.
        """
        connection = await self._database.connect()
        self._connection = connection
        try:
            with self._database.errors_told():
                await within(connection, self.lease_s, lambda: prepare(connection, self._database))
                await self._begin(connection)
        except BaseException:
            self._close()
            raise
        self._beating = asyncio.create_task(self._beat(), name="lease")

    async def _begin(self, connection: AsyncConnection[tuple[object, ...]]) -> None:
        asked = steady_s()
        await self._ask(connection, _JOIN)
        self._trust_from(asked)

    async def take(self) -> bool:
        """Take the ownership if nobody has it; return whether this bridge has it now.

        Raises:
            StateUnwritable: the database does not answer; whether it was taken is then told by the next call.
        """
        try:
            connection = self._taking = self._taking or await self._database.connect()
            with self._database.errors_told():
                await self._ask(connection, _BURY)
                row = await self._ask(connection, _TAKE) or await self._ask(connection, _MINE)
        except StateUnwritable:
            self._stop_taking()
            raise
        self.term = None if row is None else int(row[0])
        if self.term is not None:
            self._stop_taking()
        return self.term is not None

    def _stop_taking(self) -> None:
        connection, self._taking = self._taking, None
        if connection is not None:
            connection.pgconn.finish()

    async def leave(self) -> None:
        """End the membership; what this bridge owned is free at once, if the database can be told."""
        self.ended.set()
        if self._beating is not None:
            if self._connection is not None:
                break_off(self._connection)
            await asyncio.wait({self._beating})
        self._close()
        self._stop_taking()
        with suppress(StateUnwritable, psycopg.Error, TimeoutError):
            async with asyncio.timeout(self.lease_s):
                connection = await self._database.connect()
            try:
                await self._ask(connection, _LEAVE)
            finally:
                connection.pgconn.finish()

    async def _beat(self) -> None:
        """Renew the lease each third of it, until it is over."""
        try:
            while not self.ended.is_set():
                with suppress(TimeoutError):
                    await asyncio.wait_for(self.ended.wait(), self.lease_s / (20 if self._trouble else 3))
                if not self.ended.is_set():
                    await self._renew_if_possible()
                if self.lease_remaining_s <= 0:
                    self.ended.set()
        finally:
            self.ended.set()  # whatever happened: without signs of life, this bridge owns nothing

    async def _renew_if_possible(self) -> None:
        try:
            await self._renew()
        except (StateUnwritable, psycopg.Error, OSError, TimeoutError) as error:
            self._close()
            if not self._trouble and not self.ended.is_set():
                log.warning("state.database_unreachable", error=told(error))
            self._trouble = told(error)
        else:
            if self._trouble:
                log.info("state.database_reached")
            self._trouble = ""

    async def _renew(self) -> None:
        remaining = max(self.lease_remaining_s, 0.1)
        if self._connection is None:
            async with asyncio.timeout(remaining):
                self._connection = await self._database.connect()
        asked = steady_s()
        if await self._ask(self._connection, _RENEW, min(remaining, self.lease_s / 3)) is None:
            self.ended.set()  # others declared this bridge dead
        else:
            self._trust_from(asked)

    def _trust_from(self, asked: float) -> None:
        self._trusted_until = asked + self.lease_s * (1 - _MARGIN)

    async def _ask(
        self,
        connection: AsyncConnection[tuple[object, ...]],
        statement: LiteralString,
        within_s: float | None = None,
    ) -> tuple[Any, ...] | None:
        async def call() -> tuple[object, ...] | None:
            cursor = await self._tell(connection, statement)
            return await cursor.fetchone() if cursor.description else None

        return await within(connection, within_s or self.lease_s, call)

    async def _tell(
        self, connection: AsyncConnection[tuple[object, ...]], statement: LiteralString
    ) -> "psycopg.AsyncCursor[tuple[object, ...]]":
        member = self._member
        given = {
            "me": self.id,
            "lease": self._lease_ms,
            "name": member.name,
            "version": member.version,
            "configuration": member.configuration(),
        }
        return await connection.execute(composed(statement, self._database), given)

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.pgconn.finish()


_MINE = "SELECT term FROM {schema}.duties WHERE name = {owner} AND owner = %(me)s"
