"""Requests as they go over the wire, and what has to be the same for one to follow another on a connection."""

from urllib.parse import quote, urlsplit

import httpcore

from bridge import __version__
from bridge.sinks.base import Request

_DEFAULT_PORTS = {"http": 80, "https": 443}
_SAFE = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"#<>`{}')
"""What stays as it is in a path and a query; the rest is percent-encoded (WHATWG URL, *path percent-encode set*)."""


def connection_key(request: Request) -> str:
    """Return what has to be the same for a connection to be used again.

    The credential is part of it: there are servers that take whoever signed in on a connection for the
    sender of all that follows (RFC 4559, 6).
    """
    named = next((value for name, value in request.headers.items() if name.lower() == "authorization"), "")
    return "/".join(request.url.split("/", 3)[:3]) + f" {named}"


def wire_request(request: Request) -> httpcore.Request:
    """Return ``request`` as it goes over the wire.

    Raises:
        ValueError: its URL is none.
    """
    parts = urlsplit(request.url)
    host, port = parts.hostname or "", parts.port
    shown = host.rstrip(".")
    authority = f"[{shown}]" if ":" in shown else shown
    if port not in {None, _DEFAULT_PORTS.get(parts.scheme)}:
        authority += f":{port}"
    query = f"?{parts.query}" if parts.query else ""
    own = {
        "host": authority,
        "accept": "*/*",
        "accept-encoding": "identity",
        "user-agent": f"mlflow-bridge/{__version__}",
        "content-length": str(len(request.body)),
    }
    asked = {name.lower() for name in request.headers}
    headers = {**{name: value for name, value in own.items() if name not in asked}, **request.headers}
    return httpcore.Request(
        request.method,
        httpcore.URL(
            scheme=parts.scheme,
            host=host,
            port=port,
            target=quote(f"{parts.path or '/'}{query}", safe=_SAFE),
        ),
        headers=[(name.encode(), value.encode()) for name, value in headers.items()],
        content=request.body,
    )
