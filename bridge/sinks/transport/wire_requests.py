"""Requests as they go over the wire, and what has to be the same for one to follow another on a connection."""

from urllib.parse import urlsplit

import httpcore
import httpx

from bridge import __version__
from bridge.sinks.base import Request

_DEFAULT_PORTS = {"http": 80, "https": 443}
_CONNECT_SHARE = 0.9
"""How much of its time an attempt has for the connection: where that runs out, it is known that it was that."""


def connection_key(request: Request) -> str:
    """Return what has to be the same for a connection to be used again.

    The credential is part of it: there are servers that take whoever signed in on a connection for the
    sender of all that follows (RFC 4559, 6).
    """
    named = next((value for name, value in request.headers.items() if name.lower() == "authorization"), "")
    return "/".join(request.url.split("/", 3)[:3]) + f" {named}"


def authority_of(url: str) -> str:
    """Return host and port of ``url`` as its server knows them: without a final dot, a zone (RFC 6874, 4) or a usual port."""
    parts = urlsplit(url)
    host = (parts.hostname or "").partition("%")[0].removesuffix(".")
    shown = f"[{host}]" if ":" in host else host
    return shown if parts.port in {None, _DEFAULT_PORTS.get(parts.scheme)} else f"{shown}:{parts.port}"


def wire_request(request: Request) -> httpcore.Request:
    """Return ``request`` as it goes over the wire.

    Raises:
        ValueError: its URL is none.
    """
    try:
        url = httpx.URL(request.url)
    except httpx.InvalidURL as error:
        raise ValueError(str(error)) from None
    own = {
        "host": authority_of(request.url),
        "accept": "*/*",
        "accept-encoding": "identity",
        "user-agent": f"mlflow-bridge/{__version__}",
        "content-length": str(len(request.body)),
    }
    asked = {name.lower() for name in request.headers}
    headers = {**{name: value for name, value in own.items() if name not in asked}, **request.headers}
    return httpcore.Request(
        request.method,
        httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
        headers=[(name.encode(), value.encode()) for name, value in headers.items()],
        content=request.body,
        extensions={"timeout": {"connect": request.timeout_ms / 1000 * _CONNECT_SHARE}},
    )
