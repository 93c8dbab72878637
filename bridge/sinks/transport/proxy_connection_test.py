"""Tests whether the proxies that sinks use can be reached and allow connections, before anything is sent.

It requests a tunnel (``CONNECT``, RFC 9110, 9.3.6) and closes it unused. Plain http needs no tunnel, and many
proxies refuse one to its port; there, only a demand for authentication counts.
"""

import re
import socket
import ssl
from base64 import b64encode
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from urllib.parse import urlsplit

from bridge.config import Access, DeliverySettings, SinkSettings, access_of
from bridge.delivery.proxy_refusals import WANTS_LOGIN, tunnel_refused
from bridge.delivery.proxy_routes import Proxy
from bridge.errors import AuthorityUnavailable, SecretUnavailable
from bridge.sinks.transport.preflight_check import sink_routes
from bridge.sinks.transport.tls_context import context_of, proxy_context_of

_STATUS = re.compile(rb"HTTP/1\.\d (\d{3}[^\r\n]*)")
_ANSWER_BYTES = 4_096
_STEP_S = 5.0
"""How long a connection, and an answer, may take."""


def proxy_problems(sinks: Iterable[SinkSettings], delivery: DeliverySettings) -> Iterator[str]:
    """Test each proxy that ``sinks`` use, for each of their origins; yield a sentence for each problem."""
    places: dict[Proxy, dict[str, Access]] = {}
    for sink in sinks:
        for origin, route in sink_routes(sink, delivery):
            if isinstance(route, Proxy):
                places.setdefault(route, {}).setdefault(origin, access_of(sink, delivery))
    for proxy, origins in places.items():
        yield from _problems(proxy, origins)


def _problems(proxy: Proxy, origins: dict[str, Access]) -> Iterator[str]:
    for origin, access in origins.items():
        try:
            with (
                suppress(AuthorityUnavailable, SecretUnavailable),
                closing(_connected(proxy, access)) as stream,
            ):
                problem = _tunnel_problem(proxy, origin, stream)
                if problem:
                    yield problem
        except OSError as error:  # includes ssl's errors
            yield f"{proxy}: no connection to the proxy: {_why(error)}"
            return  # the other origins cannot be tested then


def _connected(proxy: Proxy, access: Access) -> socket.socket:
    plain = socket.create_connection((proxy.host, proxy.port), _STEP_S)
    if proxy.scheme == "http":
        return plain
    try:
        context = proxy_context_of(context_of(access.tls, access.tls_key))
        return context.wrap_socket(plain, server_hostname=proxy.host)
    except BaseException:
        plain.close()
        raise


def _tunnel_problem(proxy: Proxy, url: str, stream: socket.socket) -> str:
    parts = urlsplit(url)
    is_needed = parts.scheme == "https"
    place = f"{parts.netloc}{'' if parts.port else ':443' if is_needed else ':80'}"
    lines = [f"CONNECT {place} HTTP/1.1", f"Host: {place}", *_login(proxy)]
    stream.sendall("\r\n".join([*lines, "", ""]).encode())
    found = _STATUS.match(stream.recv(_ANSWER_BYTES))
    said = found[1].decode("latin-1") if found else ""
    if said.startswith("2") or not (is_needed or said.startswith(str(WANTS_LOGIN))):
        return ""
    return (
        tunnel_refused(proxy, url, said).detail if said else f"{proxy}: it does not answer as HTTP proxies do"
    )


def _login(proxy: Proxy) -> list[str]:
    if proxy.credentials is None:
        return []
    return ["Proxy-Authorization: Basic " + b64encode(":".join(proxy.credentials).encode()).decode()]


def _why(error: OSError) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {_STEP_S:g} s"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message}): have the system trust its authority"
    if isinstance(error, ssl.SSLError):
        said = error.reason or error
        return f"{said}: does it speak TLS itself? most proxies are http://, for https URLs, too"
    return error.strerror or type(error).__name__
