"""Build the routes of events from the sinks' filters, and what gates have watched."""

from bridge.config.settings import Settings
from bridge.delivery.event_routing import Route
from bridge.diff.registry_changes import ChangeKind


def routes_of(settings: Settings) -> list[Route]:
    """Return a route with the filters of each sink that gets events."""
    return [
        Route(
            sink.name,
            sink.events,
            sink.models,
            sink.to_stages,
            sink.from_stages,
            sink.aliases,
            tuple(sink.tags.items()),
            sink.when,
            sink.include,
            sink.requests_as_transitions,
        )
        for sink in settings.sinks
        if sink.gets_events
    ]


def watched_by_gates(settings: Settings) -> list[Route]:
    """Return routes, of no sink, for what gates have read at every poll: aliases, and the tag that makes requests.

    Only models that a gate names: those of one for all models are found by full scans.
    """
    return [
        Route("", (ChangeKind.ALIAS_SET.value, ChangeKind.VERSION_TAG_SET.value), gate.models)
        for gate in settings.gates
        if gate.models
    ]
