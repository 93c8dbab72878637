"""Encode and decode the messages of the control socket: JSON, as the body of a POST and of its answer. Pure.

A request is ``{"version", "bridge", "command", "arguments"}``; its answer is ``{"version",
"bridge"}`` with a ``result``, or with an ``error``, which is raised again with its original class.
A message that cannot be decoded raises `OwnerUnavailable` with the reason: the two sides may be
different releases of the bridge.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bridge import __version__, errors
from bridge.errors import BridgeError, ConfigurationError, OwnerUnavailable, PollHeld

PATH = "/commands"
"""The path at the control socket that takes commands."""

VERSION = 2
"""The version of the protocol; a message of another version is refused, and the error names both versions."""

LIMIT = 1024 * 1024
"""The longest message in bytes."""

Document = dict[str, Any]

_KINDS: Mapping[str, type[BridgeError]] = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, BridgeError)
}


@dataclass(frozen=True, slots=True)
class Request:
    """A request: the name of a command, and its arguments (plain JSON values)."""

    command: str
    arguments: Document


def encode_request(request: Request) -> bytes:
    """Return the message for a request.

    Raises:
        OwnerUnavailable: the message is longer than `LIMIT`.
    """
    return _message({"command": request.command, "arguments": request.arguments})


def decode_request(message: bytes) -> Request:
    """Return the request in a message.

    Raises:
        OwnerUnavailable: the message is not a request, or has another version of the protocol.
    """
    said = _parse(message, "the command")
    command, arguments = said.get("command"), said.get("arguments")
    if not isinstance(command, str) or not isinstance(arguments, dict):
        raise OwnerUnavailable("the request names no command, or has no arguments")
    return Request(command, arguments)


def encode_result(result: Document) -> bytes:
    """Return the message for an answer that is a result.

    Raises:
        OwnerUnavailable: the message is longer than `LIMIT`.
    """
    return _message({"result": result})


def encode_error(error: BridgeError) -> bytes:
    """Return the message for an answer that is an error.

    Raises:
        OwnerUnavailable: the message is longer than `LIMIT`.
    """
    return _message({"error": error_to_document(error)})


def decode_answer(message: bytes) -> Document:
    """Return the result in a message.

    Raises:
        OwnerUnavailable: the message is not an answer, or has another version of the protocol.
        BridgeError: the answer is this error.
    """
    said = _parse(message, "the running daemon")
    result, error = said.get("result"), said.get("error")
    if isinstance(error, dict):
        raise error_from_document(error)
    if not isinstance(result, dict):
        raise OwnerUnavailable("the running daemon's answer holds neither a result nor an error")
    return result


def error_to_document(error: BridgeError) -> Document:
    """Return an error as plain JSON values: the name of its class, its message, and its further attributes."""
    known = (kind.__name__ for kind in type(error).__mro__)
    document = {"class": next(name for name in known if name in _KINDS), "message": str(error)}
    if isinstance(error, PollHeld):
        return {**document, "digest": error.digest}
    if isinstance(error, ConfigurationError):
        return {**document, "problems": list(error.problems), "source": error.source}
    return document


def error_from_document(document: Document) -> BridgeError:
    """Return the error that `error_to_document` encoded; an unknown class becomes `BridgeError`."""
    message = str(document.get("message"))
    kind = _KINDS.get(str(document.get("class")), BridgeError)
    if issubclass(kind, PollHeld):
        return kind(message, str(document.get("digest")))
    if issubclass(kind, ConfigurationError):
        problems = document.get("problems")
        told = [str(problem) for problem in problems] if isinstance(problems, list) else [message]
        return kind(told, str(document.get("source", "")))
    return kind(message)


def _message(content: Document) -> bytes:
    message = json.dumps({"version": VERSION, "bridge": __version__, **content}).encode()
    if len(message) > LIMIT:
        raise OwnerUnavailable(f"more was said over the control socket than fits in {LIMIT} bytes")
    return message


def _parse(message: bytes, speaker: str) -> Document:
    try:
        said = json.loads(message)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict) or "version" not in said:
        raise OwnerUnavailable(f"{speaker} does not speak the bridge's control protocol")
    if said["version"] != VERSION:
        raise OwnerUnavailable(_other_version(said, speaker))
    return said


def _other_version(said: Document, speaker: str) -> str:
    return (
        f"{speaker} speaks version {said['version']!s:.20} of the control protocol (mlflow-bridge "
        f"{said.get('bridge', 'unknown')!s:.20}), the other side version {VERSION} (mlflow-bridge "
        f"{__version__}): after an upgrade, restart the daemon"
    )
