"""The documents of a state in PostgreSQL, as their owner has them: read from memory, written by one statement a commit.

Each commit holds the fence (this bridge still owns the state, in the same term) and a compare-and-swap of the state's
revision: an owner that was replaced cannot commit, whatever it believes. It carries an id of its own, so that after a
lost answer the database tells whether it took effect.
"""

import asyncio
from typing import Any, LiteralString, Self
from uuid import UUID, uuid4

import psycopg
import structlog
from psycopg import AsyncConnection, sql

from bridge.errors import StateUnwritable
from bridge.store.cancellation import finish
from bridge.store.document_store_protocol import Writes
from bridge.store.document_tables import DocumentTables
from bridge.store.encoded_documents import Texts, TextWrites, apply_writes, encode_writes
from bridge.store.postgresql.connections import Database, told, within
from bridge.store.postgresql.document_rows import arrays, put_rows
from bridge.store.postgresql.membership import Membership, steady_s
from bridge.store.postgresql.schema import composed, has_tables, read_meta

log = structlog.get_logger(__name__)

_COMMIT = """
    WITH fence AS (
        SELECT 1 FROM {schema}.duties WHERE name = {owner} AND owner = %(me)s AND term = %(term)s FOR SHARE),
    swap AS (
        UPDATE {schema}.meta SET revision = revision + 1, commit_id = %(id)s
        WHERE revision = %(revision)s AND EXISTS (SELECT 1 FROM fence) RETURNING revision),
    removed AS (
        DELETE FROM {schema}.documents old USING unnest(%(gone_kinds)s::text[], %(gone_keys)s::text[]) gone(kind, key), swap
        WHERE old.kind = gone.kind AND old.key = gone.key),
    written AS (
        INSERT INTO {schema}.documents (kind, key, whole_key, document)
        SELECT new.kind, new.key, new.whole_key, new.document FROM unnest(
            %(kinds)s::text[], %(keys)s::text[], %(whole_keys)s::text[], %(documents)s::text[])
            WITH ORDINALITY new(kind, key, whole_key, document, place), swap
        ORDER BY new.place
        ON CONFLICT (kind, key) DO UPDATE SET document = excluded.document)
    SELECT revision FROM swap"""
_LAST = "SELECT revision, commit_id FROM {schema}.meta"
_REVISION = "SELECT revision FROM {schema}.meta"
_ALL = "SELECT kind, key, whole_key, document FROM {schema}.documents ORDER BY n"
_AT_ONE_MOMENT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"
_SIZE = "SELECT pg_total_relation_size(%s)"

_AT_ONCE = 2_000
"""How many documents are fetched at once: a number that decodes in milliseconds, so that the loop goes on."""
_AGAIN_S = 0.2


