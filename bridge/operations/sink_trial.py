"""Test a sink: send a synthetic event as a real one is sent, and return the requests and the outcome."""

from dataclasses import dataclass
from uuid import uuid4

from bridge.config import Settings, SinkSettings, access_of
from bridge.delivery.attempt_outcome import Outcome
from bridge.errors import BridgeError
from bridge.events.event_names import EVENT_NAMES
from bridge.events.sample_events import synthetic_event, with_details
from bridge.pipeline.clocks import SystemClock
from bridge.sinks.base import Delivery, Transport
from bridge.sinks.plugins.guarded_sink import GuardedSink
from bridge.sinks.sink_type_table import is_http, sink_of
from bridge.sinks.transport.client_cache import LazyTransport
from bridge.sinks.transport.exchange_recorder import Exchange, NoTransport, RecordingTransport


@dataclass(frozen=True, slots=True)
class Trial:
    """The requests that the sink sent, with their answers, and the outcome; no request if the sink could not build one.

    For a sink that is not ``is_http``, no requests are recorded, as it does not send through the HTTP transport.
    """

    exchanges: tuple[Exchange, ...]
    outcome: Outcome
    is_http: bool = True


async def try_out(sink: SinkSettings, settings: Settings, event_name: str, *, sends: bool) -> Trial:
    """Have ``sink`` deliver a synthetic event called ``event_name``; without ``sends``, only build the request.

    The state is not changed: nothing is recorded, and nothing is tried again.

    Raises:
        BridgeError: ``sends`` is False, but the sink does not use the HTTP transport only, and could send anyway.
    """
    if not sends and not is_http(sink.type):
        msg = (
            f"{sink.name}: a sink of type {sink.type!r} does not go out by HTTP alone, so that nothing could "
            "keep it from sending: try it without --dry-run"
        )
        raise BridgeError(msg)
    async with LazyTransport() as transport:
        way = transport.through(access_of(sink, settings.delivery)) if sends else NoTransport()
        return await _attempt(sink, settings, event_name, way)


async def _attempt(sink: SinkSettings, settings: Settings, event_name: str, way: Transport) -> Trial:
    recording = RecordingTransport(way)
    built = sink_of(sink, recording, sink.timeout or settings.delivery.timeout)
    now_ms = SystemClock().now_ms()
    bare = synthetic_event(event_name, sink.to_stages, str(uuid4()), now_ms)
    event = with_details(bare, sink.include)
    outcome = await built.deliver(Delivery(event, EVENT_NAMES[event_name].name, now_ms))
    if isinstance(built, GuardedSink):
        await built.aclose()
    return Trial(tuple(recording.exchanges), outcome, is_http(sink.type))
