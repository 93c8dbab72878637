"""The environment that MLflow's client reads at every request, from the settings.

MLflow takes credentials, TLS and timeouts from process-wide variables only (MLflow,
*Environment variables*). What the configuration does not say stays as the operator set it.
"""

import math
import os

from bridge.config import RegistrySettings, reveal
from bridge.errors import ConfigurationError

_RETRIES = "1"
"""Every poll is a retry of the one before; MLflow's default of 7 hangs for minutes."""


def environment(settings: RegistrySettings) -> dict[str, str]:
    """Return the variables to set; secrets are read now.

    Raises:
        SecretUnavailable: a secret is not where the configuration says.
        ConfigurationError: ``ca_file`` cannot be read.
    """
    variables = {
        "MLFLOW_HTTP_REQUEST_TIMEOUT": str(max(1, math.ceil(settings.timeout / 1000))),
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": _RETRIES,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
    }
    secrets = {
        "MLFLOW_TRACKING_USERNAME": ("registry.username", settings.username),
        "MLFLOW_TRACKING_PASSWORD": ("registry.password", settings.password),
        "MLFLOW_TRACKING_TOKEN": ("registry.token", settings.token),
    }
    plain = {
        "MLFLOW_TRACKING_SERVER_CERT_PATH": settings.ca_file,
        "MLFLOW_WORKSPACE": settings.workspace,
    }
    if settings.ca_file is not None and not os.access(settings.ca_file, os.R_OK):
        problem = f"registry.ca_file: {settings.ca_file} cannot be read: check the path and its permissions"
        raise ConfigurationError([problem])
    variables.update({name: reveal(*keyed) for name, keyed in secrets.items() if keyed[1] is not None})
    variables.update({name: value for name, value in plain.items() if value is not None})
    return variables


def workspace(settings: RegistrySettings) -> str | None:
    """Return the workspace that requests go to, or None for the default one."""
    return settings.workspace or os.environ.get("MLFLOW_WORKSPACE") or None
