"""Errors of MLflow's own client before it sends a request: what it does not support, and how to correct it."""

import re

from bridge.errors import RegistryError, RegistryRefused

_UNKNOWN_SCHEME = re.compile(
    r"Model [Rr]egistry (functionality is unavailable; got|features are not supported)"
)
_VARIABLE = re.compile(r"(MLFLOW_\w+) value must be one of (\[.*?\])")


def client_fault(error: Exception, uri: str) -> RegistryError | None:
    """Return the error of MLflow's client itself as one of the bridge's errors, or None if it is another error."""
    if _UNKNOWN_SCHEME.match(str(error).lstrip()):
        return RegistryRefused(
            f"{uri} has a scheme that MLflow's client does not know: "
            "is its plug-in installed where the bridge is?"
        )
    if isinstance(error, ModuleNotFoundError):
        package = (error.name or "?").partition(".")[0]
        by = " for MLFLOW_TRACKING_AWS_SIGV4" if "aws_sigv4" in package else ""
        return RegistryRefused(
            f"{uri} cannot be asked: MLflow's client needs the package {package.replace('_', '-')}{by}, which is "
            f"not installed where the bridge is: install it there{', or unset the variable' if by else ''}"
        )
    if str(error).startswith("Invalid url"):
        return RegistryRefused(f"{uri} is no URL that can be asked: check registry.tracking_uri")
    if "'ignore_tls_verification'" in str(error):
        return RegistryRefused(
            f"{uri} cannot be asked: MLFLOW_TRACKING_INSECURE_TLS and MLFLOW_TRACKING_SERVER_CERT_PATH are both set "
            "in the environment, and MLflow's client takes one of them: unset the other"
        )
    variable = _VARIABLE.match(str(error))
    if variable:
        return RegistryRefused(
            f"{uri} cannot be asked: MLflow's client wants one of {variable[2]} in {variable[1]}"
        )
    return None
