"""The tables of a state in PostgreSQL, how they come into being, and what has to hold of their database.

``format`` tells what an older bridge must not work on; ``schema`` counts additions that an older one can leave
unnoticed. Documents are text: ``jsonb`` refuses what registries hold (U+0000, lone surrogates) and reorders keys.
"""

from collections.abc import Sequence
from typing import LiteralString

from psycopg import AsyncConnection, Connection, sql

from bridge.errors import StateError, StateNewer, StateUnwritable
from bridge.store.postgresql.connections import Database

FORMAT = 1
SCHEMA = 1

OWNER = "owner"
"""The duty of whoever polls and delivers."""

_TABLES: Sequence[LiteralString] = (
    """CREATE TABLE {schema}.meta (
        one boolean PRIMARY KEY DEFAULT true CHECK (one), format int NOT NULL, schema int NOT NULL,
        revision bigint NOT NULL DEFAULT 0, commit_id uuid)""",
    """CREATE TABLE {schema}.members (
        id uuid PRIMARY KEY, name text NOT NULL, version text NOT NULL, configuration text NOT NULL,
        started_at timestamptz NOT NULL DEFAULT now(), expires_at timestamptz NOT NULL)""",
    """CREATE TABLE {schema}.duties (
        name text COLLATE "C" PRIMARY KEY, owner uuid REFERENCES {schema}.members (id) ON DELETE SET NULL,
        term bigint NOT NULL DEFAULT 0) WITH (fillfactor = 50)""",
    "CREATE INDEX duties_owner ON {schema}.duties (owner)",
    """CREATE TABLE {schema}.documents (
        kind text COLLATE "C", key text COLLATE "C", whole_key text, n bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
        document text NOT NULL, PRIMARY KEY (kind, key))
        WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05)""",
    """CREATE TABLE {schema}.orders (
        id uuid PRIMARY KEY, n bigint NOT NULL GENERATED ALWAYS AS IDENTITY, request text NOT NULL, answer text,
        taken_by uuid, expires_at timestamptz NOT NULL)""",
    "INSERT INTO {schema}.meta (format, schema) VALUES ({format}, {version})",
    "INSERT INTO {schema}.duties (name) VALUES ({owner})",
)

_LOCK = 7_261_834
"""The advisory lock under which a schema is made, by one bridge at a time."""


def composed(statement: LiteralString, database: Database) -> sql.Composed:
    """Return a statement with the name of the state's schema in it."""
    return sql.SQL(statement).format(
        schema=sql.Identifier(database.schema),
        format=sql.Literal(FORMAT),
        version=sql.Literal(SCHEMA),
        owner=sql.Literal(OWNER),
    )


async def prepare(connection: "AsyncConnection[tuple[object, ...]]", database: Database) -> None:
    """Check that the database can keep a state, and make its tables if there are none.

    Raises:
        StateNewer: a later version of the bridge wrote it.
        StateError: the database cannot keep it as it is set up.
    """
    cursor = await connection.execute(DURABILITY)
    check_durability(await cursor.fetchone(), database)
    if not await _has_tables(connection, database):
        await _make(connection, database)
    cursor = await connection.execute(composed(_META, database))
    check_meta(await cursor.fetchone(), database)


def check_durability(found: tuple[object, ...] | None, database: Database) -> None:
    """Check what the statement `DURABILITY` gave.

    Raises:
        StateUnwritable: the database loses what it says it keeps, or cannot keep it.
    """
    recovers, synchronous, fsync, encoding, version = found or (None,) * 5
    faults = [
        (recovers, "it is a standby, which takes no changes: name the primary, or all hosts with target_session_attrs=read-write"),
        (synchronous == "off", "synchronous_commit is off, so commits can be lost: ALTER ROLE … SET synchronous_commit = on"),
        (fsync == "off", "fsync is off, so everything can be lost: switch it on"),
        (encoding not in {"UTF8", "SQL_ASCII"}, f"its encoding is {encoding}: create the database with encoding UTF8"),
        (isinstance(version, int) and version < _OLDEST, "it is older than PostgreSQL 13"),
    ]  # fmt: skip
    for is_so, why in faults:
        if is_so:
            raise StateUnwritable(f"the database of {database.place} cannot keep a state: {why}")


def check_rights(found: tuple[object, ...] | None, database: Database) -> None:
    """Check what `MAY_WRITE` or `MAY_CREATE` gave.

    Raises:
        StateUnwritable: the role may not write the state.
    """
    if not found or not found[0]:
        msg = (
            f"the role of {database.place} may not write a state: GRANT CREATE ON DATABASE, or make the schema for it: "
            f"CREATE SCHEMA {database.schema} AUTHORIZATION the role"
        )
        raise StateUnwritable(msg)


_OLDEST = 130_000
DURABILITY: LiteralString = (
    "SELECT pg_is_in_recovery(), current_setting('synchronous_commit'), current_setting('fsync'), "
    "current_setting('server_encoding'), current_setting('server_version_num')::int"
)
"""Asks what has to hold of the database, for `check_durability`."""

MAY_WRITE: LiteralString = "SELECT has_table_privilege(%s, 'SELECT, INSERT, UPDATE, DELETE')"
MAY_CREATE: LiteralString = """
    SELECT has_database_privilege(current_database(), 'CREATE')
        OR EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = %s AND has_schema_privilege(oid, 'CREATE'))"""
"""Whether the role may change the state, and whether it may make its tables, for `check_rights`."""

_META: LiteralString = "SELECT format, schema FROM {schema}.meta"
_HAS_TABLES: LiteralString = "SELECT to_regclass(%s)"


async def _has_tables(connection: "AsyncConnection[tuple[object, ...]]", database: Database) -> bool:
    cursor = await connection.execute(_HAS_TABLES, (f"{database.schema}.meta",))
    return (await cursor.fetchone()) != (None,)


def has_tables(connection: "Connection[tuple[object, ...]]", database: Database) -> bool:
    """Whether the database holds a state."""
    return connection.execute(_HAS_TABLES, (f"{database.schema}.meta",)).fetchone() != (None,)


async def _make(connection: "AsyncConnection[tuple[object, ...]]", database: Database) -> None:
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        if await _has_tables(connection, database):  # another bridge was quicker
            return
        cursor = await connection.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", (database.schema,))
        if await cursor.fetchone() is None:  # a role that owns the schema need not be allowed to make one
            await connection.execute(composed("CREATE SCHEMA {schema}", database))
        for statement in _TABLES:
            await connection.execute(composed(statement, database))


def check_meta(found: tuple[object, ...] | None, database: Database) -> None:
    """Check that this version of the bridge can use the state.

    Raises:
        StateNewer: a later version of the bridge wrote it.
        StateError: it is damaged.
    """
    if found is None:
        raise StateError(
            f"the state in {database.place} has lost its row in the table meta: restore a backup"
        )
    form, _ = found
    if isinstance(form, int) and form > FORMAT:
        msg = f"the state in {database.place} has format {form}, and this version of the bridge knows {FORMAT}: upgrade it"
        raise StateNewer(msg)


def read_meta(connection: "Connection[tuple[object, ...]]", database: Database) -> None:
    """Check the state as `check_meta` does, for a command that reads."""
    check_meta(connection.execute(composed(_META, database)).fetchone(), database)
