"""Converts requests into the form sent over the wire, and decides which of them may share a connection."""

from functools import lru_cache
from urllib.parse import urlsplit

import httpcore
import httpx

from bridge import __version__
from bridge.sinks.base import Request
from bridge.sinks.send_permission import GuardedBody

_DEFAULT_PORTS = {"http": 80, "https": 443}
_MOST_URLS = 256
"""How many URLs are kept parsed: those of most sinks are the same for each delivery."""

_CONNECT_SHARE = 0.9
"""The share of an attempt's time for connecting: if it runs out, the message can say that connecting took too long."""


def connection_key(request: Request) -> str:
    """Return the key that two requests must share to use the same connection.

    The credential is part of it: some servers treat whoever authenticated on a connection as the sender of
    all later requests (RFC 4559, 6).
    """
    named = next((value for name, value in request.headers.items() if name.lower() == "authorization"), "")
    return "/".join(request.url.split("/", 3)[:3]) + f" {named}"


@lru_cache(maxsize=_MOST_URLS)
def authority_of(url: str) -> str:
    """Return the ``Host`` value for ``url``: without a final dot, a zone (RFC 6874, 4) or a default port."""
    parts = urlsplit(url)
    host = (parts.hostname or "").partition("%")[0].removesuffix(".")
    shown = f"[{host}]" if ":" in host else host
    return shown if parts.port in {None, _DEFAULT_PORTS.get(parts.scheme)} else f"{shown}:{parts.port}"


@lru_cache(maxsize=_MOST_URLS)
def _wire_url(text: str) -> httpcore.URL:
    """Return a URL in the parts sent over the wire; raises as `wire_request` does."""
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL as error:
        raise ValueError(str(error)) from None
    if url.scheme not in _DEFAULT_PORTS:
        raise ValueError(f"its protocol is {url.scheme!r}, and neither http nor https")
    return httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)


def wire_request(request: Request) -> httpcore.Request:
    """Return ``request`` in the form sent over the wire.

    Raises:
        ValueError: its URL is not valid, or neither http nor https.
    """
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
        _wire_url(request.url),
        headers=[(name.encode(), value.encode()) for name, value in headers.items()],
        content=GuardedBody(request.body),
        extensions={"timeout": {"connect": request.timeout_ms / 1000 * _CONNECT_SHARE}},
    )
