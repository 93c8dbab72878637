"""Format ``standard``: the envelope of Standard Webhooks.

Standard Webhooks 1.0, *Payload structure* and *Webhook headers*: ``type``, ``timestamp`` (ISO
8601) and ``data``; ``webhook-id`` the same on every attempt, ``webhook-timestamp`` (seconds)
that of the attempt.
"""

from bridge.events.event import Event
from bridge.events.formats.default_body import Body, default_payload, encode, rfc3339, webhook_id


def render(event: Event, event_name: str, sink: str, now_ms: int) -> Body:
    """Render ``event`` under its name; ``data`` is the default body."""
    data = default_payload(event, event_name, ("webhook_id", webhook_id(sink)))
    body = {"type": event_name, "timestamp": rfc3339(event.timestamp), "data": data}
    return Body(encode(body), headers=identity(event.id, now_ms // 1000))


def identity(event_id: str, at_s: int) -> dict[str, str]:
    """Return the headers that say which message this is, and when it was sent."""
    return {"webhook-id": event_id, "webhook-timestamp": str(at_s)}
