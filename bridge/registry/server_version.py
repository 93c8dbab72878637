"""Reads the version that an MLflow server reports."""

import re

_LONGEST = 40
_VERSION = re.compile(r"\d+\.\d[\w.+-]*", re.ASCII)
_OK = 200


def server_version(uri: str) -> str:
    """Return the name and version of the server at ``uri``, or an empty string if it gives none.

    See MLflow, *GET /version*. A registry that is not reached over HTTP gives none. The request goes through
    MLflow's own client code, with its credentials, headers and TLS.
    """
    if not uri.startswith(("http://", "https://")):
        return ""
    from mlflow.utils.credentials import get_default_host_creds  # noqa: PLC0415
    from mlflow.utils.rest_utils import http_request  # noqa: PLC0415

    answer = http_request(get_default_host_creds(uri), "/version", "GET", raise_on_status=False)
    text = answer.text.strip() if answer.status_code == _OK else ""
    is_version = len(text) <= _LONGEST and _VERSION.fullmatch(text) is not None
    return f"MLflow {text}" if is_version else ""
