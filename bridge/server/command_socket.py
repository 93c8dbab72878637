"""The control socket: serves the commands of the daemon, over HTTP at a Unix socket in the state folder.

Whoever can connect may ask for everything: the socket's file belongs to the user of the daemon alone. A command that
has begun continues if its client disconnects.
"""

import asyncio
import os
import socket
import stat
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from http import HTTPStatus
from pathlib import Path

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from bridge import __version__
from bridge.control.socket_messages import (
    LIMIT,
    PATH,
    VERSION,
    Document,
    decode_request,
    encode_error,
    encode_result,
)
from bridge.control.socket_path import address
from bridge.errors import BridgeError, OwnerUnavailable
from bridge.server import asgi_server
from bridge.server.api_endpoints import ApiDoor
from bridge.server.daemon_loop_calls import DaemonLoop
from bridge.server.http_application import Api, application, no_api
from bridge.server.token_authority import Everybody

log = structlog.get_logger(__name__)

Command = Callable[[Document], Awaitable[Document]]
"""A function that carries out a command: it takes arguments and returns a result, both plain JSON values."""

_HEADERS = {"Cache-Control": "no-store", "Connection": "close"}
_EARLIER = "the command is of an earlier version than the running daemon: after an upgrade, start it anew"
_PRIVATE = 0o600
_MEND = (
    "all else runs; commands that change something need the bridge stopped, and a reload needs SIGHUP, until state.url "
    "names a folder on a file system that holds sockets"
)


@asynccontextmanager
async def listening(folder: Path, commands: Mapping[str, Command], api: Api = no_api) -> AsyncIterator[None]:
    """Listen at the socket in ``folder``, carry out commands and serve ``api`` while the context lasts.

    Only the owner of the folder may call it: an existing socket, left by a killed owner, is replaced.
    If the socket cannot be created, a warning is logged, and no commands are served.
    """
    with _socket(folder) as channel:
        if channel is None:
            yield
            return
        daemon_loop = DaemonLoop()
        served = _application(commands, daemon_loop, api(ApiDoor(Everybody(), daemon_loop)))
        async with asgi_server.serving(served, channel, _HEADERS, _CommandProtocol):
            try:
                yield
            finally:
                await daemon_loop.end()


class _CommandProtocol(asgi_server.BoundedProtocol):
    """HTTP; a command of an earlier version, which sends a line of JSON, is told that it is one."""

    def data_received(self, data: bytes) -> None:
        """Answer a line of JSON with a line of JSON."""
        if self.is_reading_head and data[:1] == b"{" and not self.conn.trailing_data[0]:
            self.transport.write(encode_error(OwnerUnavailable(_EARLIER)) + b"\n")
            self.transport.close()
            return
        super().data_received(data)


def _application(
    commands: Mapping[str, Command], daemon_loop: DaemonLoop, routes: Iterable[Route]
) -> ASGIApp:
    async def endpoint(request: Request) -> Response:
        try:
            body = await _body(request)
            answer = await daemon_loop.call(lambda: carry_out(commands, body))
            return Response(answer, media_type="application/json")
        except BridgeError as error:
            return _refusal(error)
        except (asyncio.CancelledError, ClientDisconnect):  # the daemon ends, or the client is gone
            return Response(status_code=HTTPStatus.SERVICE_UNAVAILABLE)

    return application({}, daemon_loop, [Route(PATH, endpoint, methods=["POST"]), *routes])


def _refusal(error: BridgeError) -> Response:
    try:
        body = encode_error(error)
    except OwnerUnavailable as too_long:
        body = encode_error(too_long)
    return Response(body, HTTPStatus.BAD_REQUEST, media_type="application/json")


async def _body(request: Request) -> bytes:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > LIMIT:
            msg = f"the request is longer than {LIMIT} bytes"
            raise OwnerUnavailable(msg)
    return body


async def carry_out(commands: Mapping[str, Command], body: bytes) -> bytes:
    """Carry out the command in ``body``; return the answer's body.

    Raises:
        BridgeError: it cannot be carried out; the message says why.
    """
    request = decode_request(body)
    command = commands.get(request.command)
    if command is None:
        known = ", ".join(sorted(commands))
        raise OwnerUnavailable(
            f"the running daemon (mlflow-bridge {__version__}, control protocol {VERSION}) knows no command "
            f"{request.command!r:.80}: it knows {known}; after an upgrade, restart the daemon"
        )
    log.info("control.asked", command=request.command)
    try:
        return encode_result(await command(request.arguments))
    except BridgeError:
        raise
    except Exception as error:  # a fault in one command must not end the daemon; its text may contain secrets
        kind = type(error).__name__
        log.error("control.failed", command=request.command, error=kind)
        raise BridgeError(f"a fault in the running daemon: {kind}") from error


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