class PostgresDocuments(DocumentTables):
    """`bridge.store.document_store_protocol.Documents` in PostgreSQL, of which this bridge is the owner."""

    def __init__(self, database: Database, membership: Membership, texts: Texts, revision: int) -> None:
        """Begin with what was read; use `load` to get it."""
        self._database = database
        self._membership = membership
        self._loaded = texts
        self._revision = revision
        self._connection: AsyncConnection[tuple[object, ...]] | None = None
        self._size = 0
        self.refused = 0
        """How many commits the fence has refused."""

    @classmethod
    async def load(cls, database: Database, membership: Membership) -> Self:
        """Read all documents of the state that ``membership`` owns.

        Raises:
            StateUnwritable: the database does not answer.
        """
        texts: Texts = {}
        connection = await database.connect()
        lease_s = membership.lease_s

        async def ask(statement: sql.Composed | LiteralString, *values: object) -> tuple[object, ...] | None:
            async def call() -> tuple[object, ...] | None:
                cursor = await connection.execute(statement, values or None)
                return await cursor.fetchone() if cursor.description else None

            return await within(connection, lease_s, call)

        try:
            with database.errors_told():
                if (await ask("SELECT pg_is_in_recovery()")) != (False,):
                    raise psycopg.OperationalError("this is a standby, which may be behind")
                await ask("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
                revision = await ask(composed(_REVISION, database))
                async with connection.cursor("documents") as cursor:
                    await within(connection, lease_s, lambda: cursor.execute(composed(_ALL, database)))
                    while rows := await within(connection, lease_s, lambda: cursor.fetchmany(_AT_ONCE)):
                        put_rows(texts, rows)
                        await asyncio.sleep(0)
                size = await ask(_SIZE, f"{database.schema}.documents")
                await ask("COMMIT")
        finally:
            connection.pgconn.finish()
        loaded = cls(database, membership, texts, _number(revision))
        loaded._size = _number(size)
        return loaded

    @property
    def _texts(self) -> Texts:
        return self._loaded

    def is_owned(self) -> bool:
        """Whether this bridge still owns the state for certain."""
        return self._membership.is_trusted()

    async def commit(self, writes: Writes) -> None:
        """Make all of ``writes`` durable, or none of them; callers commit one after the other.

        A cancellation waits until it is known which: what is durable is never unknown to the callers.

        Raises:
            StateUnwritable: none of them took effect; or this bridge does not own the state any more, and what took
                effect is for the next owner to read.
        """
        rows = encode_writes(writes)
        await finish(self._commit(rows))
        apply_writes(self._loaded, rows)

    async def _commit(self, rows: TextWrites) -> None:
        """Commit, and try again while it is not known whether that took effect: for one lease, and while it is trusted."""
        given = {**arrays(rows), "me": self._membership.id, "term": self._membership.term}
        commit_id, trouble = uuid4(), ""
        until = steady_s() + self._membership.lease_s
        while self._membership.is_trusted() and steady_s() < until:
            try:
                revision = await self._try(commit_id, given)
            except (StateUnwritable, psycopg.Error, OSError, TimeoutError) as error:
                self.close()
                found = told(error.__cause__ or error)  # a lost connection is a sentence of its own already
                if not _may_pass(error):
                    msg = f"the state in {self._database.place} cannot be written: {found}"
                    raise StateUnwritable(msg) from None
                if not trouble:
                    log.warning("state.commit_unanswered", error=found)
                trouble = found
                await asyncio.sleep(_AGAIN_S)
                continue
            if revision is None:
                self.refused += 1
                trouble = ""
                break
            self._revision = revision
            return
        self._membership.ended.set()
        why = f": {trouble}" if trouble else ", another bridge owns it"
        raise StateUnwritable(
            f"the state in {self._database.place} is not this bridge's to write any more{why}"
        )

    async def _try(self, commit_id: UUID, given: dict[str, object]) -> int | None:
        """Return the state's new revision; None: the fence or the compare-and-swap refused it."""
        connection = self._connection
        if connection is None:
            async with asyncio.timeout(self._membership.lease_remaining_s):
                connection = self._connection = await self._database.connect()
            revision = await self._revision_of(connection, commit_id)
            if revision is not None:
                return revision
        values = {**given, "id": commit_id, "revision": self._revision}
        row = await self._ask(connection, _COMMIT, values)
        # An earlier try may have been under way still when this one came: it took effect, and this one found it so.
        return int(row[0]) if row is not None else await self._revision_of(connection, commit_id)

    async def _revision_of(
        self, connection: AsyncConnection[tuple[object, ...]], commit_id: UUID
    ) -> int | None:
        """Return the state's revision if this was its last commit."""
        found = await self._ask(connection, _LAST, {})
        return int(found[0]) if found is not None and found[1] == commit_id else None

    async def _ask(
        self,
        connection: AsyncConnection[tuple[object, ...]],
        statement: LiteralString,
        values: dict[str, object],
    ) -> tuple[Any, ...] | None:
        async def call() -> tuple[Any, ...] | None:
            cursor = await connection.execute(composed(statement, self._database), values)
            return await cursor.fetchone()

        return await within(connection, self._membership.lease_s / 3, call)

    def size(self) -> int:
        """Return the size of the documents in the database when they were loaded, in bytes."""
        return self._size

    def close(self) -> None:
        """Close the connection; a commit after it would open another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.pgconn.finish()


class SnapshotDocuments(DocumentTables):
    """The documents as they were at one moment, for a command that reads."""

    def __init__(self, database: Database) -> None:
        """Read all documents.

        Raises:
            StateError: the database does not answer, or holds what this version cannot use.
        """
        self._loaded: Texts = {}
        self._size = 0
        connection = database.connect_for_reading()
        with database.errors_told(), connection:
            if not has_tables(connection, database):
                return
            read_meta(connection, database)
            with connection.transaction(), connection.cursor("documents") as cursor:
                connection.execute(_AT_ONE_MOMENT)
                cursor.execute(composed(_ALL, database))
                while rows := cursor.fetchmany(_AT_ONCE):
                    put_rows(self._loaded, rows)
            row = connection.execute(_SIZE, (f"{database.schema}.documents",)).fetchone()
            self._size = _number(row)

    @property
    def _texts(self) -> Texts:
        return self._loaded

    async def commit(self, writes: Writes) -> None:
        """Refuse: only the owner writes."""
        raise StateUnwritable(
            f"{sum(map(len, writes.values()))} documents were to be written by a command that reads"
        )

    def is_owned(self) -> bool:
        """Whether this process owns the state: it only reads it."""
        return False

    def size(self) -> int:
        """Return the size of the documents in the database, in bytes."""
        return self._size

    def close(self) -> None:
        """Do nothing: the connection was closed after reading."""


_PASSING = ("08", "25006", "53300", "57P")
"""SQLSTATEs (PostgreSQL, Appendix A) that say nothing of a statement: connections, a standby, too many clients, a shutdown."""


def _may_pass(error: Exception) -> bool:
    """Whether the same commit may be taken later: it got no answer, or none that is about the commit."""
    state = error.sqlstate if isinstance(error, psycopg.Error) else None
    return state is None or state.startswith(_PASSING)


def _number(row: tuple[object, ...] | None) -> int:
    """Return the number that a statement gave, or 0."""
    return int(str(row[0])) if row else 0
