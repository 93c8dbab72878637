"""Listen at the control socket and carry out commands, each connection in a task of its own.

A client that hangs, sends invalid data or disconnects affects only its own connection. A command that
has begun continues if its client disconnects.
"""

import asyncio
import os
import socket
import stat
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path

import structlog

from bridge import __version__
from bridge.control.socket_messages import (
    LIMIT,
    VERSION,
    Document,
    Request,
    decode_request,
    encode_error,
    encode_result,
)
from bridge.control.socket_path import address
from bridge.errors import BridgeError, OwnerUnavailable

log = structlog.get_logger(__name__)

Command = Callable[[Document], Awaitable[Document]]
"""A function that carries out a command: it takes arguments and returns a result, both plain JSON values."""

PATIENCE_S = 5.0
"""The time limit for a client to send its request, and again to receive the answer."""

_PRIVATE = 0o600
_MEND = (
    "all else runs; commands that change something need the bridge stopped, and a reload needs SIGHUP, until state.url "
    "names a folder on a file system that holds sockets"
)


@asynccontextmanager
async def listening(folder: Path, commands: Mapping[str, Command]) -> AsyncIterator[None]:
    """Listen at the socket in ``folder`` and carry out commands while the context lasts.

    Only the owner of the folder may call it: an existing socket, left by a killed owner, is replaced.
    If the socket cannot be created, a warning is logged, and no commands are served.
    """
    with _socket(folder) as channel:
        if channel is None:
            yield
            return
        connections = _Connections(commands)
        server = await asyncio.start_unix_server(connections.serve, sock=channel, limit=LIMIT)
        try:
            yield
        finally:
            server.close()
            await connections.close()


@contextmanager
def _socket(folder: Path) -> Iterator[socket.socket | None]:
    """Yield a listening socket that only this user can connect to, or None; remove it afterwards."""
    with ExitStack() as stack:
        try:
            path = stack.enter_context(address(folder))
            channel = _bound(path, folder)
        except OSError as error:
            log.warning(
                "control.unavailable", folder=str(folder), error=error.strerror or str(error), mend=_MEND
            )
            yield None
            return
        try:
            yield channel
        finally:
            channel.close()
            _remove(path)


def _bound(path: str, folder: Path) -> socket.socket:
    channel = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        Path(path).unlink(missing_ok=True)
        with suppress(OSError):  # on Linux, the file gets this mode; _keep_private checks it on every system
            os.fchmod(channel.fileno(), _PRIVATE)
        channel.bind(path)
    except OSError:
        channel.close()
        raise
    try:
        _keep_private(path, folder)
        channel.listen()
    except OSError:
        channel.close()
        _remove(path)
        raise
    return channel


def _keep_private(path: str, folder: Path) -> None:
    """Make the socket's file accessible to its owner only. No client can have connected yet: it does not listen.

    A mode that is right is not set again: some file systems refuse the call.
    """
    mine, owner = Path(path).stat(), folder.stat()
    if stat.S_IMODE(mine.st_mode) != _PRIVATE:
        Path(path).chmod(_PRIVATE)
    if os.geteuid() == 0 and owner.st_uid != mine.st_uid:  # root runs on the state folder of a service
        with suppress(OSError):  # then only root can connect
            os.chown(path, owner.st_uid, owner.st_gid)


def _remove(path: str) -> None:
    with suppress(OSError):  # the next owner removes it
        Path(path).unlink()


class _Connections:
    """The open connections, and the tasks that serve them."""

    def __init__(self, commands: Mapping[str, Command]) -> None:
        self._commands = commands
        self._tasks: set[asyncio.Task[None]] = set()

    def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection in a task created here: asyncio (3.11) logs an error when a task that it created is cancelled."""
        task = asyncio.create_task(self._serve(reader, writer), name="control")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: writer.transport.abort())

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._converse(reader, writer)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, BridgeError) as error:
            log.debug("control.dropped", error=type(error).__name__)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(PATIENCE_S):
                line = await reader.readuntil(b"\n")
        except asyncio.LimitOverrunError:
            answer = encode_error(OwnerUnavailable(f"the request is longer than {LIMIT} bytes"))
        else:
            answer = await self._answer(line)
        writer.transport.set_write_buffer_limits(
            high=0
        )  # so that drain() returns only when all data has been written
        writer.write(answer)
        async with asyncio.timeout(PATIENCE_S):
            await writer.drain()

    async def _answer(self, line: bytes) -> bytes:
        try:
            request = decode_request(line)
            return encode_result(await self._carry_out(request))
        except BridgeError as error:
            return encode_error(error)

    async def _carry_out(self, request: Request) -> Document:
        command = self._commands.get(request.command)
        if command is None:
            known = ", ".join(sorted(self._commands))
            raise OwnerUnavailable(
                f"the running daemon (mlflow-bridge {__version__}, control protocol {VERSION}) knows no command "
                f"{request.command!r:.80}: it knows {known}; after an upgrade, restart the daemon"
            )
        log.info("control.asked", command=request.command)
        try:
            return await command(request.arguments)
        except BridgeError:
            raise
        except Exception as error:  # a fault in one command must not end the daemon
            kind = type(error).__name__
            log.error("control.failed", command=request.command, error=kind)
            raise BridgeError(f"a fault in the running daemon: {kind}") from error

    async def close(self) -> None:
        """Cancel all tasks, which closes their connections."""
        tasks = set(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
