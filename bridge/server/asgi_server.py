"""Runs an ASGI application on uvicorn, in a thread with an event loop of its own.

So an answer is rendered, and a slow client served, without the daemon's event loop; what has to be known of the daemon
is asked there (see `bridge.server.daemon_loop_calls`), which proves that it runs.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
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
_LONGEST_HEAD = 16_384
"""The longest request line with its headers, in bytes: many small headers take their time to be read."""

_GRACE_S = 2
"""How many seconds answers under way may take when the server ends."""

_BAD_REQUEST = b"bad request\n"


class BoundedProtocol(H11Protocol):
    """A connection whose time is limited, and that gives way, if it is the oldest, where there are too many.

    A normal request is received within milliseconds, so the oldest connection is probably idle. Refusing new
    connections instead would let a few idle ones block the probes. uvicorn itself limits neither.
    """

    def connection_made(self, transport: Any) -> None:
        """Begin to measure the time; close the oldest connection if there are too many."""
        super().connection_made(transport)
        self.opened = self.loop.time()
        self._was_sending = False
        self._timer = self.loop.call_later(REQUEST_S, self._look)
        connections: set[Any] = self.connections
        if len(connections) > most_connections():
            others = [one for one in connections if one is not self]  # the newcomer may be a probe
            idle = [one for one in others if one.is_receiving]
            oldest = min(idle or others, key=lambda one: one.opened)
            connections.discard(oldest)  # it takes a turn of the loop until it is lost
            oldest.transport.abort()

    @property
    def is_reading_head(self) -> bool:
        """Whether the head of the request has not been received in full."""
        return self.cycle is None

    @property
    def is_receiving(self) -> bool:
        """Whether the request has not been received in full."""
        return self.is_reading_head or self.cycle.more_body

    def data_received(self, data: bytes) -> None:
        """Refuse a head that is too long: h11 looks at its length only if it has to wait for more."""
        if self.is_reading_head:
            head = self.conn.trailing_data[0] + data
            if len(head) > _LONGEST_HEAD and b"\r\n\r\n" not in head[:_LONGEST_HEAD]:
                self.send_400_response("")
                return
        super().data_received(data)

    def eof_received(self) -> bool:  # type: ignore[override]  # asyncio takes what it returns
        """Keep the connection of a client that has sent its request, and sends no more, until it is answered."""
        return not self.is_receiving and not self.cycle.response_complete

    def connection_lost(self, exc: Exception | None) -> None:
        """End the measurement."""
        self._timer.cancel()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - what the client sent is not given back
        """Refuse what is no request, with the headers of every answer."""
        own = [
            (b"Content-Type", b"text/plain; charset=utf-8"),
            (b"Content-Length", b"%d" % len(_BAD_REQUEST)),
        ]
        lines = [b"%s: %s\r\n" % header for header in (*self.server_state.default_headers, *own)]
        self.transport.write(b"HTTP/1.1 400 Bad Request\r\n" + b"".join(lines) + b"\r\n" + _BAD_REQUEST)
        self.transport.close()

    def _look(self) -> None:
        """Close the connection if the client still sends its request, or has not taken an answer since the last look."""
        is_sending = not self.is_reading_head and self.cycle.response_started
        if (self.is_receiving and not is_sending) or (is_sending and self._was_sending):
            self.transport.abort()
            return
        self._was_sending = is_sending
        self._timer = self.loop.call_later(REQUEST_S, self._look)


class _Server(Server):
    """Accepts connections one at a time.

    Where no more files can be opened, asyncio logs each try, and makes as many at once as the backlog is long.
    """

    async def startup(self, sockets: list[socket] | None = None) -> None:
        """Start with a backlog of one, and make the queue of the system longer afterwards."""
        await super().startup(sockets)
        for one in sockets or ():
            one.listen(MOST_CONNECTIONS)


@asynccontextmanager
async def serving(
    application: ASGIApp,
    channel: socket,
    headers: Mapping[str, str],
    protocol: type[BoundedProtocol] = BoundedProtocol,
) -> AsyncIterator[None]:
    """Serve ``application`` at the listening socket ``channel`` while the context lasts; close it at the end.

    Every answer has ``headers``.

    Raises:
        OSError: the server could not start.
    """
    config = Config(
        application,
        http=protocol,
        ws="none",
        loop="asyncio",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        log_level="critical",  # what can go wrong is logged by the application
        access_log=False,
        proxy_headers=False,
        server_header=False,
        headers=[("Server", "mlflow-bridge"), *headers.items()],
        workers=1,
        backlog=1,
        h11_max_incomplete_event_size=_LONGEST_HEAD,
        timeout_graceful_shutdown=_GRACE_S,
    )
    config.load()  # here, where an error is heard
    server = _Server(config)
    thread = Thread(target=server.run, kwargs={"sockets": [channel]}, name="server", daemon=True)
    thread.start()
    while not server.started and thread.is_alive():  # noqa: ASYNC110 - the thread knows no event of this loop
        await asyncio.sleep(0.01)
    if not server.started:
        channel.close()
        msg = "the server's thread ended while it started"
        raise OSError(msg)
    try:
        yield
    finally:
        server.should_exit = True
        await asyncio.to_thread(thread.join, _GRACE_S + 3)  # answers under way may still need this loop


def most_connections() -> int:
    """Return how many connections may be open: a share of the files that this process may open."""
    return min(MOST_CONNECTIONS, max(_FEWEST_CONNECTIONS, open_file_limit() // _SHARE_OF_FILES))
