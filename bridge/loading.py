"""From a configuration file to settings, and no further: commands that only ask stay quick."""

from pathlib import Path

from bridge.config import Settings, load
from bridge.delivery.routing import Route
from bridge.errors import ConfigurationError
from bridge.sinks.kinds import Kinds
from bridge.sinks.vetting import vetted


def load_settings(path: Path) -> Settings:
    """Return the settings in the file at ``path``; relative paths in it begin at its folder.

    Raises:
        ConfigurationError: with every fault.
    """
    settings = load(path, Kinds())
    faults = [
        f"sinks[{index}]: {fault}" for index, sink in enumerate(settings.sinks) for fault in vetted(sink)
    ]
    if faults:
        raise ConfigurationError(faults, str(path))
    if settings.poll.cron is not None:
        _check_cron(settings, path)
    return settings


def routes_of(settings: Settings) -> list[Route]:
    """Return each sink's filters."""
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
        )
        for sink in settings.sinks
    ]


def _check_cron(settings: Settings, path: Path) -> None:
    from bridge.schedule import trigger_of  # noqa: PLC0415 - brings in the scheduler

    try:
        trigger_of(settings.poll)
    except ConfigurationError as error:
        raise ConfigurationError(error.problems, str(path)) from None
