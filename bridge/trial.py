"""Try a sink out: a synthetic event, sent the way a real one is, and what came of it."""

from dataclasses import dataclass
from uuid import uuid4

from bridge.config import Settings, SinkSettings, access_of
from bridge.delivery.outcome import Outcome
from bridge.events.names import EVENT_NAMES
from bridge.events.synthetic import synthetic_event, with_details
from bridge.pipeline.clock import SystemClock
from bridge.sinks.base import Delivery, Transport
from bridge.sinks.kinds import KINDS
from bridge.sinks.lazy import LazyTransport
from bridge.sinks.recording import Exchange, NoTransport, RecordingTransport


@dataclass(frozen=True, slots=True)
class Trial:
    """What was sent (nothing, where the sink could not even make a request), and what came of it."""

    exchanges: tuple[Exchange, ...]
    outcome: Outcome


async def try_out(sink: SinkSettings, settings: Settings, event_name: str, *, sends: bool) -> Trial:
    """Have ``sink`` deliver a synthetic event called ``event_name``; without ``sends``, make it only.

    The state is not touched: nothing is recorded, and nothing is tried again.
    """
    async with LazyTransport() as transport:
        way = transport.through(access_of(sink, settings.delivery)) if sends else NoTransport()
        return await _attempt(sink, settings, event_name, way)


async def _attempt(sink: SinkSettings, settings: Settings, event_name: str, way: Transport) -> Trial:
    recording = RecordingTransport(way)
    built = KINDS[sink.type].build(sink, recording, sink.timeout or settings.delivery.timeout)
    now_ms = SystemClock().now_ms()
    bare = synthetic_event(event_name, sink.to_stages, str(uuid4()), now_ms)
    event = with_details(bare, sink.include)
    outcome = await built.deliver(Delivery(event, EVENT_NAMES[event_name].name, now_ms))
    return Trial(tuple(recording.exchanges), outcome)
