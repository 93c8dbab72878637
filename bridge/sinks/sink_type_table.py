"""The table of sink kinds: from a sink's ``type`` to its settings and its constructor."""

from collections.abc import Iterator, Mapping
from functools import cached_property
from importlib import import_module

from bridge.config import SinkSettings
from bridge.sinks.base import Sink, Transport
from bridge.sinks.plugins import entry_points
from bridge.sinks.sink_type_definition import Kind


class _OwnKinds(Mapping[str, Kind]):
    """Kinds that the bridge brings, by name. The module of each is imported on request: most commands need one or none."""

    def __init__(self, modules: Mapping[str, str]) -> None:
        """Take the name of the module that defines each kind, as ``KIND``."""
        self._modules = modules

    def __getitem__(self, name: str) -> Kind:
        kind: Kind = import_module(self._modules[name]).KIND
        return kind

    def __contains__(self, name: object) -> bool:
        return name in self._modules

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __len__(self) -> int:
        return len(self._modules)


_CONFIGURED: Mapping[str, str] = {
    "http": "bridge.sinks.http.http_sink",
    "github_dispatch": "bridge.sinks.github.dispatch_sink",
    "github_workflow": "bridge.sinks.github.workflow_sink",
    "gitlab_pipeline": "bridge.sinks.gitlab.pipeline_sink",
    "jenkins_job": "bridge.sinks.jenkins.job_sink",
}

KINDS: Mapping[str, Kind] = _OwnKinds(_CONFIGURED)
"""The bridge's own kinds; packages add more (`bridge.sinks.plugins.entry_points`)."""

_BUILT_IN: Mapping[str, Kind] = _OwnKinds({**_CONFIGURED, "webhook": "bridge.sinks.http.webhook_sink"})
"""Also the kind that no configuration file can have."""


class Kinds(Mapping[str, type[SinkSettings]]):
    """The settings class of every kind by its name, including those of installed packages; each is loaded on request."""

    @cached_property
    def _registered(self) -> entry_points.Registered:
        return entry_points.registered()

    def kind(self, name: str) -> Kind:
        """Return the kind called ``name``.

        Raises:
            KeyError: there is no such kind.
            ConfigurationError: it comes from a package, and cannot be used.
        """
        points = self._registered.get(name, ())
        if name not in KINDS:
            if not points:
                raise KeyError(name)
            return entry_points.load(name, points)
        if points:
            raise entry_points.taken(name, points)
        return KINDS[name]

    def package(self, name: str) -> str | None:
        """Return name and version of the package that a kind comes from; None for the bridge's own kinds."""
        points = () if name in KINDS else self._registered.get(name, ())
        return entry_points.package_of(points) if points else None

    @property
    def at_hand(self) -> Mapping[str, type[SinkSettings]]:
        """The settings of the kinds that need no package to be loaded."""
        return {name: kind.settings for name, kind in KINDS.items()}

    def __getitem__(self, name: str) -> type[SinkSettings]:
        """Return the settings class of the kind called ``name``; raises as `kind` does."""
        return self.kind(name).settings

    def __contains__(self, name: object) -> bool:
        """Whether there is such a kind; nothing is loaded."""
        return name in KINDS or name in self._registered

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names, in order; nothing is loaded."""
        return iter(sorted({*KINDS, *self._registered}))

    def __len__(self) -> int:
        """Return how many kinds there are."""
        return len({*KINDS, *self._registered})


SETTINGS = Kinds()
"""The table for `bridge.config.build`; installed packages are looked up at its first use."""


def is_http(name: str) -> bool:
    """Whether the kind called ``name`` sends everything through the transport, so that a dry run can hold it back."""
    return _BUILT_IN[name].is_http if name in _BUILT_IN else Kinds().kind(name).is_http


def sink_of(settings: SinkSettings, transport: Transport, timeout_ms: int) -> Sink:
    """Return the sink for ``settings``; a package's sink is guarded (`bridge.sinks.plugins.guarded_sink`)."""
    if settings.type in _BUILT_IN:
        from bridge.sinks.secret_files import FileSecretsSink, SecretFiles  # noqa: PLC0415 - imports asyncio

        built: Sink = _BUILT_IN[settings.type].build(settings, transport, timeout_ms)
        files = SecretFiles(settings, timeout_ms)
        return FileSecretsSink(built, files) if files else built
    from bridge.sinks.plugins.guarded_sink import GuardedSink  # noqa: PLC0415 - imports logging, which few commands need

    kinds = Kinds()
    build = kinds.kind(settings.type).build
    package = kinds.package(settings.type) or ""
    return GuardedSink(settings, package, lambda: build(settings, transport, timeout_ms), timeout_ms)
