"""Runs an ASGI application on uvicorn, in a thread with an event loop of its own.

So an answer is rendered, and a slow client served, without the daemon's event loop; what has to be known of the daemon
is asked there (see `bridge.server.daemon_loop_calls`), which proves that it runs.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from socket import socket
from threading import Thread
from typing import Any

from starlette.types import ASGIApp
from uvicorn import Config, Server
from uvicorn.protocols.http.h11_impl import H11Protocol

from bridge.sinks.transport.open_file_limit import open_file_limit

REQUEST_S = 10.0
"""The time limit in seconds for receiving a request, and again for sending its answer."""

MOST_CONNECTIONS = 64
_FEWEST_CONNECTIONS = 4
_SHARE_OF_FILES = 8
_LONGEST_HEAD = 65_536
_GRACE_S = 2
"""How many seconds answers under way may take when the server ends."""


@asynccontextmanager
async def serving(application: ASGIApp, channel: socket) -> AsyncIterator[None]:
    """Serve ``application`` at the bound socket ``channel`` while the context lasts; close it at the end."""
    server = Server(
        Config(
            application,
            http=_BoundedProtocol,
            ws="none",
            loop="asyncio",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            log_level="critical",  # what can go wrong is logged by the application
            access_log=False,
            proxy_headers=False,
            server_header=False,
            headers=[("Server", "mlflow-bridge")],
            backlog=MOST_CONNECTIONS,
            h11_max_incomplete_event_size=_LONGEST_HEAD,
            timeout_graceful_shutdown=_GRACE_S,
        )
    )
    channel.listen(MOST_CONNECTIONS)  # from now on, clients wait for the thread
    thread = Thread(target=server.run, kwargs={"sockets": [channel]}, name="server", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        await asyncio.to_thread(thread.join)  # answers under way may still need this loop


class _BoundedProtocol(H11Protocol):
    """A connection whose time is limited, and that gives way, if it is the oldest, where there are too many.

    A normal request ends within milliseconds, so the oldest connection is probably idle. Refusing new connections
    instead would let a few idle ones block the probes. uvicorn itself limits neither.
    """

    def connection_made(self, transport: Any) -> None:
        """Begin to measure the time; close the oldest connection if there are too many."""
        super().connection_made(transport)
        self.opened = self.loop.time()
        self._was_sending = False
        self._timer = self.loop.call_later(REQUEST_S, self._look)
        connections: set[Any] = self.connections
        if len(connections) > most_connections():
            oldest = min(connections, key=lambda one: one.opened)
            connections.discard(oldest)  # it takes a turn of the loop until it is lost
            oldest.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """End the measurement."""
        self._timer.cancel()
        super().connection_lost(exc)

    def _look(self) -> None:
        """Close the connection if the client still sends its request, or has not taken an answer since the last look."""
        is_sending = self.cycle is not None and self.cycle.response_started
        is_receiving = self.cycle is None or (self.cycle.more_body and not is_sending)
        if is_receiving or (is_sending and self._was_sending):
            self.transport.abort()
            return
        self._was_sending = is_sending
        self._timer = self.loop.call_later(REQUEST_S, self._look)


def most_connections() -> int:
    """Return how many connections may be open: a share of the files that this process may open."""
    return min(MOST_CONNECTIONS, max(_FEWEST_CONNECTIONS, open_file_limit() // _SHARE_OF_FILES))
