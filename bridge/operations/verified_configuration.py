"""Load the settings from a configuration file, and check them against their sink types."""

from pathlib import Path

from bridge.config import Settings, load
from bridge.errors import ConfigurationError
from bridge.sinks.plugins.settings_check import settings_faults
from bridge.sinks.sink_type_table import Kinds


def load_settings(path: Path) -> Settings:
    """Return the settings in the file at ``path``; relative paths in it are resolved against its folder.

    Raises:
        ConfigurationError: the configuration has faults; the message lists all of them.
    """
    settings = load(path, Kinds())
    faults = [
        f"sinks[{index}]: {fault}"
        for index, sink in enumerate(settings.sinks)
        for fault in settings_faults(sink)
    ]
    if faults:
        raise ConfigurationError(faults, str(path))
    if settings.poll.cron is not None:
        _check_cron(settings, path)
    return settings


def _check_cron(settings: Settings, path: Path) -> None:
    from bridge.pipeline.clock_safe_triggers import trigger_of  # noqa: PLC0415 - imports the scheduler

    try:
        trigger_of(settings.poll)
    except ConfigurationError as error:
        raise ConfigurationError(error.problems, str(path)) from None
