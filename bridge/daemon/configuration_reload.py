"""Reading the configuration again: all of it, or nothing."""

from collections.abc import Callable
from contextlib import suppress

import structlog

from bridge.config import RegistrySettings, Settings
from bridge.daemon.systemd_notify import notify_ready, notify_reloading
from bridge.errors import ConfigurationError, OwnerUnavailable
from bridge.pipeline.poll_triggers import trigger_of

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
        self.refusal = ""
        """Why the file as it is now was refused, if it was; in words for people."""
        self._reread = reread

    def reload(self) -> bool:
        """Read the settings again; return whether others are in force now. What is wrong with them is logged."""
        with suppress(ConfigurationError):
            return self.take_up()
        return False

    def take_up(self) -> bool:
        """Read the settings again; return whether others are in force now.

        The service manager is told of the beginning, and of the end where nothing changes; else it is
        for the next life to say that it is ready.

        Raises:
            ConfigurationError: they cannot be used, or need a restart; the old ones stay in force.
        """
        notify_reloading()
        try:
            fresh = _fit(self.settings, self._reread)
        except ConfigurationError as error:
            self.refusal = f"configuration refused, the one before stays in force: {error}"
            log.error("config.refused", error=str(error))
            notify_ready(self.refusal)
            raise
        self.refusal = ""
        log.info("config.reloaded", sinks=[sink.name for sink in fresh.sinks])
        before, self.settings = self.settings, fresh
        if fresh != before:
            return True
        notify_ready()
        return False

    def moved(self) -> Settings:
        """Return the settings as they are now, with the registry elsewhere; they are not in force yet.

        Raises:
            ConfigurationError: they cannot be used.
            OwnerUnavailable: something else in them needs a restart.
        """
        return _moved(self.settings, self._reread)


def _fit(settings: Settings, reread: Callable[[], Settings]) -> Settings:
    """Return the new settings, where they can take the place of ``settings``.

    Raises:
        ConfigurationError: they cannot.
    """
    fresh = _usable(reread)
    fixed = _changed(settings, fresh, _FIXED)
    if fixed:
        moved = " (if it moved, run 'mlflow-bridge state rebind')" if "registry" in fixed else ""
        raise ConfigurationError([f"a change of {' and '.join(fixed)} needs a restart{moved}"])
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
