"""The only way out to the network: every outbound request of every sink goes through here.

Redirects are never followed: they would carry credentials to another place, and turn a POST
into a GET without a body. The timeout bounds the whole exchange, a trickling answer
included, and only the beginning of an answer is read.
"""

import asyncio
import ssl
from contextlib import suppress
from types import TracebackType
from typing import Self

import httpx

from bridge import __version__
from bridge.delivery.outcome import Outcome, Reason, retryable
from bridge.sinks.base import Request, Response
from bridge.sinks.masking import masked

_EXCERPT_BYTES = 2_048
_BODY_S = 5.0
_EXCERPT_CHARACTERS = 300
_LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=64, keepalive_expiry=30)


class Client:
    """`bridge.sinks.base.Transport` over one pool of connections."""

    def __init__(self) -> None:
        """Open the pool; TLS 1.2 or later, verified against the system's authorities."""
        context = ssl.create_default_context()
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._http = httpx.AsyncClient(
            verify=context,
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
        await self._http.aclose()

    async def post(self, request: Request) -> Response | Outcome:
        """POST ``request`` once; return the answer, or the outcome of not getting one."""
        seconds = request.timeout_ms / 1000
        try:
            async with asyncio.timeout(seconds):
                return await self._exchange(request, seconds)
        except (TimeoutError, httpx.TimeoutException):
            return retryable(Reason.TIMEOUT, f"no complete answer within {seconds:g} s")
        except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError, OSError) as error:
            return _failure(error, request)

    async def _exchange(self, request: Request, seconds: float) -> Response:
        async with self._http.stream(
            "POST",
            request.url,
            content=request.body,
            headers={"accept-encoding": "identity", **request.headers},
            timeout=seconds,
        ) as answer:
            head = await _beginning(answer)
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return Response(answer.status_code, headers, mask(_printable(head), request.secrets))


async def _beginning(answer: httpx.Response) -> bytes:
    """Return the first bytes of the body; a short one is read whole, which keeps the connection."""
    head = b""
    with suppress(
        httpx.HTTPError, TimeoutError
    ):  # the status is the answer; a body that breaks off adds nothing
        async with asyncio.timeout(_BODY_S):
            async for chunk in answer.aiter_raw():
                head += chunk
                if len(head) > _EXCERPT_BYTES:
                    break
    return head[:_EXCERPT_BYTES]


def _printable(body: bytes) -> str:
    text = body.decode("utf-8", "replace")
    return "".join(char if char.isprintable() else " " for char in text).strip()


def mask(text: str, secrets: tuple[str, ...]) -> str:
    """Return the beginning of ``text`` with every secret in it replaced."""
    return masked(text, secrets)[:_EXCERPT_CHARACTERS]


def _failure(error: Exception, request: Request) -> Outcome:
    """Return the outcome of a request that got no answer."""
    if isinstance(error, httpx.LocalProtocolError):  # its text quotes the header that is at fault
        return retryable(
            Reason.INTERNAL, "the request could not be made: a header holds what no header takes"
        )
    text = mask(str(error) or type(error).__name__, request.secrets)
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return retryable(Reason.TLS, f"no secure connection: {text}")
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, httpx.ConnectError | httpx.InvalidURL | httpx.UnsupportedProtocol):
        return retryable(Reason.CONNECT, f"no connection: {text}")
    return retryable(Reason.PROTOCOL, f"the connection broke: {text}")
