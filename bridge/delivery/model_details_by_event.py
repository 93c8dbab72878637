"""The model details to store with new events, for sinks that ask for them (``include``). Pure."""

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
    """Return the part ``model`` of the details, by event id, for events that go to the sinks ``wanting`` it.

    It comes from the same snapshot as the event, and so costs no request.
    """
    parts: dict[str, dict[str, Any]] = {}  # the events of one model share the same part
    told: dict[str, dict[str, Any]] = {}
    for one in routed:
        if one.sink in wanting:
            name = one.event.model_name
            if name not in parts:
                parts[name] = {"model": model_part(models[name][0])} if name in models else gone("model")
            told[one.event.id] = parts[name]
    return told
