"""Send a request to the daemon that owns a state folder, and wait for its answer."""

import socket
import time
from pathlib import Path

from bridge.control.socket_messages import LIMIT, Document, Request, decode_answer, encode_request
from bridge.control.socket_path import address
from bridge.errors import OwnerUnavailable

_CHUNK = 64 * 1024
_LONGEST_S = 1_000_000.0
"""The longest timeout of a socket, in seconds; a little longer, and its milliseconds overflow a C int."""


def ask(folder: Path, request: Request, patience_s: float) -> Document:
    """Return the answer of the daemon that owns ``folder``; wait at most ``patience_s`` seconds.

    Raises:
        OwnerUnavailable: no daemon listens, or it gives no answer.
        BridgeError: the daemon answered with this error.
    """
    line = encode_request(request)
    try:
        answer = _exchange(folder, line, time.monotonic() + patience_s)
    except TimeoutError:
        raise _unavailable(folder, f"it gave no answer within {patience_s:.0f} s") from None
    except (FileNotFoundError, ConnectionRefusedError):
        raise _unavailable(folder, _DEAF) from None
    except OSError as error:
        raise _unavailable(folder, f"its control socket: {error.strerror or error}") from None
    if not answer.endswith(b"\n"):
        raise _unavailable(folder, "it ended before it had answered (mlflow-bridge status shows how it went)")
    return decode_answer(answer)


_DEAF = (
    "no daemon listens at its control socket (the owner is another command, or a daemon whose log "
    "says control.unavailable, and why)"
)


def _unavailable(folder: Path, why: str) -> OwnerUnavailable:
    return OwnerUnavailable(
        f"another mlflow-bridge owns the state folder {folder}, and cannot be asked to do this: {why}"
    )


def _exchange(folder: Path, line: bytes, until: float) -> bytes:
    with address(folder) as path, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as channel:
        _limit(channel, until)
        channel.connect(path)
        channel.sendall(line)
        return _read_line(channel, until)


def _read_line(channel: socket.socket, until: float) -> bytes:
    """Read up to a line break, the end of the stream, or the size limit."""
    read = bytearray()
    while not read.endswith(b"\n") and len(read) < LIMIT:
        _limit(channel, until)
        chunk = channel.recv(_CHUNK)
        if not chunk:
            break
        read += chunk
    return bytes(read)


def _limit(channel: socket.socket, until: float) -> None:
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError
    channel.settimeout(min(left, _LONGEST_S))
