"""Finds the kinds of sinks of installed packages by their entry points, and loads them when they are needed.

Finding them reads the packages' metadata and imports nothing. Only the kind that a configuration names is
loaded.
"""

from collections.abc import Iterator, Mapping
from importlib import invalidate_caches
from importlib.metadata import EntryPoint, entry_points

from bridge.config import SinkSettings
from bridge.errors import ConfigurationError
from bridge.sinks.sink_type_definition import INTERFACE, Kind

GROUP = "mlflow_bridge.sinks"
"""The group of entry points in which packages register kinds of sinks, each under its ``type``."""

Registered = Mapping[str, tuple[EntryPoint, ...]]
"""The entry points registered under each name; more than one is an error."""

_loaded: dict[EntryPoint, Kind] = {}


def registered() -> Registered:
    """Return the entry points of the installed packages."""
    found: dict[str, tuple[EntryPoint, ...]] = {}
    for point in entry_points(group=GROUP):
        found[point.name] = (*found.get(point.name, ()), point)
    return found


def package_of(points: tuple[EntryPoint, ...]) -> str:
    """Return the name and version of the package (or packages) that ``points`` come from."""
    return " and ".join(sorted(f"{_name(point)} {_version(point)}" for point in points))


def load(name: str, points: tuple[EntryPoint, ...]) -> Kind:
    """Return the kind registered as ``name``; its package is imported now.

    Raises:
        ConfigurationError: it cannot be used; the message names the package and what to do.
    """
    if len(points) > 1:
        several = package_of(points)
        raise ConfigurationError(
            [f"{name!r} is registered more than once, by {several}: uninstall all but one"]
        )
    (point,) = points
    if point not in _loaded:
        value = _import(name, point)
        for fault in _faults(value):
            raise ConfigurationError([f"{name!r} comes from {package_of(points)}, {fault}"])
        _loaded[point] = value
    return _loaded[point]


def taken(name: str, points: tuple[EntryPoint, ...]) -> ConfigurationError:
    """Return the error for a package that registers ``name``, which is one of the bridge's own kinds."""
    packages = package_of(points)
    return ConfigurationError(
        [f"{name!r} is a type of the bridge's own, and {packages} registers another: uninstall that package"]
    )


def _import(name: str, point: EntryPoint) -> Kind:
    invalidate_caches()  # it may have been installed since the process last looked
    try:
        value: Kind = point.load()
    except (Exception, SystemExit) as error:  # noqa: BLE001 - code of a third party may raise anything
        text = f": {error}" if isinstance(error, ImportError | AttributeError) else ""
        module = point.value.partition(":")[0]
        problem = (
            f"{name!r} comes from {package_of((point,))}, which cannot be imported ({type(error).__name__}{text}): "
            f"upgrade or reinstall it (pip install --upgrade {_name(point)}) where the bridge is installed; "
            f'python -c "import {module}" shows where it fails'
        )
        raise ConfigurationError([problem]) from None
    return value


def _faults(value: object) -> Iterator[str]:
    """Yield what is wrong with the value that a package registers."""
    if not isinstance(value, Kind):
        yield (
            f"which registers a {type(value).__name__} where a bridge.plugin.Kind belongs: upgrade the package, "
            "or tell its authors"
        )
    elif value.interface != INTERFACE:
        mend = "upgrade mlflow-bridge" if value.interface > INTERFACE else "upgrade the package"
        yield (
            f"which is written for version {value.interface} of the sinks' interface; "
            f"this bridge has version {INTERFACE}: {mend}"
        )
    elif not _is_settings(value.settings) or not callable(value.build):
        yield "whose Kind is not made of a subclass of bridge.plugin.SinkSettings and a callable: tell its authors"


def _is_settings(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, SinkSettings)


def _name(point: EntryPoint) -> str:
    return point.dist.name if point.dist else "an unknown package"


def _version(point: EntryPoint) -> str:
    return point.dist.version if point.dist else "of no version"
