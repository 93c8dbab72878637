"""The HTTP clients, one for each kind of access; each is opened by its first request.

A run with nothing to deliver opens none. The files from which a client was made can be replaced. After a
change, the next request uses a new client, and the old one is closed after its last answer. The files are
read in a thread, so that a hanging mount delays only the sinks that need it.
"""

import asyncio
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Self

from bridge.config import Access
from bridge.delivery.attempt_outcome import Outcome, Reason, retryable
from bridge.errors import AuthorityUnavailable, SecretUnavailable
from bridge.sinks.base import Request, Response, Transport
from bridge.sinks.transport.blocking_calls import SharedCalls

if TYPE_CHECKING:
    import ssl

    from bridge.sinks.transport.http_client import Client, Network
    from bridge.sinks.transport.tls_context import Stamp


_AUTHORITIES_S = 5.0


@dataclass(slots=True, eq=False)
class _Opened:
    """A client, the state of the files from which it was made, and the number of its running requests."""

    client: "Client"
    stamp: "Stamp"
    requests: int = 0


class LazyTransport:
    """`bridge.sinks.base.Transport` that imports and opens the real clients when they are needed."""

    def __init__(self) -> None:
        """Open nothing yet."""
        self._network: Network | None = None
        self._files: SharedCalls[Access, tuple[Stamp, ssl.SSLContext | None]] = SharedCalls("tls files")
        self._opened: dict[Access, _Opened] = {}
        self._outdated: set[_Opened] = set()

    async def __aenter__(self) -> Self:
        """Return the transport."""
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        """Close all open clients."""
        for opened in (*self._opened.values(), *self._outdated):
            await opened.client.aclose()

    def through(self, access: Access) -> Transport:
        """Return the transport for ``access``. Equal ones share their connections."""
        return _Way(self, access)

    async def post(self, request: Request) -> Response | Outcome:
        """POST ``request`` once, with the default access."""
        return await self.post_through(Access(), request)

    async def post_through(self, access: Access, request: Request) -> Response | Outcome:
        """POST ``request`` once, with the present files of ``access``."""
        seconds = request.timeout_ms / 1000
        if (
            not access.tls.files
        ):  # the system's authorities are read once, and no request should fail because of that
            seconds = max(seconds, _AUTHORITIES_S)
        try:
            async with asyncio.timeout(seconds):
                opened = await self._current(access)
        except TimeoutError:
            return retryable(
                Reason.TLS, f"{access.tls_key}: {_hanging(access)} cannot be read within {seconds:g} s"
            )
        except AuthorityUnavailable as error:
            return retryable(Reason.TLS, str(error))
        except SecretUnavailable as error:
            return retryable(Reason.SECRET, str(error))
        opened.requests += 1
        try:
            return await opened.client.post(request)
        finally:
            opened.requests -= 1
            await self._close_outdated()

    async def _current(self, access: Access) -> _Opened:
        """Return the client for ``access``; open a new one if its files have changed."""
        found = self._opened.get(access)
        if found is not None and not access.tls.files:
            return found
        while True:
            stamp, context = await self._files.result(access, lambda: self._read(access))
            found = self._opened.get(access)
            if found is not None and found.stamp == stamp:
                return found
            if context is not None:
                return self._open(access, stamp, context)

    def _read(self, access: Access) -> "tuple[Stamp, ssl.SSLContext | None]":
        """Return the state of the files, and a TLS context if they have changed; runs in a thread."""
        from bridge.sinks.transport.tls_context import context_of, stamp_of  # noqa: PLC0415

        stamp = stamp_of(access.tls)  # before reading: a change meanwhile shows the next time
        found = self._opened.get(access)
        is_new = found is None or found.stamp != stamp
        return stamp, context_of(access.tls, access.tls_key) if is_new else None

    def _open(self, access: Access, stamp: "Stamp", context: "ssl.SSLContext") -> _Opened:
        from bridge.sinks.transport.http_client import Client, Network  # noqa: PLC0415 - importing httpcore takes a while

        self._network = self._network or Network()
        before = self._opened.get(access)
        opened = self._opened[access] = _Opened(Client(access, context, self._network), stamp)
        if before is not None:
            self._outdated.add(before)
        return opened

    async def _close_outdated(self) -> None:
        for opened in [one for one in self._outdated if not one.requests]:
            self._outdated.discard(opened)
            await opened.client.aclose()


class _Way:
    """`bridge.sinks.base.Transport` for one kind of access."""

    def __init__(self, transport: LazyTransport, access: Access) -> None:
        self._transport = transport
        self._access = access

    async def post(self, request: Request) -> Response | Outcome:
        return await self._transport.post_through(self._access, request)


def _hanging(access: Access) -> str:
    return (
        f"a file ({', '.join(access.tls.files)})"
        if access.tls.files
        else "a file of the system's authorities"
    )
