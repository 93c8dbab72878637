"""Connections to the PostgreSQL of the state: opened with the present password, and given up in time."""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TypeVar

import psycopg
from psycopg import AsyncConnection, Connection
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from bridge.config import StateSettings
from bridge.errors import SecretUnavailable, StateUnwritable

T = TypeVar("T")

_LONGEST_CONNECT_S = 5
"""How long a connection may take, in seconds, for each host of the address; less with a short lease."""

_DEAD_PEERS = {
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
"""After how many seconds (the last: ms) a peer that says nothing any more counts as gone."""


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
            conninfo = self._conninfo(await asyncio.to_thread(self._password), writes=True)
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
        except (psycopg.Error, OSError, ValueError) as error:
            # ValueError: psycopg's, for text that is no name of a host, say
            raise StateUnwritable(f"the state in {self.place} cannot be used: {told(error)}") from error

    def _password(self) -> str | None:
        secret = self.settings.password
        try:
            return None if secret is None else secret.read()
        except SecretUnavailable as error:
            raise StateUnwritable(f"state.password: {error}") from None

    def _conninfo(self, password: str | None, *, writes: bool = False) -> str:
        given = conninfo_to_dict(self.settings.url)
        usual: dict[str, str | int] = {
            "application_name": "mlflow-bridge",
            "connect_timeout": max(2, min(_LONGEST_CONNECT_S, self.settings.lease // 3_000)),
            **_DEAD_PEERS,
        }
        if writes and "," in str(given.get("host") or given.get("hostaddr") or ""):
            usual["target_session_attrs"] = "read-write"  # a standby would show a state of before
        more: dict[str, str | int | None] = {
            key: value for key, value in usual.items() if given.get(key) is None
        }
        if self.settings.sslmode is not None:
            more["sslmode"] = self.settings.sslmode
        if password is not None:
            more["password"] = password
        return make_conninfo(self.settings.url, **more)


async def within(
    connection: "AsyncConnection[tuple[object, ...]]", seconds: float, call: Callable[[], Awaitable[T]]
) -> T:
    """Await ``call`` on ``connection`` for at most this long; then the connection is broken, which ends the call.

    psycopg's own way out of a call, cancellation, asks the server first and waits for its answer: where nothing
    passes any more, ten seconds.

    Raises:
        psycopg.Error: the database refused, or the time is over.
    """
    timer = asyncio.get_running_loop().call_later(max(0.0, seconds), break_off, connection)
    try:
        return await call()
    finally:
        timer.cancel()


def break_off(connection: "AsyncConnection[tuple[object, ...]]") -> None:
    """End what goes on over ``connection``. It is not closed: libpq's memory is in use while a call is under way."""
    with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(connection.pgconn.socket)) as channel:
        channel.shutdown(socket.SHUT_RDWR)


def told(error: BaseException) -> str:
    """Return what the database says, in one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return "; ".join(lines)[:400] or type(error).__name__
