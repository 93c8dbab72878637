"""A transport that is opened by its first request: a run with nothing to deliver needs none."""

from types import TracebackType
from typing import TYPE_CHECKING, Self

from bridge.delivery.outcome import Outcome
from bridge.sinks.base import Request, Response

if TYPE_CHECKING:
    from bridge.sinks.client import Client


class LazyTransport:
    """`bridge.sinks.base.Transport` that imports and opens the real client when it is needed."""

    def __init__(self) -> None:
        """Open nothing yet."""
        self._client: Client | None = None

    async def __aenter__(self) -> Self:
        """Return the transport."""
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        """Close what was opened."""
        if self._client is not None:
            await self._client.aclose()

    async def post(self, request: Request) -> Response | Outcome:
        """POST ``request`` once."""
        if self._client is None:
            from bridge.sinks.client import Client  # noqa: PLC0415 - importing httpx takes a while

            self._client = Client()
        return await self._client.post(request)
