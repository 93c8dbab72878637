"""Reads the signature of a registered model from the ``MLmodel`` file that MLflow stores with it.

The file is YAML (MLflow, *MLmodel configuration*); ``signature`` holds ``inputs``, ``outputs`` and
``params``, each as JSON in a text. An MLflow server returns the files of a version at ``GET
/model-versions/get-artifact``, with its own access to their storage. So the bridge needs no storage
credentials.
"""

import json
from collections.abc import Mapping
from typing import Any

import yaml

_MEMBERS = ("inputs", "outputs", "params")
_OK = 200
_MOST_BYTES = 1 << 20
_PATIENCE_S = 3
"""If a server's storage hangs, the other details of the version must not be delayed by it."""


def read_signature(uri: str, name: str, version: str) -> dict[str, Any] | None:
    """Ask an MLflow server for a version's signature; None if it has none, or does not give it.

    The request goes through MLflow's own client code, with its credentials, headers and TLS.
    """
    if not uri.startswith(("http://", "https://")):
        return None
    from mlflow.utils.credentials import get_default_host_creds  # noqa: PLC0415
    from mlflow.utils.rest_utils import http_request  # noqa: PLC0415

    answer = http_request(
        get_default_host_creds(uri),
        "/model-versions/get-artifact",
        "GET",
        raise_on_status=False,
        timeout=_PATIENCE_S,
        max_retries=0,  # a server that cannot read the file answers 500 each time
        params={"name": name, "version": version, "path": "MLmodel"},
        stream=True,
    )
    with answer:
        if answer.status_code != _OK:
            return None
        content = b""
        for chunk in answer.iter_content(1 << 16):
            content += chunk
            if len(content) > _MOST_BYTES:
                return None
    return signature_in(content)


def signature_in(content: bytes) -> dict[str, Any] | None:
    """Return the signature in an ``MLmodel`` file, or None if there is none that can be read."""
    try:
        document = yaml.load(content, Loader=_LOADER)  # noqa: S506 - a safe loader, in C where there is one
    except (yaml.YAMLError, ValueError, RecursionError):
        return None
    found = document.get("signature") if isinstance(document, Mapping) else None
    if not isinstance(found, Mapping):
        return None
    return {member: _decoded(found.get(member)) for member in _MEMBERS}


def _decoded(text: object) -> Any:
    try:
        return json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        return None


_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
