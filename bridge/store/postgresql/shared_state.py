"""A state in PostgreSQL as a bridge shares it: joined, taken, loaded and left; and as a command looks at it."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, LiteralString, Self

from bridge.config import StateSettings
from bridge.store.document_state import DocumentState
from bridge.store.postgresql.connections import Database
from bridge.store.postgresql.documents import PostgresDocuments, SnapshotDocuments
from bridge.store.postgresql.membership import Member, Membership
from bridge.store.postgresql.order_book import ask_owner
from bridge.store.postgresql.schema import (
    DURABILITY,
    MAY_CREATE,
    MAY_WRITE,
    check_durability,
    check_rights,
    composed,
    has_tables,
    prepare,
    read_meta,
)

if TYPE_CHECKING:
    from psycopg import Connection

_OWNED = """
    SELECT 1 FROM {schema}.duties JOIN {schema}.members ON members.id = duties.owner
    WHERE duties.name = {owner} AND members.expires_at > now()"""
_MEMBERS: LiteralString = """
    SELECT members.name, version, configuration, duties.owner IS NOT NULL,
        (extract(epoch FROM started_at) * 1000)::bigint, (extract(epoch FROM expires_at - now()) * 1000)::bigint
    FROM {schema}.members LEFT JOIN {schema}.duties ON members.id = duties.owner
    WHERE expires_at > now() ORDER BY started_at, members.id"""


class Replica:
    """One bridge of those that share a state: it stands by, or owns the state and works."""

    def __init__(self, database: Database, membership: Membership) -> None:
        """Use `joined` to get one."""
        self.database = database
        self.membership = membership
        self._documents: PostgresDocuments | None = None

    @classmethod
    @asynccontextmanager
    async def joined(cls, settings: StateSettings, member: Member) -> AsyncIterator[Self]:
        """Be a member during the context; what this bridge owned at its end is free at once.

        Raises:
            StateError: the database cannot be used.
        """
        database = Database(settings)
        membership = Membership(database, member)
        await membership.join()
        replica = cls(database, membership)
        try:
            yield replica
        finally:
            if replica._documents is not None:
                replica._documents.close()
            await membership.leave()

    async def take(self) -> bool:
        """Take the ownership if nobody has it; return whether this bridge has it.

        Raises:
            StateUnwritable: the database does not answer.
        """
        return await self.membership.take()

    async def load(self) -> DocumentState:
        """Return the state that this bridge owns, as it is in the database.

        Raises:
            StateUnwritable: the database does not answer.
        """
        self._documents = await PostgresDocuments.load(self.database, self.membership)
        return DocumentState(self._documents)

    @property
    def refused_commits(self) -> int:
        """How many commits the database refused, because another bridge owned the state."""
        return 0 if self._documents is None else self._documents.refused


async def make_tables(settings: StateSettings) -> None:
    """Make the tables of a state, if they are not there yet; raises as `bridge.store.postgresql.schema.prepare` does."""
    database = Database(settings)
    connection = await database.connect()
    try:
        with database.errors_told():
            await prepare(connection, database)
    finally:
        connection.pgconn.finish()


@dataclass(frozen=True, slots=True)
class MemberFacts:
    """A bridge that shares a state, as `status` shows it.

    Attributes:
        name: its host and process.
        version: its version.
        configuration: a digest of its configuration.
        is_owner: whether it owns the state.
        started_at: when it joined, ms since the epoch.
        lease_ms: for how long the database still counts on it, ms.
    """

    name: str
    version: str
    configuration: str
    is_owner: bool
    started_at: int
    lease_ms: int


class StateDatabase:
    """A state in PostgreSQL, for a command that looks at it."""

    def __init__(self, settings: StateSettings) -> None:
        """Look at the state that the settings name."""
        self._database = Database(settings)

    def documents(self) -> SnapshotDocuments:
        """Return the documents as they are at this moment; raises as `SnapshotDocuments` does."""
        return SnapshotDocuments(self._database)

    def has_owner(self) -> bool:
        """Whether a bridge owns the state now.

        Raises:
            StateError: the database does not answer, or holds what this version cannot use.
        """
        return bool(self._asked(_OWNED))

    def members(self) -> list[MemberFacts]:
        """Return the bridges that share the state, in the order in which they joined; raises as `has_owner` does."""
        return [MemberFacts(*row) for row in self._asked(_MEMBERS)]

    def ask_owner(self, request: bytes, patience_s: float) -> bytes:
        """Return the owner's answer to a request; raises as `bridge.store.postgresql.order_book.ask_owner` does."""
        return ask_owner(self._database, request, patience_s)

    def check(self) -> None:
        """Check that the database can keep the state, without changing anything.

        Raises:
            StateError: it cannot.
        """
        with self._database.errors_told(), self._database.connect_for_reading() as connection:
            check_durability(connection.execute(DURABILITY).fetchone(), self._database)
            if has_tables(connection, self._database):
                read_meta(connection, self._database)
                allowed = connection.execute(MAY_WRITE, (f"{self._database.schema}.documents",)).fetchone()
            else:
                allowed = connection.execute(MAY_CREATE, (self._database.schema,)).fetchone()
            check_rights(allowed, self._database)

    def _asked(self, statement: LiteralString) -> Sequence[tuple[Any, ...]]:
        with self._database.errors_told(), self._database.connect_for_reading() as connection:
            return self._rows(connection, statement)

    def _rows(
        self, connection: "Connection[tuple[object, ...]]", statement: LiteralString
    ) -> Sequence[tuple[Any, ...]]:
        if not has_tables(connection, self._database):
            return ()
        read_meta(connection, self._database)
        return connection.execute(composed(statement, self._database)).fetchall()
