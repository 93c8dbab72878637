"""The only way out to the network: every outbound request of every sink goes through here.

Redirects are never followed: they would carry credentials to another place, and turn a POST
into a GET without a body. The timeout bounds the whole exchange, a trickling answer
included, and only the beginning of an answer is read.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Self

import httpcore
import httpx

from bridge import __version__
from bridge.config import Access
from bridge.delivery.masking import mask, secrets_in
from bridge.delivery.outcome import Outcome, Reason, retryable
from bridge.delivery.proxy_routes import Proxy, ProxyRoute
from bridge.delivery.targets import Targets
from bridge.sinks.access import route_of
from bridge.sinks.base import Request, Response
from bridge.sinks.connections import KEPT_S, Connections
from bridge.sinks.dial import AllowedBackend, TargetRefused
from bridge.sinks.proxy_outcomes import TunnelRefused, sent_by
from bridge.sinks.tls import context_of, proxy_context_of

_EXCERPT_BYTES = 2_048
_BODY_S = 5.0
_EXCERPT_CHARACTERS = 300
_LIMITS = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=KEPT_S)


class Client:
    """`bridge.sinks.base.Transport` over connections that are kept for a while.

    Each is an `httpx.AsyncClient` of its own: the pool of httpcore 1.0 looks at every connection
    that it holds, with a system call for each idle one, whenever a request comes or goes, which
    costs more than everything else together.
    """

    def __init__(self, access: Access | None = None) -> None:
        """Open nothing yet; TLS 1.2 or later, verified; by default against the system's authorities.

        Where targets are limited, proxies of the environment are not used: they would connect
        to addresses that nobody here sees.

        Raises:
            AuthorityUnavailable, SecretUnavailable: a file of ``access.tls`` cannot be used.
        """
        self._access = access or Access()
        self._context = context_of(self._access.tls, self._access.tls_key)
        self._connections = Connections(self._connection, httpx.AsyncClient.aclose)

    def _connection(self, place: str) -> httpx.AsyncClient:
        targets = self._access.targets
        return httpx.AsyncClient(
            verify=self._context,
            trust_env=False,  # the environment is read in one place: bridge.delivery.proxy_routes
            proxy=_proxy(route_of(place, self._access), self._context),
            transport=_AllowedTransport(self._context, targets) if targets else None,
            follow_redirects=False,
            limits=_LIMITS,
            headers={"user-agent": f"mlflow-bridge/{__version__}"},
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
        await self._connections.aclose()

    async def post(self, request: Request) -> Response | Outcome:
        """Make ``request`` once; return the answer, or the outcome of not getting one."""
        return await sent_by(route_of(request.url, self._access), request, self._attempt)

    async def _attempt(self, request: Request) -> Response | Outcome:
        seconds = request.timeout_ms / 1000
        try:
            async with asyncio.timeout(seconds):
                return await self._exchange(request, seconds)
        except (TimeoutError, httpx.TimeoutException):
            return retryable(Reason.TIMEOUT, f"no complete answer within {seconds:g} s")
        except TargetRefused as refused:
            return _refused(refused, self._access.hosts_key)
        except httpx.ProxyError as refused:
            raise TunnelRefused(str(refused)) from None
        except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError, OSError) as error:
            return _failure(error, request)

    async def _exchange(self, request: Request, seconds: float) -> Response:
        place = "/".join(request.url.split("/", 3)[:3])
        http = self._connections.take(place)
        try:
            async with http.stream(
                request.method,
                request.url,
                content=request.body,
                headers={"accept-encoding": "identity", **request.headers},
                timeout=seconds,
            ) as answer:
                head, is_cut = await _beginning(answer, request.reads)
        except BaseException:  # cut off in the midst of something, it could stay busy for ever
            with suppress(httpx.HTTPError, OSError):
                await http.aclose()
            raise
        await self._connections.keep(place, http)
        headers = {
            name.lower(): mask(value[:_EXCERPT_BYTES], request.secrets, is_cut=len(value) > _EXCERPT_BYTES)
            for name, value in answer.headers.items()
        }
        is_hidden = request.is_confidential and answer.is_success
        first, is_cut = head[:_EXCERPT_BYTES], is_cut or len(head) > _EXCERPT_BYTES
        excerpt = "" if is_hidden else _shown(_printable(first), request, is_cut=is_cut)
        return Response(answer.status_code, headers, excerpt, head)


def _proxy(route: ProxyRoute, context: ssl.SSLContext) -> httpx.Proxy | None:
    if not isinstance(route, Proxy):
        return None
    own = proxy_context_of(context) if route.scheme == "https" else None
    return httpx.Proxy(route.origin, ssl_context=own, auth=route.credentials)


async def _beginning(answer: httpx.Response, limit: int) -> tuple[bytes, bool]:
    """Return the first bytes of the body, and whether there is more; read whole, it keeps the connection."""
    head, is_cut = b"", True
    with suppress(
        httpx.HTTPError, TimeoutError
    ):  # the status is the answer; a body that breaks off adds nothing
        async with asyncio.timeout(_BODY_S):
            async for chunk in answer.aiter_raw():
                head += chunk
                if len(head) > limit:
                    break
            else:
                is_cut = False
    return head[:limit], is_cut


def _printable(body: bytes) -> str:
    text = body.decode("utf-8", "replace")
    return "".join(char if char.isprintable() else " " for char in text).strip()


def _shown(text: str, request: Request, *, is_cut: bool = False) -> str:
    """Return the beginning of a text from outside, without anything that may be secret."""
    secrets = (*request.secrets, *secrets_in(request.url))
    return mask(text, secrets, is_cut=is_cut)[:_EXCERPT_CHARACTERS]


def _failure(error: Exception, request: Request) -> Outcome:
    """Return the outcome of a request that got no answer."""
    if isinstance(error, httpx.LocalProtocolError):  # its text quotes the header that is at fault
        return retryable(
            Reason.INTERNAL, "the request could not be made: a header holds what no header takes"
        )
    text = _shown(str(error) or type(error).__name__, request)
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return retryable(Reason.TLS, f"no secure connection: {text}")
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, httpx.ConnectError | httpx.InvalidURL | httpx.UnsupportedProtocol):
        return retryable(Reason.CONNECT, f"no connection: {text}")
    return retryable(Reason.PROTOCOL, f"the connection broke: {text}")


def _refused(refused: TargetRefused, key: str) -> Outcome:
    where = ", ".join(refused.addresses[:4])
    resolved = "" if where == refused.host else f" ({where})"
    detail = f"not connected: {key} allows no {refused.host}{resolved}: add the name, or a network that has the address"
    return retryable(Reason.MISCONFIGURED, detail)


class _AllowedTransport(httpx.AsyncBaseTransport):
    """httpx over httpcore's pool as httpx itself has it, but with a say in where connections go."""

    def __init__(self, context: ssl.SSLContext, targets: Targets) -> None:
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=context,
            max_connections=_LIMITS.max_connections,
            max_keepalive_connections=_LIMITS.max_keepalive_connections,
            keepalive_expiry=_LIMITS.keepalive_expiry,
            network_backend=AllowedBackend(targets),
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        with _as_httpx():
            answer = await self._pool.handle_async_request(
                httpcore.Request(
                    request.method,
                    httpcore.URL(
                        scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
                    ),
                    headers=request.headers.raw,
                    content=request.stream,
                    extensions=request.extensions,
                )
            )
        return httpx.Response(
            answer.status, headers=answer.headers, stream=_Body(answer), extensions=answer.extensions
        )

    async def aclose(self) -> None:
        await self._pool.aclose()


class _Body(httpx.AsyncByteStream):
    def __init__(self, answer: httpcore.Response) -> None:
        self._answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _as_httpx():
            async for part in self._answer.aiter_stream():
                yield part

    async def aclose(self) -> None:
        await self._answer.aclose()


@contextmanager
def _as_httpx() -> Iterator[None]:
    """Raise httpcore's errors under the same names in httpx."""
    try:
        yield
    except (
        httpcore.TimeoutException,
        httpcore.NetworkError,
        httpcore.ProtocolError,
        httpcore.ProxyError,
        httpcore.UnsupportedProtocol,
    ) as error:
        raise getattr(httpx, type(error).__name__, httpx.TransportError)(str(error)) from error
