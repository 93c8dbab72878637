"""A receiver that costs next to nothing, in a process of its own: 204 to whatever comes, on many hosts.

    python benchmarks/receiver.py receiver HOSTS

Started by `relay.py`. It listens on 127.0.0.1 to 127.0.0.HOSTS, at one port: sinks have hosts of
their own, and so they share no connections. A word in, a line of JSON out: ``port`` says where,
``take N`` waits until N requests have come since it was last asked, and says when each came.
"""

import asyncio
import json
import socket
import sys
import time
from contextlib import suppress
from typing import Any

ANSWER = b"HTTP/1.1 204 No Content\r\n\r\n"
_END = b"\r\n\r\n"
_LENGTH = b"content-length:"
_PATIENCE_S = 120
_BACKLOG = 2_048


class Arrivals:
    """When each request came, since that was last asked."""

    def __init__(self) -> None:
        self._times: list[float] = []
        self._wanted = 0
        self._enough = asyncio.Event()

    def note(self) -> None:
        self._times.append(time.monotonic())
        if len(self._times) >= self._wanted:
            self._enough.set()

    async def take(self, count: int) -> list[float]:
        """Wait until ``count`` have come, for a while; return those that have, and begin anew."""
        self._wanted = count
        if len(self._times) < count:
            self._enough.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._enough.wait(), _PATIENCE_S)
        came, self._times = self._times, []
        return came


class Answering(asyncio.Protocol):
    """One connection, kept open."""

    def __init__(self, arrivals: Arrivals) -> None:
        self._arrivals = arrivals
        self._got = b""
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._got += data
        while (size := whole_request(self._got)) is not None:
            self._arrivals.note()
            self._got = self._got[size:]
            self._transport.write(ANSWER)


def whole_request(got: bytes) -> int | None:
    """Return the length of the first request, head and body, if all of it is there."""
    head = got.find(_END)
    if head < 0:
        return None
    lower = got[:head].lower()
    at = lower.find(_LENGTH)
    length = 0 if at < 0 else int(lower[at + len(_LENGTH) :].split(b"\r", 1)[0])
    size = head + len(_END) + length
    return size if len(got) >= size else None


def listening(hosts: int) -> list[socket.socket]:
    """Bind the same free port on every host."""
    first = socket.create_server(("127.0.0.1", 0), backlog=_BACKLOG)
    port = first.getsockname()[1]
    others = range(2, hosts + 1)
    return [first, *(socket.create_server((f"127.0.0.{n}", port), backlog=_BACKLOG) for n in others)]


async def main() -> None:
    sockets = listening(int(sys.argv[2]))
    arrivals, loop = Arrivals(), asyncio.get_running_loop()
    for one in sockets:
        await loop.create_server(lambda: Answering(arrivals), sock=one, backlog=_BACKLOG)
    words = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(words), sys.stdin)
    while line := (await words.readline()).decode().split():
        port = sockets[0].getsockname()[1]
        answer = {"port": port} if line[0] == "port" else {"arrivals": await arrivals.take(int(line[1]))}
        print(json.dumps(answer), flush=True)


asyncio.run(main())
