"""A control socket's commands for tests, and the ways to ask for them."""

import asyncio
from pathlib import Path

import pytest

from bridge.control.socket_client import ask
from bridge.control.socket_messages import Request
from bridge.errors import BridgeError, PollHeld
from support.patience import patience


class Works:
    """Commands for tests, and what was asked of them."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.ended: list[str] = []
        self.release = asyncio.Event()
        self.commands = {"echo": self.echo, "wait": self.wait, "held": self.held, "bug": self.bug}
        self.commands |= {"odd": self.odd, "long": self.long, "cleans": self.cleans}

    async def echo(self, arguments):
        return {"heard": arguments}

    async def wait(self, arguments):
        self.begun.append(arguments["name"])
        try:
            await self.release.wait()
        finally:
            self.ended.append(arguments["name"])
        return {}

    async def cleans(self, arguments):
        self.begun.append(arguments["name"])
        try:
            await asyncio.sleep(patience())
        finally:
            await asyncio.sleep(0.3)
            self.ended.append(arguments["name"])

    async def odd(self, arguments):
        return {"set": {1}}

    async def long(self, arguments):
        raise BridgeError("x" * 2_000_000)

    async def held(self, arguments):
        raise PollHeld("too much", "abc")

    async def bug(self, arguments):
        raise KeyError("secret")


async def asked(folder: Path, command: str = "echo", patience_s: float | None = None, **arguments):
    return await asyncio.to_thread(ask, folder, Request(command, arguments), patience_s or patience())


async def refused(folder: Path, command: str = "echo", **options) -> BridgeError:
    with pytest.raises(BridgeError) as caught:
        await asked(folder, command, **options)
    return caught.value
