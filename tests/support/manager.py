"""systemd's end of the notify protocol: a real datagram socket."""

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from support.patience import patience

WATCHDOG_US = 40_000


class Manager:
    """What the service said, one assignment each, in its order; those of the watchdog are counted."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self.said: list[str] = []
        self.fed = 0

    def listen(self) -> None:
        """Take up whatever has come."""
        while True:
            try:
                datagram = self._channel.recv(4096)
            except BlockingIOError:
                return
            for line in datagram.decode().split("\n"):
                if line == "WATCHDOG=1":
                    self.fed += 1
                elif not line.startswith("MONOTONIC_USEC="):
                    self.said.append(line)

    async def hears(self, line: str, count: int = 1) -> None:
        """Wait until ``line`` was said so often."""
        async with asyncio.timeout(patience()):
            while self.said.count(line) < count:
                self.listen()
                await asyncio.sleep(0.005)

    async def is_fed(self, times: int) -> None:
        """Wait until the watchdog was fed so often more."""
        enough = self.fed + times
        async with asyncio.timeout(patience()):
            while self.fed < enough:
                self.listen()
                await asyncio.sleep(0.005)


@contextmanager
def managed(folder, monkeypatch: pytest.MonkeyPatch, *, abstract: bool = False) -> Iterator[Manager]:
    """Be the service manager of this process."""
    address = f"@{folder}" if abstract else str(folder / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind("\0" + address[1:] if abstract else address)
        channel.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        monkeypatch.setenv("WATCHDOG_USEC", str(WATCHDOG_US))
        monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
        yield Manager(channel)
