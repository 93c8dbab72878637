"""The body formats in which receivers can get an event. Pure.

A format renders a body, its content type and its headers. `docs/events.md` shows every event in every format.
"""

from collections.abc import Iterable, Mapping

from bridge.events.event import Event
from bridge.events.event_names import EVENT_NAMES
from bridge.events.event_types import EventType
from bridge.events.formats import cloudevents, databricks, mlflow3, registry_webhooks, standard_webhooks
from bridge.events.formats.shared_body_values import Body, Format, default_payload, encode, webhook_id

__all__ = [
    "FORMATS",
    "Body",
    "Format",
    "default_payload",
    "encode",
    "formats_for",
    "mlflow_body",
    "takes_details",
    "tells",
    "unsupported_events",
    "webhook_id",
]


def mlflow_body(event: Event, event_name: str, sink: str) -> bytes:
    """Return the default body."""
    return encode(default_payload(event, event_name, ("webhook_id", webhook_id(sink))))


def _mlflow(event: Event, event_name: str, sink: str, _now_ms: int) -> Body:
    return Body(mlflow_body(event, event_name, sink))


FORMATS: Mapping[str, Format] = {
    "mlflow": Format(_mlflow),
    "databricks": Format(databricks.render, databricks.KINDS, takes_details=False),
    "registry": Format(registry_webhooks.render),
    "mlflow3": Format(mlflow3.render, mlflow3.KINDS, takes_details=False),
    "standard": Format(standard_webhooks.render),
    "cloudevents": Format(cloudevents.structured),
    "cloudevents-binary": Format(cloudevents.binary),
}


def formats_for(kinds: Iterable[EventType]) -> list[str]:
    """Return the names of the formats that have a shape for all ``kinds``."""
    wanted = set(kinds)
    return [name for name, one in FORMATS.items() if wanted <= one.kinds]


def takes_details(format_name: str) -> bool:
    """Whether the format has a place for details; a sink's own template may have one."""
    return format_name not in FORMATS or FORMATS[format_name].takes_details


def tells(format_name: str, kind: EventType) -> bool:
    """Whether the format has a shape for events of ``kind``; a sink's own template has one for all."""
    return format_name not in FORMATS or kind in FORMATS[format_name].kinds


def unsupported_events(format_name: str, event_names: Iterable[str]) -> list[str]:
    """Return those of the named events for which the format has no shape."""
    return [name for name in event_names if not tells(format_name, EVENT_NAMES[name].kind)]
