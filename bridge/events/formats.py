"""Payload shapes: what a receiver reads of an event."""

import json
from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID, uuid5

from bridge.events.event import Event

_SINKS = UUID("6e0f6dc6-6f0c-5d4c-9a51-9f1f6c1f3f0e")
"""The namespace of webhook ids: fixed for ever, because receivers know sinks by them."""


def webhook_id(sink: str) -> str:
    """Return the UUID by which receivers know the sink called ``sink``; it never changes."""
    return str(uuid5(_SINKS, sink))


def default_payload(event: Event, event_name: str, identifier: tuple[str, str]) -> dict[str, Any]:
    """Return the default body's members, ending with ``identifier`` (its name and value).

    For a stage transition these are exactly the eight members of the contract, in its order.
    """
    payload: dict[str, Any] = {
        "event": event_name,
        "timestamp": event.timestamp,
        "model_name": event.model_name,
    }
    if event.model_version is not None:
        payload["model_version"] = event.model_version
    name, value = identifier
    return {**payload, **event.changed, "user_id": event.user_id, name: value}


def encode(payload: Mapping[str, Any]) -> bytes:
    """Return ``payload`` as compact JSON.

    Other than ASCII is escaped: the registry can hold strings that UTF-8 cannot (a lone
    surrogate), and a proxy that recodes a body would break its signature.
    """
    return json.dumps(payload, separators=(",", ":")).encode()


def mlflow_body(event: Event, event_name: str, sink: str) -> bytes:
    """Format ``mlflow``: the default body."""
    return encode(default_payload(event, event_name, ("webhook_id", webhook_id(sink))))


Format = Callable[[Event, str, str], bytes]
"""Renders an event, under the name asked for, for the sink of that name."""

FORMATS: Mapping[str, Format] = {"mlflow": mlflow_body}
