"""The HTTP client through which every request of every sink is sent.

It is built on httpcore, httpx's own core, which carries nothing over from one request to another: no cookies,
no credentials of ``~/.netrc``, no authentication, and no redirects (they would carry credentials to another
host, and turn a POST into a GET without a body). httpx itself parses the URLs. The timeout covers the whole
exchange, even if the answer comes slowly, and only the beginning of an answer is read.
"""

import asyncio
import ssl
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Self

import httpcore

from bridge.config import Access
from bridge.delivery.attempt_outcome import Outcome, Reason, retryable
from bridge.delivery.proxy_routes import Proxy, ProxyRoute
from bridge.delivery.secret_masking import mask, secrets_in
from bridge.sinks.base import EXCERPT_BYTES, Request, Response
from bridge.sinks.transport.connection_pool import KEPT_S, Connections
from bridge.sinks.transport.host_connection import Backend, TargetRefused
from bridge.sinks.transport.name_resolution import NameResolution
from bridge.sinks.transport.preflight_check import route_of
from bridge.sinks.transport.proxy_response_outcomes import TunnelRefused, sent_by
from bridge.sinks.transport.response_bodies import as_text, decoded
from bridge.sinks.transport.response_heads import Field, plain_headers
from bridge.sinks.transport.response_normalization import ResponseReader
from bridge.sinks.transport.tls_context import context_of, proxy_context_of
from bridge.sinks.transport.wire_requests import authority_of, connection_key, wire_request

_BODY_S = 5.0
_EXCERPT_CHARACTERS = 300
_COMPRESSION_OVERHEAD = 1_024

_UNHEARD = "a firewall drops its packets, or the machine or its name server does not answer"


class Connection:
    """One connection of httpcore, opened by its first request, and the reader of its answers."""

    def __init__(self, make: Callable[[ResponseReader], httpcore.AsyncConnectionPool]) -> None:
        """Use ``make`` to make a pool, which makes the connection (direct, or through a proxy) and holds none."""
        self.reader = ResponseReader()
        self._pool = make(self.reader)
        self._inner: httpcore.AsyncConnectionInterface | None = None

    async def send(self, request: httpcore.Request) -> httpcore.Response:
        """Send, and return the answer once its head has been read."""
        if self._inner is not None and self._inner.has_expired():  # the receiver has closed it
            await self.aclose()
        if self._inner is None:
            self._inner = self._pool.create_connection(request.url.origin)
        self.reader.reset()
        return await self._inner.handle_async_request(request)

    def is_reusable(self) -> bool:
        """Whether another request may use it: not after an answer that was cut off or malformed, or a tunnel that broke off."""
        return self.reader.is_reusable and self._inner is not None and self._inner.is_idle()

    async def aclose(self) -> None:
        """Close it; the next request opens another."""
        inner, self._inner = self._inner, None
        if inner is not None:
            await inner.aclose()


@dataclass(frozen=True, slots=True)
class Network:
    """What clients share: name resolution, and the open connections."""

    names: NameResolution = field(default_factory=NameResolution)
    connections: Connections[Connection] = field(
        default_factory=lambda: Connections(Connection.aclose, Connection.is_reusable)
    )


class Client:
    """`bridge.sinks.base.Transport` over connections that are kept for a while.

    Connections are httpcore's, kept by a pool of ours. The pool of httpcore 1.0 checks every connection that it
    holds, with a system call for each idle one, at every request and every answer; that would cost more than
    everything else together.
    """

    def __init__(
        self,
        access: Access | None = None,
        context: ssl.SSLContext | None = None,
        network: Network | None = None,
    ) -> None:
        """Open nothing yet. TLS is verified, version 1.2 or later, by default against the system's authorities.

        If targets are limited, proxies of the environment are not used: they would connect to addresses that
        the bridge cannot check.

        Raises:
            AuthorityUnavailable, SecretUnavailable: a file of ``access.tls`` cannot be used.
        """
        self._access = access or Access()
        self._context = context or context_of(self._access.tls, self._access.tls_key)
        self._network = network or Network()

    def _connection(self, url: str) -> Connection:
        """Return an unopened connection for ``url``, direct or through a proxy."""
        proxy = _proxy(route_of(url, self._access), self._context)
        return Connection(
            lambda reader: httpcore.AsyncConnectionPool(
                ssl_context=self._context,
                proxy=proxy,
                keepalive_expiry=KEPT_S,
                network_backend=Backend(self._network.names, reader, self._access.targets),
            )
        )

    async def __aenter__(self) -> Self:
        """Return the client."""
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        """Close the connections."""
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._network.connections.aclose(self)

    async def post(self, request: Request) -> Response | Outcome:
        """Make ``request`` once; return the answer, or the outcome of getting none."""
        return await sent_by(route_of(request.url, self._access), request, self._attempt)

    async def _attempt(self, request: Request) -> Response | Outcome:
        try:
            sent = wire_request(request)
        except ValueError as error:
            return _failure(error, request)
        make = partial(self._connection, request.url)
        async with self._network.connections.lent(self, connection_key(request), make) as connection:
            return await self._exchange(connection, request, sent)

    async def _exchange(
        self, connection: Connection, request: Request, sent: httpcore.Request
    ) -> Response | Outcome:
        end = asyncio.get_running_loop().time() + request.timeout_ms / 1000
        try:
            async with asyncio.timeout_at(end):
                answer = await connection.send(sent)
        except TargetRefused as refused:
            return _refused(refused, self._access.hosts_key)
        except httpcore.ProxyError as refused:
            raise TunnelRefused(str(refused).strip()) from None
        except (*_FAILURES, OSError) as error:
            head = connection.reader.answer()
            return (
                _failure(error, request) if head is None else _answer(head.status, head.fields, b"", request)
            )
        body, is_cut = await _beginning(answer, request, end)
        fields = [(name.lower(), value) for name, value in answer.headers]
        return _answer(answer.status, fields, body, request, is_cut=is_cut)


