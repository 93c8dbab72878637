"""Transports that show what a sink sends, and what it is answered."""

from dataclasses import dataclass

from bridge.delivery.attempt_outcome import Outcome, delivered
from bridge.sinks.base import Request, Response, Transport


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request, and the answer to it or the outcome of not getting one."""

    request: Request
    answer: Response | Outcome


class RecordingTransport:
    """`bridge.sinks.base.Transport` that passes requests on as they are, and keeps them."""

    def __init__(self, transport: Transport) -> None:
        """Pass requests on to ``transport``."""
        self._transport = transport
        self.exchanges: list[Exchange] = []

    async def post(self, request: Request) -> Response | Outcome:
        """Make ``request`` once, and keep it with its answer."""
        answer = await self._transport.post(request)
        self.exchanges.append(Exchange(request, answer))
        return answer


class NoTransport:
    """`bridge.sinks.base.Transport` that sends nothing, and says that it arrived."""

    async def post(self, _request: Request) -> Response | Outcome:
        """Send nothing."""
        return delivered()
