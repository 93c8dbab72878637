"""Reading the configuration again: all of it, or nothing."""

from collections.abc import Callable

import structlog

from bridge.config import Settings
from bridge.errors import ConfigurationError
from bridge.schedule import trigger_of

log = structlog.get_logger(__name__)

_FIXED = ("registry", "state", "server")
"""Sections that only a restart can change."""


class Configuration:
    """The settings in force, and where to read them again."""

    def __init__(self, settings: Settings, reread: Callable[[], Settings]) -> None:
        """Begin with ``settings``."""
        self.settings = settings
        self._reread = reread

    def reload(self) -> bool:
        """Read the settings again; return whether others are in force now."""
        before, self.settings = self.settings, _reloaded(self.settings, self._reread)
        return self.settings != before


def _reloaded(settings: Settings, reread: Callable[[], Settings]) -> Settings:
    """Return the new settings, or the old ones where the new ones cannot be used."""
    try:
        fresh = reread()
        trigger_of(fresh.poll)
    except ConfigurationError as error:
        log.error("config.refused", error=str(error))
        return settings
    fixed = [part for part in _FIXED if getattr(fresh, part) != getattr(settings, part)]
    if fixed:
        log.error("config.refused", error=f"a change of {' and '.join(fixed)} needs a restart")
        return settings
    log.info("config.reloaded", sinks=[sink.name for sink in fresh.sinks])
    return fresh
