"""The table of kinds: a sink's ``type`` → its settings and its constructor."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bridge.config import SinkSettings
from bridge.sinks.base import Sink, Transport
from bridge.sinks.github_dispatch import GithubDispatchSettings, GithubDispatchSink
from bridge.sinks.http import HttpSettings, HttpSink


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of sink: its settings class, and what builds one from settings."""

    settings: type[SinkSettings]
    build: Callable[[Any, Transport, int], Sink]


KINDS: Mapping[str, Kind] = {
    "http": Kind(HttpSettings, HttpSink),
    "github_dispatch": Kind(GithubDispatchSettings, GithubDispatchSink),
}

SETTINGS: Mapping[str, type[SinkSettings]] = {name: kind.settings for name, kind in KINDS.items()}
