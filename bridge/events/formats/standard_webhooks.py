"""The format ``standard``: the envelope of Standard Webhooks.

Source: Standard Webhooks 1.0, *Payload structure* and *Webhook headers*. The members are ``type``,
``timestamp`` (ISO 8601) and ``data``. The header ``webhook-id`` is the same on every attempt;
``webhook-timestamp`` is the time of the attempt, in seconds.
"""

from bridge.events.event import Event
from bridge.events.formats.shared_body_values import Body, default_payload, encode, rfc3339, webhook_id


def render(event: Event, event_name: str, sink: str, now_ms: int) -> Body:
    """Render ``event`` under its name; ``data`` is the default body."""
    data = default_payload(event, event_name, ("webhook_id", webhook_id(sink)))
    body = {"type": event_name, "timestamp": rfc3339(event.timestamp), "data": data}
    return Body(encode(body), headers=identity(event.id, now_ms // 1000))


def identity(event_id: str, at_s: int) -> dict[str, str]:
    """Return the headers that identify the message and tell when it was sent."""
    return {"webhook-id": event_id, "webhook-timestamp": str(at_s)}
