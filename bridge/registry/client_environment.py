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
from bridge.config.environment_overrides import given, impose, operators_environment
from bridge.config.tls_environment import warn_of_unusable_key_log
from bridge.errors import ConfigurationError, RegistryUnreachable
from bridge.registry.proxy_environment import proxy_variables
from bridge.registry.request_auth import TOKEN, UNCONFIGURED, USER

_RETRIES = "1"
"""Every poll is a retry of the one before; MLflow's default of 7 hangs for minutes."""

_WITHOUT_PAUSES = {
    "MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER": "false",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "0",
    "MLFLOW_HTTP_REQUEST_BACKOFF_JITTER": "0",
}
"""MLflow's client sleeps within a request, for as long as ``Retry-After`` says, whatever the timeout:
nothing ends that. The bridge waits between polls."""


def set_environment(settings: RegistrySettings, *, retries: bool = True) -> None:
    """Set the variables that `environment` returns.

    Raises:
        SecretUnavailable, ConfigurationError, RegistryUnreachable: as `environment`.
    """
    impose(environment(settings, retries=retries))


def environment(settings: RegistrySettings, *, retries: bool = True) -> dict[str, str]:
    """Return the variables to set; secrets are read now.

    What the configuration names is what MLflow's client sends; what it does not name stays as the operator's
    environment has it. Plug-ins that ask MLflow for the process' tracking server get the configured one.
    ``retries`` says whether MLflow's client makes a request again that got no answer.

    Raises:
        SecretUnavailable: a secret is not where the configuration says.
        ConfigurationError: ``ca_file`` cannot be read, or a proxy of the environment cannot be used.
        RegistryUnreachable: a file store's folder is not there.
    """
    _check_files(settings)
    warn_of_unusable_key_log()
    variables = {
        "MLFLOW_HTTP_REQUEST_TIMEOUT": _whole_seconds(settings.timeout),
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": _RETRIES if retries else "0",
        **_WITHOUT_PAUSES,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        "MLFLOW_TRACKING_URI": settings.tracking_uri,
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
    variables.update(proxy_variables((settings.uri, settings.tracking_uri), operators_environment()))
    if given("MLFLOW_REGISTRY_URI"):  # else MLflow derives it from the tracking server
        variables["MLFLOW_REGISTRY_URI"] = settings.uri
    if settings.ca_file is not None:  # MLflow refuses both at once
        variables["MLFLOW_TRACKING_INSECURE_TLS"] = "false"
    variables.update(_signing(settings))
    variables.update(_of_this_kind(settings, {**os.environ, **variables}))
    return variables


def _signing(settings: RegistrySettings) -> dict[str, str]:
    """Return what makes the configured credential the one that is sent, whatever others there are."""
    is_user = settings.username is not None
    if not is_user and settings.token is None:
        return {} if signs_otherwise() else {"MLFLOW_TRACKING_AUTH": UNCONFIGURED}
    return {
        "MLFLOW_TRACKING_AUTH": USER if is_user else TOKEN,
        "MLFLOW_TRACKING_AWS_SIGV4": "false",
        "NETRC": os.devnull,  # requests takes an entry of it for redirects as well
    }


def signs_otherwise() -> bool:
    """Whether the operator's environment names a plug-in, or AWS' signature, for the signing of requests."""
    return bool(signing_plugin()) or signs_for_aws()


def signing_plugin() -> str:
    """Return the plug-in that the operator's environment names; a process that started this one may name ours."""
    named = given("MLFLOW_TRACKING_AUTH") or ""
    return "" if named in {TOKEN, USER, UNCONFIGURED} else named


def signs_for_aws() -> bool:
    """Whether the operator's environment asks for AWS' signature (MLflow reads the variable so)."""
    return (given("MLFLOW_TRACKING_AWS_SIGV4") or "").lower() in {"true", "1"}


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
        # MLflow asks for the consent. And its file store asks the process' tracking server for each
        # version's metrics.
        return {"MLFLOW_ALLOW_FILE_STORE": "true", "MLFLOW_TRACKING_URI": settings.uri}
    # Databricks' SDK tries a refused connection, and a rate limit, for 500 s unless told otherwise.
    patience = {"MLFLOW_DATABRICKS_ENDPOINT_HTTP_RETRY_TIMEOUT": _whole_seconds(settings.timeout)}
    if is_databricks(settings.uri) and known.get("DATABRICKS_TOKEN"):
        # A token needs no SDK, which retries in ways of its own; its other ways to sign in do, and so may the operator.
        sdk = {"MLFLOW_ENABLE_DB_SDK": known.get("MLFLOW_ENABLE_DB_SDK", "false")}
        return {**patience, **sdk, **_with_token_alone(settings)}
    return patience if is_databricks(settings.uri) else {}


def _with_token_alone(settings: RegistrySettings) -> dict[str, str]:
    """Keep MLflow and Databricks' SDK from signing in otherwise than with the configured token."""
    if settings.token is None:
        return {}
    return {"DATABRICKS_USERNAME": "", "DATABRICKS_PASSWORD": "", "DATABRICKS_AUTH_TYPE": "pat"}


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
