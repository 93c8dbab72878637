"""Builds the environment variables that MLflow's client reads at every request, from the settings.

MLflow takes credentials, TLS settings and timeouts only from process-wide variables (MLflow, *Environment
variables*). Variables for which the configuration has no value keep the operator's value.
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
from bridge.config.mlflow_process_environment import given, impose, operators_environment
from bridge.config.tls_environment_variables import warn_of_unusable_key_log
from bridge.errors import ConfigurationError, RegistryUnreachable
from bridge.registry.proxy_environment import proxy_variables
from bridge.registry.request_auth import TOKEN, UNCONFIGURED, USER

_RETRIES = "1"
"""Every poll is a retry of the previous one; MLflow's default of 7 retries takes minutes."""

_WITHOUT_PAUSES = {
    "MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER": "false",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "0",
    "MLFLOW_HTTP_REQUEST_BACKOFF_JITTER": "0",
}
"""Within a request, MLflow's client sleeps as long as ``Retry-After`` says, without any timeout, and cannot be

interrupted. The bridge waits between polls instead.
"""


def set_environment(settings: RegistrySettings, *, retries: bool = True) -> None:
    """Set the variables that `environment` returns.

    Raises:
        SecretUnavailable, ConfigurationError, RegistryUnreachable: as in `environment`.
    """
    impose(environment(settings, retries=retries))


def environment(settings: RegistrySettings, *, retries: bool = True) -> dict[str, str]:
    """Return the variables to set; secrets are read now.

    Configured values replace those of the operator's environment; all others stay. Plug-ins that ask MLflow
    for the process's tracking server get the configured one. ``retries`` says whether MLflow's client repeats
    a request that got no answer.

    Raises:
        SecretUnavailable: a secret is missing from the place that the configuration names.
        ConfigurationError: ``ca_file`` cannot be read, or a proxy of the environment cannot be used.
        RegistryUnreachable: the folder of a file store does not exist.
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
    """Return the variables that make MLflow's client send the configured credential and no other."""
    is_user = settings.username is not None
    if not is_user and settings.token is None:
        return {} if signs_otherwise() else {"MLFLOW_TRACKING_AUTH": UNCONFIGURED}
    return {
        "MLFLOW_TRACKING_AUTH": USER if is_user else TOKEN,
        "MLFLOW_TRACKING_AWS_SIGV4": "false",
        "NETRC": os.devnull,  # requests also uses its entries for redirects
    }


def signs_otherwise() -> bool:
    """Whether the operator's environment asks for another way to sign requests: a plug-in, or AWS's signature."""
    return bool(signing_plugin()) or signs_for_aws()


def signing_plugin() -> str:
    """Return the plug-in that the operator's environment names, unless it is one of the bridge's own."""
    named = given("MLFLOW_TRACKING_AUTH") or ""
    return "" if named in {TOKEN, USER, UNCONFIGURED} else named


def signs_for_aws() -> bool:
    """Whether the operator's environment asks for AWS's signature (by the rule with which MLflow reads it)."""
    return (given("MLFLOW_TRACKING_AWS_SIGV4") or "").lower() in {"true", "1"}


def _whole_seconds(milliseconds: int) -> str:
    return str(max(1, math.ceil(milliseconds / 1000)))


def _token_name(settings: RegistrySettings) -> str:
    """Return the variable from which MLflow takes the bearer token for this kind of registry."""
    if is_databricks(settings.uri):
        return "DATABRICKS_TOKEN"
    return "MLFLOW_UC_OSS_TOKEN" if is_unity_catalog(settings.uri) else "MLFLOW_TRACKING_TOKEN"


def _of_this_kind(settings: RegistrySettings, known: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that only some kinds of registries need, given the variables ``known`` so far."""
    if folder_of(settings.uri) is not None:
        # MLflow requires this consent. Its file store also asks the process's tracking server for each
        # version's metrics.
        return {"MLFLOW_ALLOW_FILE_STORE": "true", "MLFLOW_TRACKING_URI": settings.uri}
    # Databricks' SDK retries a refused connection, or a rate limit, for 500 s by default.
    patience = {"MLFLOW_DATABRICKS_ENDPOINT_HTTP_RETRY_TIMEOUT": _whole_seconds(settings.timeout)}
    if is_databricks(settings.uri) and known.get("DATABRICKS_TOKEN"):
        # With a token, MLflow needs no SDK, which has retries of its own. Other ways to sign in need it, and
        # the operator may enable it.
        sdk = {"MLFLOW_ENABLE_DB_SDK": known.get("MLFLOW_ENABLE_DB_SDK", "false")}
        return {**patience, **sdk, **_with_token_alone(settings)}
    return patience if is_databricks(settings.uri) else {}


def _with_token_alone(settings: RegistrySettings) -> dict[str, str]:
    """Keep MLflow and Databricks' SDK from using another credential than the configured token."""
    if settings.token is None:
        return {}
    return {"DATABRICKS_USERNAME": "", "DATABRICKS_PASSWORD": "", "DATABRICKS_AUTH_TYPE": "pat"}


def _check_files(settings: RegistrySettings) -> None:
    if settings.ca_file is not None and not os.access(settings.ca_file, os.R_OK):
        problem = f"registry.ca_file: {settings.ca_file} cannot be read: check the path and its permissions"
        raise ConfigurationError([problem])
    folder = folder_of(settings.uri)
    if folder is not None and not (Path(folder) / "models").is_dir():
        # MLflow would create both folders. Then a typing error, or a disk that is not mounted, would look
        # like a registry from which every model has vanished.
        raise RegistryUnreachable(
            f"{settings.uri} is no file store with a model registry (it has no folder models): "
            "check the path, and that it is mounted"
        )
