"""Listen at the control socket, and have commands carried out: each connection in a task of its own.

Whoever hangs, sends garbage or goes away harms only its own connection. A command that was
begun goes on when the one who asked goes away.
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
"""What carries out a command: arguments in, result out, both plain JSON values."""

PATIENCE_S = 5.0
"""How long a peer may take to say what it wants, and again to take the answer."""

_PRIVATE = 0o600
_MEND = (
    "all else runs; commands that change something need the bridge stopped, and a reload needs SIGHUP, until state.url "
    "names a folder on a file system that holds sockets"
)


@asynccontextmanager
async def listening(folder: Path, commands: Mapping[str, Command]) -> AsyncIterator[None]:
    """Carry out what is asked at the socket in ``folder``, for as long as the context lasts.

    Only the owner of the folder may do this: a socket that a killed owner left is replaced.
    Where no socket can be made, that is logged, and nothing listens.
    """
    with _socket(folder) as channel:
        if channel is None:
            yield
            return
        desk = _Desk(commands)
        server = await asyncio.start_unix_server(desk.serve, sock=channel, limit=LIMIT)
        try:
            yield
        finally:
            server.close()
            await desk.close()


@contextmanager
def _socket(folder: Path) -> Iterator[socket.socket | None]:
    """Yield a bound socket that only this user can connect to, or None; remove it afterwards."""
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
        with suppress(
            OSError
        ):  # Linux takes the mode over to the name; elsewhere, and here, it is looked at below
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
    """Close the socket to others. Nobody can have connected yet: it does not listen before.

    What is so already is not asked for: there are file systems that refuse it.
    """
    mine, owner = Path(path).stat(), folder.stat()
    if stat.S_IMODE(mine.st_mode) != _PRIVATE:
        Path(path).chmod(_PRIVATE)
    if os.geteuid() == 0 and owner.st_uid != mine.st_uid:  # root works on a service's folder
        with suppress(OSError):  # root alone can ask then
            os.chown(path, owner.st_uid, owner.st_gid)


def _remove(path: str) -> None:
    with suppress(OSError):  # the next owner removes it
        Path(path).unlink()


class _Desk:
    """The connections there are, and what is being done for them."""

    def __init__(self, commands: Mapping[str, Command]) -> None:
        self._commands = commands
        self._tasks: set[asyncio.Task[None]] = set()

    def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Begin a task of our own: asyncio's own ones make a noise when they are cancelled (3.11)."""
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
        writer.transport.set_write_buffer_limits(high=0)  # drained means: handed over, all of it
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
        except Exception as error:  # a bug in one command must not end the daemon
            kind = type(error).__name__
            log.error("control.failed", command=request.command, error=kind)
            raise BridgeError(f"a fault in the running daemon: {kind}") from error

    async def close(self) -> None:
        """Drop the connections, and what is being done for them."""
        tasks = set(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
