"""The settings of the registry connection, and where each value comes from. Secrets are not shown."""

import os
from collections.abc import Collection, Iterator
from configparser import ConfigParser, Error
from contextlib import suppress
from dataclasses import dataclass
from netrc import NetrcParseError, netrc
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bridge.config import (
    RegistrySettings,
    folder_of,
    is_database,
    is_databricks,
    is_unity_catalog,
    without_login,
    workspace_of,
)
from bridge.config.mlflow_process_environment import given
from bridge.registry.mlflow_client_variables import signing_plugin, signs_for_aws

_CREDENTIALS = "~/.mlflow/credentials"
_USER, _PASSWORD = "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"


@dataclass(frozen=True, slots=True)
class Sourced:
    """One setting of the registry connection.

    Attributes:
        what: the name of the setting.
        value: the value in use; of a credential, its kind.
        source: where the value comes from.
        not_used: other places with a value, which this one takes precedence over.
    """

    what: str
    value: str
    source: str
    not_used: tuple[str, ...] = ()

    def to_document(self) -> dict[str, Any]:
        """Return the setting as plain JSON values."""
        return {"value": self.value, "from": self.source, "not_from": list(self.not_used)}

    def __str__(self) -> str:
        """Return the setting in words."""
        others = f" (not {', nor '.join(self.not_used)})" if self.not_used else ""
        return f"{self.what}: {self.value}, from {self.source}{others}"


def registry_sources(settings: RegistrySettings, from_environment: Collection[str]) -> list[Sourced]:
    """Return the settings in use with their sources; ``from_environment`` are the keys that the environment gave."""
    parts = [
        Sourced(
            "tracking_uri", without_login(settings.tracking_uri), _source("tracking_uri", from_environment)
        ),
        *_registry(settings, from_environment),
        *_workspace(settings),
    ]
    if folder_of(settings.uri) is None and not is_database(settings.uri):
        parts += [_credential(settings), *_tls(settings)]
    return parts


def _source(key: str, from_environment: Collection[str]) -> str:
    return f"MLFLOW_{key.upper()} of the environment" if key in from_environment else f"registry.{key}"


def _registry(settings: RegistrySettings, from_environment: Collection[str]) -> Iterator[Sourced]:
    if settings.registry_uri:
        yield Sourced(
            "registry_uri", without_login(settings.registry_uri), _source("registry_uri", from_environment)
        )


def _workspace(settings: RegistrySettings) -> Iterator[Sourced]:
    found = workspace_of(settings.workspace)
    if found:
        source = "registry.workspace" if settings.workspace else "MLFLOW_WORKSPACE of the environment"
        yield Sourced("workspace", found, source)


def _credential(settings: RegistrySettings) -> Sourced:
    """Return the credential that is sent, as `bridge.registry.request_auth` and MLflow's client choose it."""
    found = [
        (kind, source) for kind, source in (*_configured(settings), *_of_environment(settings)) if source
    ]
    if not found:
        return Sourced("credential", "none", "nothing names one")
    (kind, source), *others = found
    return Sourced("credential", kind, source, tuple(other for _, other in others))


def _configured(settings: RegistrySettings) -> Iterator[tuple[str, str]]:
    if settings.username is not None:
        yield "user name and password", f"registry.username, registry.password ({settings.password})"
    if settings.token is not None:
        yield "bearer token", f"registry.token ({settings.token})"


def _of_environment(settings: RegistrySettings) -> Iterator[tuple[str, str]]:
    """Yield the credentials that MLflow's client would send by itself, in its order; a missing one has no source."""
    if is_databricks(settings.uri):
        yield from _of_databricks(settings.uri)
        return
    if is_unity_catalog(settings.uri):
        yield "bearer token", _set("MLFLOW_UC_OSS_TOKEN")
        return
    yield "AWS signature version 4", _set("MLFLOW_TRACKING_AWS_SIGV4") if signs_for_aws() else ""
    plugin = signing_plugin()
    yield f"plug-in {plugin}", _set("MLFLOW_TRACKING_AUTH") if plugin else ""
    yield "user name and password", _netrc(urlsplit(settings.uri).hostname or "")
    yield "user name and password", _user()
    yield "bearer token", _set("MLFLOW_TRACKING_TOKEN")


def _of_databricks(uri: str) -> Iterator[tuple[str, str]]:
    profile = uri.partition("://")[2] or given("DATABRICKS_CONFIG_PROFILE")
    yield f"profile {profile}", "~/.databrickscfg" if profile else ""
    yield "bearer token", _set("DATABRICKS_TOKEN")
    yield "OAuth client", _set("DATABRICKS_CLIENT_ID")
    yield "user name and password", _set("DATABRICKS_USERNAME")
    yield "Databricks' own sign-in", "DATABRICKS_* of the environment, or ~/.databrickscfg"


def _set(variable: str) -> str:
    return f"{variable} of the environment" if given(variable) else ""


def _netrc(host: str) -> str:
    """Return the file that has an entry for ``host``, found as requests finds it."""
    named = given("NETRC")
    for place in (named,) if named else ("~/.netrc", "~/_netrc"):
        with suppress(OSError, NetrcParseError, UnicodeDecodeError):
            return place if netrc(Path(place).expanduser()).authenticators(host) else ""
    return ""


def _user() -> str:
    """Return where user name and password come from: each from the environment, else from MLflow's file."""
    file: dict[str, str] = {}
    with suppress(OSError, Error, KeyError, RuntimeError, UnicodeDecodeError):
        parser = ConfigParser()
        parser.read(Path(_CREDENTIALS).expanduser())
        file = dict(parser["mlflow"])
    places = [_set(name) or (_CREDENTIALS if file.get(name.lower()) else "") for name in (_USER, _PASSWORD)]
    return ", ".join(dict.fromkeys(places)) if all(places) else ""


def _tls(settings: RegistrySettings) -> Iterator[Sourced]:
    client = given("MLFLOW_TRACKING_CLIENT_CERT_PATH")
    if client:
        yield Sourced("client_certificate", client, "MLFLOW_TRACKING_CLIENT_CERT_PATH of the environment")
    if settings.uri.startswith("https://"):
        yield Sourced("ca_file", *_authorities(settings))


def _authorities(settings: RegistrySettings) -> tuple[str, str]:
    if settings.ca_file is not None:
        return settings.ca_file, "registry.ca_file"
    if (given("MLFLOW_TRACKING_INSECURE_TLS") or "").lower() in {"true", "1"}:
        return "none: any certificate is taken", "MLFLOW_TRACKING_INSECURE_TLS of the environment"
    for name in ("MLFLOW_TRACKING_SERVER_CERT_PATH", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        if given(name):
            return os.environ[name], f"{name} of the environment"
    return "the usual authorities", "the package certifi"
