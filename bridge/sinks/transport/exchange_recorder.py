"""Transports for tests of a sink: one records requests and answers, the other sends nothing."""

from dataclasses import dataclass

from bridge.delivery.attempt_outcome import Outcome, delivered
from bridge.sinks.base import Request, Response, Transport


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request, and the answer to it or the outcome of getting none."""

    request: Request
    answer: Response | Outcome


class RecordingTransport:
    """`bridge.sinks.base.Transport` that passes requests on unchanged, and records them."""

    def __init__(self, transport: Transport) -> None:
        """Pass requests on to ``transport``."""
        self._transport = transport
        self.exchanges: list[Exchange] = []

    async def post(self, request: Request) -> Response | Outcome:
        """Make ``request`` once, and record it with its answer."""
        answer = await self._transport.post(request)
        self.exchanges.append(Exchange(request, answer))
        return answer


class NoTransport:
    """`bridge.sinks.base.Transport` that sends nothing, and reports a delivery."""

    async def post(self, _request: Request) -> Response | Outcome:
        """Send nothing."""
        return delivered()
