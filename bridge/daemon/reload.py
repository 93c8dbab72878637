"""Reading the configuration again: all of it, or nothing."""

from collections.abc import Callable

import structlog

from bridge.config import RegistrySettings, Settings
from bridge.errors import ConfigurationError, OwnerUnavailable
from bridge.schedule import trigger_of

log = structlog.get_logger(__name__)

_FIXED = ("registry", "state", "server")
"""Sections that a reload cannot change."""

_FIXED_BUT_REGISTRY = ("state", "server")
_IN_ENVIRONMENT = ("username", "password", "token", "ca_file", "workspace")


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

    def moved(self) -> Settings:
        """Return the settings as they are now, with the registry elsewhere; they are not in force yet.

        Raises:
            ConfigurationError: they cannot be used.
            OwnerUnavailable: something else in them needs a restart.
        """
        return _moved(self.settings, self._reread)


def _reloaded(settings: Settings, reread: Callable[[], Settings]) -> Settings:
    """Return the new settings, or the old ones where the new ones cannot be used."""
    try:
        fresh = _usable(reread)
    except ConfigurationError as error:
        log.error("config.refused", error=str(error))
        return settings
    fixed = _changed(settings, fresh, _FIXED)
    if fixed:
        moved = " (if it moved, run 'mlflow-bridge state rebind')" if "registry" in fixed else ""
        log.error("config.refused", error=f"a change of {' and '.join(fixed)} needs a restart{moved}")
        return settings
    log.info("config.reloaded", sinks=[sink.name for sink in fresh.sinks])
    return fresh


def _moved(settings: Settings, reread: Callable[[], Settings]) -> Settings:
    fresh = _usable(reread)
    fixed = _changed(settings, fresh, _FIXED_BUT_REGISTRY) + _withdrawn(settings.registry, fresh.registry)
    if fixed:
        msg = f"a change of {' and '.join(fixed)} needs a restart of the running daemon: stop it first"
        raise OwnerUnavailable(msg)
    return fresh


def _usable(reread: Callable[[], Settings]) -> Settings:
    fresh = reread()
    trigger_of(fresh.poll)
    return fresh


def _changed(before: Settings, after: Settings, sections: tuple[str, ...]) -> list[str]:
    return [part for part in sections if getattr(after, part) != getattr(before, part)]


def _withdrawn(before: RegistrySettings, after: RegistrySettings) -> list[str]:
    """Return what was set and no longer is.

    MLflow takes these from the process' environment, where the old value would stay.
    """
    return [
        f"registry.{key}"
        for key in _IN_ENVIRONMENT
        if getattr(before, key) is not None and getattr(after, key) is None
    ]
