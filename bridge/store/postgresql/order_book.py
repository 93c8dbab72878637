"""Orders: what a command asks of the owner of a shared state, from any host that reaches its database.

A row is put by the command, taken by the owner, and answered in place. A command that gives up deletes its row, so that
nothing is carried out of which nobody hears; the owner removes what is old.
"""

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING, LiteralString
from uuid import UUID, uuid4

from bridge.errors import OwnerUnavailable, StateUnwritable
from bridge.store.postgresql.connections import Database, break_off, within
from bridge.store.postgresql.schema import composed

if TYPE_CHECKING:
    from psycopg import AsyncConnection, Connection

_PUT: LiteralString = """
    INSERT INTO {schema}.orders (id, request, expires_at)
    VALUES (%(id)s, %(request)s, now() + %(patience)s * interval '1 s')"""
_ANSWER: LiteralString = """
    SELECT answer, taken_by IS NOT NULL, EXISTS (
        SELECT 1 FROM {schema}.members
        WHERE members.id = taken_by OR taken_by IS NULL AND members.expires_at > now())
    FROM {schema}.orders WHERE id = %(id)s"""
_WITHDRAW: LiteralString = "DELETE FROM {schema}.orders WHERE id = %(id)s RETURNING taken_by"
_TAKE: LiteralString = """
    UPDATE {schema}.orders SET taken_by = %(me)s
    WHERE id IN (
        SELECT id FROM {schema}.orders WHERE taken_by IS NULL AND expires_at > now() ORDER BY n LIMIT 16
        FOR UPDATE SKIP LOCKED)
        AND EXISTS (SELECT 1 FROM {schema}.duties WHERE name = {owner} AND owner = %(me)s)
    RETURNING n, id, request"""
_GIVE: LiteralString = "UPDATE {schema}.orders SET answer = %(answer)s WHERE id = %(id)s"
_TIDY: LiteralString = "DELETE FROM {schema}.orders WHERE expires_at < now() - interval '1 h'"

_LOOK_S = 0.1
"""How often a command looks for its answer."""


def ask_owner(database: Database, request: bytes, patience_s: float) -> bytes:
    """Return the owner's answer to a request (see `bridge.control.socket_messages`); wait at most ``patience_s`` seconds.

    Raises:
        OwnerUnavailable: nobody took it, or whoever took it ended before it had answered.
        StateUnwritable: the database does not answer.
    """
    values: dict[str, object] = {"id": uuid4(), "request": request.decode(), "patience": patience_s}
    until = time.monotonic() + patience_s
    try:
        with database.errors_told(), database.connect_for_reading() as connection:
            connection.execute(composed(_PUT, database), values)
            try:
                answer = _awaited(connection, database, values, until)
            finally:
                connection.execute(composed(_WITHDRAW, database), values)
            return answer
    except StateUnwritable as error:
        if _is_withdrawn(database, values):
            raise
        why = f"the database stopped answering ({error}), and the order may have been carried out"
        raise _unavailable(database, why) from None


def _is_withdrawn(database: Database, values: dict[str, object]) -> bool:
    """Withdraw an order over a new connection; return whether nobody has taken it."""
    with suppress(StateUnwritable), database.errors_told(), database.connect_for_reading() as connection:
        row = connection.execute(composed(_WITHDRAW, database), values).fetchone()
        return row is None or row[0] is None
    return False


def _awaited(
    connection: "Connection[tuple[object, ...]]", database: Database, values: dict[str, object], until: float
) -> bytes:
    while True:
        row = connection.execute(composed(_ANSWER, database), values).fetchone()
        answer, is_taken, is_alive = row or (None, False, False)
        if isinstance(answer, str):
            return answer.encode()
        if is_taken and not is_alive:
            raise _unavailable(
                database, "it ended before it had answered (mlflow-bridge status shows how it went)"
            )
        if not is_alive:
            raise _unavailable(database, "it has just ended, and no other runs")
        if time.monotonic() > until:
            raise _unavailable(
                database, "it gave no answer in time" if is_taken else "none took the order in time"
            )
        time.sleep(_LOOK_S)


def _unavailable(database: Database, why: str) -> OwnerUnavailable:
    return OwnerUnavailable(
        f"another mlflow-bridge owns the state in {database.place}, and cannot be asked to do this: {why}"
    )


class OrderBook:
    """The orders, as the owner sees them."""

    def __init__(self, database: Database, owner: UUID) -> None:
        """Take orders for the member ``owner``; nothing is asked yet."""
        self._database = database
        self._owner = owner
        self._connection: AsyncConnection[tuple[object, ...]] | None = None
        self._turn = asyncio.Lock()

    async def take(self) -> list[tuple[UUID, bytes]]:
        """Take the orders that wait; return their ids and requests, oldest first.

        Raises:
            StateUnwritable: the database does not answer.
        """
        rows = await self._execute(_TAKE, {"me": self._owner})
        return [
            (UUID(str(id_)), str(request).encode())
            for _, id_, request in sorted(rows, key=lambda row: int(str(row[0])))
        ]

    async def answer(self, order: UUID, answer: bytes) -> None:
        """Answer an order; raises as `take` does."""
        await self._execute(_GIVE, {"id": order, "answer": answer.decode()})

    async def tidy(self) -> None:
        """Remove orders that are long over; raises as `take` does."""
        await self._execute(_TIDY, {})

    def break_off(self) -> None:
        """End what is under way; later calls open another connection."""
        if self._connection is not None:
            break_off(self._connection)

    def close(self) -> None:
        """Close the connection; nothing may be under way."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.pgconn.finish()

    async def _execute(self, statement: LiteralString, values: dict[str, object]) -> list[tuple[object, ...]]:
        async with self._turn:
            try:
                connection = self._connection = self._connection or await self._database.connect()
                with self._database.errors_told():
                    return await within(
                        connection,
                        self._database.settings.lease / 1000,
                        lambda: self._rows(connection, statement, values),
                    )
            except BaseException:
                self.close()
                raise

    async def _rows(
        self,
        connection: "AsyncConnection[tuple[object, ...]]",
        statement: LiteralString,
        values: dict[str, object],
    ) -> list[tuple[object, ...]]:
        cursor = await connection.execute(composed(statement, self._database), values)
        return await cursor.fetchall() if cursor.description else []
