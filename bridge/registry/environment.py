"""The environment that MLflow's client reads at every request, from the settings.

MLflow takes credentials, TLS and timeouts from process-wide variables only (MLflow,
*Environment variables*). What the configuration does not say stays as the operator set it.
"""

import math
import os
from collections.abc import Mapping
from pathlib import Path

from bridge.config import (
    RegistrySettings,
    folder_of,
    is_databricks,
    is_unity_catalog,
    reveal,
)
from bridge.errors import ConfigurationError, RegistryUnreachable

_RETRIES = "1"
"""Every poll is a retry of the one before; MLflow's default of 7 hangs for minutes."""

_WITHOUT_PAUSES = {
    "MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER": "false",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "0",
    "MLFLOW_HTTP_REQUEST_BACKOFF_JITTER": "0",
}
"""MLflow's client sleeps within a request, for as long as ``Retry-After`` says, whatever the timeout:
nothing ends that. The bridge waits between polls."""


def environment(settings: RegistrySettings, *, retries: bool = True) -> dict[str, str]:
    """Return the variables to set; secrets are read now.

    ``retries`` says whether MLflow's client makes a request again that got no answer.

    Raises:
        SecretUnavailable: a secret is not where the configuration says.
        ConfigurationError: ``ca_file`` cannot be read.
        RegistryUnreachable: a file store's folder is not there.
    """
    _check_files(settings)
    variables = {
        "MLFLOW_HTTP_REQUEST_TIMEOUT": _whole_seconds(settings.timeout),
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": _RETRIES if retries else "0",
        **_WITHOUT_PAUSES,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
    }
    secrets = {
        "MLFLOW_TRACKING_USERNAME": ("registry.username", settings.username),
        "MLFLOW_TRACKING_PASSWORD": ("registry.password", settings.password),
        _token_name(settings): ("registry.token", settings.token),
    }
    plain = {
        "MLFLOW_TRACKING_SERVER_CERT_PATH": settings.ca_file,
        "MLFLOW_WORKSPACE": settings.workspace,
    }
    variables.update({name: reveal(*keyed) for name, keyed in secrets.items() if keyed[1] is not None})
    variables.update({name: value for name, value in plain.items() if value is not None})
    variables.update(_of_this_kind(settings, {**os.environ, **variables}))
    return variables


def _whole_seconds(milliseconds: int) -> str:
    return str(max(1, math.ceil(milliseconds / 1000)))


def _token_name(settings: RegistrySettings) -> str:
    """Return the variable from which MLflow takes the bearer token for this kind of registry."""
    if is_databricks(settings.uri):
        return "DATABRICKS_TOKEN"
    return "MLFLOW_UC_OSS_TOKEN" if is_unity_catalog(settings.uri) else "MLFLOW_TRACKING_TOKEN"


def _of_this_kind(settings: RegistrySettings, known: Mapping[str, str]) -> dict[str, str]:
    """Return what only some kinds of registries need, given the variables ``known`` so far."""
    if folder_of(settings.uri) is not None:
        # MLflow asks for the consent. And its file store asks the process' default tracking server
        # for each version's metrics: by default a database that it makes in the working directory.
        return {"MLFLOW_ALLOW_FILE_STORE": "true", "MLFLOW_TRACKING_URI": settings.uri}
    # Databricks' SDK tries a refused connection, and a rate limit, for 500 s unless told otherwise.
    patience = {"MLFLOW_DATABRICKS_ENDPOINT_HTTP_RETRY_TIMEOUT": _whole_seconds(settings.timeout)}
    if is_databricks(settings.uri) and known.get("DATABRICKS_TOKEN"):
        # A token needs no SDK, which retries in ways of its own; its other ways to sign in do, and so may the operator.
        return {**patience, "MLFLOW_ENABLE_DB_SDK": known.get("MLFLOW_ENABLE_DB_SDK", "false")}
    return patience if is_databricks(settings.uri) else {}


def _check_files(settings: RegistrySettings) -> None:
    if settings.ca_file is not None and not os.access(settings.ca_file, os.R_OK):
        problem = f"registry.ca_file: {settings.ca_file} cannot be read: check the path and its permissions"
        raise ConfigurationError([problem])
    folder = folder_of(settings.uri)
    if folder is not None and not (Path(folder) / "models").is_dir():
        # MLflow would make both: a slip of the pen, or a disk that is not mounted, would then be
        # a registry from which every model has vanished.
        raise RegistryUnreachable(
            f"{settings.uri} is no file store with a model registry (it has no folder models): "
            "check the path, and that it is mounted"
        )


def workspace(settings: RegistrySettings) -> str | None:
    """Return the workspace that requests go to, or None for the default one."""
    return settings.workspace or os.environ.get("MLFLOW_WORKSPACE") or None