class MaskedHeaders(Mapping[str, str]):
    """The headers of an answer, each masked when it is used: a receiver decides how many there are."""

    def __init__(self, headers: Mapping[str, str], secrets: tuple[str, ...]) -> None:
        """Mask ``secrets`` in ``headers``."""
        self._headers = headers
        self._secrets = secrets
        self._masked: dict[str, str] = {}

    def __getitem__(self, name: str) -> str:
        """Return the beginning of a header, masked."""
        if name not in self._masked:
            value = self._headers[name]
            is_cut = len(value) > EXCERPT_BYTES
            self._masked[name] = mask(value[:EXCERPT_BYTES], self._secrets, is_cut=is_cut)
        return self._masked[name]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names."""
        return iter(self._headers)

    def __len__(self) -> int:
        """Return how many headers there are."""
        return len(self._headers)


_FAILURES = (
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.UnsupportedProtocol,
)


def _proxy(route: ProxyRoute, context: ssl.SSLContext) -> httpcore.Proxy | None:
    if not isinstance(route, Proxy):
        return None
    own = proxy_context_of(context) if route.scheme == "https" else None
    return httpcore.Proxy(route.origin, auth=_encoded(route.credentials), ssl_context=own)


def _encoded(credentials: tuple[str, str] | None) -> tuple[bytes, bytes] | None:
    """Return name and password as RFC 7617 (2.1) has them sent; httpcore accepts texts only in ASCII."""
    return credentials and (credentials[0].encode(), credentials[1].encode())


async def _beginning(answer: httpcore.Response, request: Request, end: float) -> tuple[bytes, bool]:
    """Return the first bytes of the body, and whether it was cut; a body read whole keeps the connection usable.

    The status is the answer: a body that comes slowly or breaks off adds nothing. A body that the sink needs
    may take the whole timeout.
    """
    limit = request.reads + _COMPRESSION_OVERHEAD
    soon = asyncio.get_running_loop().time() + _BODY_S
    head, is_cut = b"", True
    with suppress(*_FAILURES, TimeoutError):
        async with asyncio.timeout_at(end if request.needs_body else min(soon, end)):
            async for chunk in answer.aiter_stream():
                head += chunk
                if len(head) > limit:
                    break
            else:
                is_cut = False
    with suppress(*_FAILURES):
        await answer.aclose()
    return head[:limit], is_cut


def _answer(
    status: int, fields: Iterable[Field], raw: bytes, request: Request, *, is_cut: bool = False
) -> Response:
    """Return the answer for the sink: decompressed, and with all secrets masked in the shown parts."""
    plain = plain_headers(fields)
    body, unknown = decoded(raw, plain, request.reads)
    headers = MaskedHeaders(plain, request.secrets)
    is_hidden = request.is_confidential and 200 <= status < 300  # noqa: PLR2004 - statuses are numbers
    first, is_cut = body[:EXCERPT_BYTES], is_cut or len(body) > EXCERPT_BYTES
    text = f"(its body is compressed: {unknown})" if unknown else as_text(first, plain)
    excerpt = "" if is_hidden else _shown(text, request, is_cut=is_cut)
    return Response(status, headers, excerpt, body, is_whole=not is_cut, coding=unknown)


def _shown(text: str, request: Request, *, is_cut: bool = False) -> str:
    """Return the beginning of a text from outside, with everything masked that may be secret."""
    secrets = (*request.secrets, *secrets_in(request.url))
    return mask(text, secrets, is_cut=is_cut)[:_EXCERPT_CHARACTERS]


def _failure(error: Exception, request: Request) -> Outcome:
    """Return the outcome of a request that got no answer."""
    if isinstance(error, httpcore.ConnectTimeout):
        return retryable(Reason.TIMEOUT, f"no connection to {authority_of(request.url)} in time: {_UNHEARD}")
    if isinstance(error, TimeoutError | httpcore.TimeoutException):
        return retryable(Reason.TIMEOUT, f"no complete answer within {request.timeout_ms / 1000:g} s")
    if isinstance(error, httpcore.LocalProtocolError):  # its text quotes the faulty header
        return retryable(
            Reason.INTERNAL, "the request could not be made: a header holds what no header takes"
        )
    is_cut = isinstance(error, httpcore.RemoteProtocolError)  # its text ends with the beginning of the answer
    text = _shown(str(error) or type(error).__name__, request, is_cut=is_cut)
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return retryable(Reason.TLS, f"no secure connection: {text}")
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, httpcore.ConnectError | httpcore.UnsupportedProtocol | ValueError):
        return retryable(Reason.CONNECT, f"no connection: {text}")
    return retryable(Reason.PROTOCOL, f"the connection broke: {text}")


def _refused(refused: TargetRefused, key: str) -> Outcome:
    where = ", ".join(refused.addresses[:4])
    resolved = "" if where == refused.host else f" ({where})"
    detail = f"not connected: {key} allows no {refused.host}{resolved}: add the name, or a network that has the address"
    return retryable(Reason.MISCONFIGURED, detail)
