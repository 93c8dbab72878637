"""Build the routes of events from the sinks' filters."""

from bridge.config.settings import Settings
from bridge.delivery.event_routing import Route


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
