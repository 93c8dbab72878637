"""What goes with events that sinks want told in more detail, as far as a poll knows it. Pure."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from bridge.delivery.event_routing import Routed
from bridge.diff.snapshot import RegisteredModel
from bridge.events.event_details import gone, model_part
from bridge.events.event_synthesis import Identity


def models_told(
    routed: Iterable[Routed],
    wanting: Collection[str],
    models: Mapping[str, tuple[RegisteredModel, Identity]],
) -> dict[str, dict[str, Any]]:
    """Return the part ``model``, by event id, of the events that go to the sinks ``wanting`` it.

    It is that of the very observation that an event came from, and costs no request.
    """
    parts: dict[str, dict[str, Any]] = {}  # the events of one model share what is told of it
    told: dict[str, dict[str, Any]] = {}
    for one in routed:
        if one.sink in wanting:
            name = one.event.model_name
            if name not in parts:
                parts[name] = {"model": model_part(models[name][0])} if name in models else gone("model")
            told[one.event.id] = parts[name]
    return told
