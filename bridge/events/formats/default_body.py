"""What all formats have in common: bodies, the default one's members, times."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from bridge.diff.registry_changes import ChangeKind
from bridge.events.event import Event

_SINKS = UUID("6e0f6dc6-6f0c-5d4c-9a51-9f1f6c1f3f0e")
"""The namespace of webhook ids: fixed for ever, because receivers know sinks by them."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST_MS = 253_402_300_799_999
"""The last millisecond that a date can name: the end of the year 9999."""


@dataclass(frozen=True, slots=True)
class Body:
    """A rendered event: its bytes, and what its format has to say of them in headers."""

    content: bytes
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


Renderer = Callable[[Event, str, str, int], Body]
"""Renders an event, under the name asked for, for the sink of that name, at a time in ms since the epoch."""


@dataclass(frozen=True, slots=True)
class Format:
    """A shape of bodies, the kinds of events it has a shape for, and whether details have a place in it."""

    render: Renderer
    kinds: frozenset[ChangeKind] = frozenset(ChangeKind)
    takes_details: bool = True


def webhook_id(sink: str) -> str:
    """Return the UUID by which receivers know the sink called ``sink``; it never changes."""
    return str(uuid5(_SINKS, sink))


def default_payload(event: Event, event_name: str, identifier: tuple[str, str]) -> dict[str, Any]:
    """Return the default body's members, ending with ``identifier`` (its name and value).

    For a stage transition these are exactly the eight members of the contract, in its order;
    a sink that asks for details gets them as a ninth.
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

    Other than ASCII is escaped: the registry can hold strings that UTF-8 cannot (a lone
    surrogate), and a proxy that recodes a body would break its signature.
    """
    return json.dumps(payload, separators=(",", ":")).encode()


def moment(ms: int) -> datetime:
    """Return the instant ``ms`` after the epoch; beyond what a date can name, the nearest that it can."""
    return _EPOCH + timedelta(milliseconds=min(max(ms, 0), _LATEST_MS))


def rfc3339(ms: int) -> str:
    """Return the instant ``ms`` after the epoch as in RFC 3339, in UTC: ``2026-11-21T09:30:00.000Z``."""
    return moment(ms).isoformat(timespec="milliseconds").replace("+00:00", "Z")
