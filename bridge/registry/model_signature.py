"""The signature of a registered model, from the ``MLmodel`` file that MLflow keeps with it.

MLflow, *MLmodel configuration*: YAML, with ``signature`` holding ``inputs``, ``outputs`` and
``params``, each as JSON in a text. An MLflow server hands out files of a version at
``GET /model-versions/get-artifact``, with the server's own access to where they are kept: so
the bridge needs no storage credentials.
"""

import json
from collections.abc import Mapping
from typing import Any

import yaml

_MEMBERS = ("inputs", "outputs", "params")
_OK = 200
_MOST_BYTES = 1 << 20
_PATIENCE_S = 3
"""A server whose storage hangs must not cost the version what else is known of it."""


def read_signature(uri: str, name: str, version: str) -> dict[str, Any] | None:
    """Ask an MLflow server for a version's signature; None where it has none, or does not tell.

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
        max_retries=0,  # a server that cannot read the file answers with 500, again and again
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
    """Return the signature that an ``MLmodel`` file holds, or None where it holds none that can be read."""
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
