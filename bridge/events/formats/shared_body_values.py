"""The default body, and the values that all formats share: rendered bodies, webhook ids, times."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID, uuid5

from bridge.events.event import Event
from bridge.events.event_types import EVENT_TYPES, EventType

_SINKS = UUID("6e0f6dc6-6f0c-5d4c-9a51-9f1f6c1f3f0e")
"""The namespace of webhook ids. It must never change, because receivers identify sinks by these ids."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST_MS = 253_402_300_799_999
"""The last millisecond that a `datetime` can hold: the end of the year 9999."""


@dataclass(frozen=True, slots=True)
class Body:
    """A rendered event: its bytes, and the headers of its format."""

    content: bytes
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


Renderer = Callable[[Event, str, str, int], Body]
"""Renders an event under the given event name, for the sink of the given name, at a time in ms since the epoch."""


@dataclass(frozen=True, slots=True)
class Format:
    """A body format: its renderer, the kinds of events that it has a shape for, and whether it takes details."""

    render: Renderer
    kinds: frozenset[EventType] = frozenset(EVENT_TYPES)
    takes_details: bool = True


@lru_cache
def webhook_id(sink: str) -> str:
    """Return the UUID by which receivers identify the sink called ``sink``; it never changes."""
    return str(uuid5(_SINKS, sink))


def default_payload(event: Event, event_name: str, identifier: tuple[str, str]) -> dict[str, Any]:
    """Return the default body's members, ending with ``identifier`` (its name and value).

    For a stage transition these are exactly the eight members of the contract, in its order. A sink that asks
    for details gets them as a ninth.
    """
    payload: dict[str, Any] = {
        "event": event_name,
        "timestamp": event.timestamp,
        "model_name": event.model_name,
    }
    if event.model_version is not None:
        payload["model_version"] = event.model_version
    name, value = identifier
    beyond = {} if event.details is None else {"details": event.details}
    return {**payload, **event.changed, "user_id": event.user_id, name: value, **beyond}


def encode(payload: Mapping[str, Any]) -> bytes:
    """Return ``payload`` as compact JSON.

    Characters other than ASCII are escaped: the registry can hold strings that UTF-8 cannot encode (a lone
    surrogate), and a proxy that re-encodes a body would break its signature.
    """
    return json.dumps(payload, separators=(",", ":")).encode()


def moment(ms: int) -> datetime:
    """Return the instant ``ms`` after the epoch, or the nearest one that a `datetime` can hold."""
    return _EPOCH + timedelta(milliseconds=min(max(ms, 0), _LATEST_MS))


def rfc3339(ms: int) -> str:
    """Return the instant ``ms`` after the epoch in RFC 3339 form, in UTC: ``2026-11-21T09:30:00.000Z``."""
    return moment(ms).isoformat(timespec="milliseconds").replace("+00:00", "Z")
