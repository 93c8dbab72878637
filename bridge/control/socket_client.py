"""Send a request to the daemon that owns a state folder, and wait for its answer."""

import socket
from pathlib import Path

import httpx

from bridge.control.socket_messages import PATH, Document, Request, decode_answer, encode_request
from bridge.control.socket_path import address
from bridge.errors import OwnerUnavailable

_LONGEST_S = 1_000_000.0
"""The longest timeout of a socket, in seconds; a little longer, and its milliseconds overflow a C int."""

_DEAF = (
    "no daemon listens at its control socket (the owner is another command, or a daemon whose log "
    "says control.unavailable, and why)"
)
_ENDED = (
    "it ended before it had answered (mlflow-bridge status shows how it went), or is of an earlier version: after an "
    "upgrade, restart the daemon"
)


def ask(folder: Path, request: Request, patience_s: float) -> Document:
    """Return the answer of the daemon that owns ``folder``; wait at most ``patience_s`` seconds.

    Raises:
        OwnerUnavailable: no daemon listens, or it gives no answer.
        BridgeError: the daemon answered with this error.
    """
    message = encode_request(request)
    try:
        answer = _post(folder, message, min(patience_s, _LONGEST_S))
    except (TimeoutError, httpx.TimeoutException):
        raise _unavailable(folder, f"it gave no answer within {patience_s:.0f} s") from None
    except (FileNotFoundError, ConnectionRefusedError):
        raise _unavailable(folder, _DEAF) from None
    except OSError as error:
        raise _unavailable(folder, f"its control socket: {error.strerror or error}") from None
    except httpx.TransportError:
        raise _unavailable(folder, _ENDED) from None
    if not answer:
        raise _unavailable(folder, _ENDED)
    return decode_answer(answer)


def _post(folder: Path, message: bytes, timeout_s: float) -> bytes:
    with address(folder) as path:
        with socket.socket(socket.AF_UNIX) as probe:  # for the error of the system, which httpx does not tell
            probe.settimeout(timeout_s)
            probe.connect(path)
        transport = httpx.HTTPTransport(uds=path, verify=False, trust_env=False)
        with httpx.Client(transport=transport, timeout=timeout_s, trust_env=False) as client:
            return client.post(f"http://bridge{PATH}", content=message).content


def _unavailable(folder: Path, why: str) -> OwnerUnavailable:
    return OwnerUnavailable(
        f"another mlflow-bridge owns the state folder {folder}, and cannot be asked to do this: {why}"
    )
