"""Connections to the PostgreSQL of the state: opened with the present password, and given up in time."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import psycopg
from psycopg import AsyncConnection, Connection
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from bridge.config import StateSettings
from bridge.errors import SecretUnavailable, StateUnwritable

T = TypeVar("T")

CONNECT_S = 5
"""How long a connection may take, in seconds, for each host of the address."""


@dataclass(frozen=True, slots=True)
class Database:
    """The database that the settings name.

    Statements are never prepared, and no option is given at the start of a connection: so a pooler such as PgBouncer
    may stand between, also one that gives each transaction another connection.
    """

    settings: StateSettings

    @property
    def schema(self) -> str:
        """The schema of the state; a plain name, which needs no quotes."""
        return self.settings.schema

    @property
    def place(self) -> str:
        """Where it is, for people."""
        return self.settings.place

    async def connect(self) -> "AsyncConnection[tuple[object, ...]]":
        """Open a connection for a process with an event loop.

        Raises:
            StateUnwritable: the database cannot be reached, or refuses.
        """
        with self.errors_told():
            conninfo = self._conninfo(await asyncio.to_thread(self._password))
            return await AsyncConnection.connect(conninfo, autocommit=True, prepare_threshold=None)

    def connect_for_reading(self) -> "Connection[tuple[object, ...]]":
        """Open a connection for a command that reads; raises as `connect` does."""
        with self.errors_told():
            return psycopg.connect(self._conninfo(self._password()), autocommit=True, prepare_threshold=None)

    @contextmanager
    def errors_told(self) -> Iterator[None]:
        """Tell an error of the database in a sentence.

        Raises:
            StateUnwritable: in place of psycopg's error.
        """
        try:
            yield
        except (psycopg.Error, OSError) as error:
            raise StateUnwritable(f"the state in {self.place} cannot be used: {told(error)}") from None

    def _password(self) -> str | None:
        secret = self.settings.password
        try:
            return None if secret is None else secret.read()
        except SecretUnavailable as error:
            raise StateUnwritable(f"state.password: {error}") from None

    def _conninfo(self, password: str | None) -> str:
        given = conninfo_to_dict(self.settings.url)
        more: dict[str, str | int | None] = {
            "application_name": given.get("application_name") or "mlflow-bridge",
            "connect_timeout": given.get("connect_timeout") or CONNECT_S,
        }
        if self.settings.sslmode is not None:
            more["sslmode"] = self.settings.sslmode
        if password is not None:
            more["password"] = password
        return make_conninfo(self.settings.url, **more)


async def within(
    connection: "AsyncConnection[tuple[object, ...]]", seconds: float, call: Callable[[], Awaitable[T]]
) -> T:
    """Await ``call`` on ``connection`` for at most this long; then the connection is closed, which ends the call.

    psycopg's own way out of a call, cancellation, asks the server first and waits for its answer: where nothing
    passes any more, ten seconds.

    Raises:
        psycopg.Error: the database refused, or the time is over.
    """
    timer = asyncio.get_running_loop().call_later(max(0.0, seconds), connection.pgconn.finish)
    try:
        return await call()
    except (ValueError, OSError) as error:  # what is left of a connection that was closed under way
        raise psycopg.OperationalError(f"no answer within {seconds:.1f} s") from error
    finally:
        timer.cancel()


def told(error: BaseException) -> str:
    """Return what the database says, in one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return "; ".join(lines)[:400] or type(error).__name__
