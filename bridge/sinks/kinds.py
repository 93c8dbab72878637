"""The table of kinds: a sink's ``type`` → its settings and its constructor."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bridge.config import SinkSettings
from bridge.sinks.base import Sink, Transport
from bridge.sinks.github_dispatch import GithubDispatchSettings, GithubDispatchSink
from bridge.sinks.github_workflow import GithubWorkflowSettings, GithubWorkflowSink
from bridge.sinks.gitlab_pipeline import GitlabPipelineSettings, GitlabPipelineSink
from bridge.sinks.http import HttpSettings, HttpSink
from bridge.sinks.jenkins_job import JenkinsJobSettings, JenkinsJobSink


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of sink: its settings class, and what builds one from settings."""

    settings: type[SinkSettings]
    build: Callable[[Any, Transport, int], Sink]


KINDS: Mapping[str, Kind] = {
    "http": Kind(HttpSettings, HttpSink),
    "github_dispatch": Kind(GithubDispatchSettings, GithubDispatchSink),
    "github_workflow": Kind(GithubWorkflowSettings, GithubWorkflowSink),
    "gitlab_pipeline": Kind(GitlabPipelineSettings, GitlabPipelineSink),
    "jenkins_job": Kind(JenkinsJobSettings, JenkinsJobSink),
}

SETTINGS: Mapping[str, type[SinkSettings]] = {name: kind.settings for name, kind in KINDS.items()}
