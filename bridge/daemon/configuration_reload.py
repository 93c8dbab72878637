"""Reload the configuration: the new settings replace the old ones as a whole, or not at all."""

from collections.abc import Callable
from contextlib import suppress

import structlog

from bridge.config import RegistrySettings, Settings
from bridge.daemon.systemd_notify import notify_ready, notify_reloading
from bridge.errors import ConfigurationError, OwnerUnavailable
from bridge.pipeline.clock_safe_triggers import trigger_of

log = structlog.get_logger(__name__)

_FIXED = ("registry", "state", "server")
"""Sections that a reload cannot change."""

_FIXED_BUT_REGISTRY = ("state", "server")
_IN_ENVIRONMENT = ("username", "password", "token", "ca_file", "workspace")


class Configuration:
    """The settings in force, and the function that reads the file again."""

    def __init__(self, settings: Settings, reread: Callable[[], Settings]) -> None:
        """Start with ``settings``; ``reread`` reads the file again."""
        self.settings = settings
        self.refusal = ""
        """Why the last reload was refused, as a text for people; empty if it was not."""
        self._reread = reread

    def reload(self) -> bool:
        """Read the settings again; return whether they changed. Errors are logged, not raised."""
        with suppress(ConfigurationError):
            return self.take_up()
        return False

    def take_up(self) -> bool:
        """Read the settings again; return whether they changed.

        The service manager is notified of the beginning of the reload, and also of its end if nothing changes;
        otherwise the next `DaemonRun` reports that it is ready.

        Raises:
            ConfigurationError: the settings cannot be used, or need a restart; the old ones stay in force.
        """
        notify_reloading()
        try:
            fresh = _read_reloadable(self.settings, self._reread)
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
        """Read settings in which the registry may have moved; they are not put in force.

        Raises:
            ConfigurationError: the settings cannot be used.
            OwnerUnavailable: another change in them needs a restart.
        """
        return _moved(self.settings, self._reread)


def _read_reloadable(settings: Settings, reread: Callable[[], Settings]) -> Settings:
    """Read the new settings, and check that they can replace ``settings`` without a restart.

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
    """Return the registry keys that were set before and are not any more.

    MLflow reads their values from the process environment, where the old value would stay.
    """
    return [
        f"registry.{key}"
        for key in _IN_ENVIRONMENT
        if getattr(before, key) is not None and getattr(after, key) is None
    ]
