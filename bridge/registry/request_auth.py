"""Who signs the requests to an MLflow server: the configured credential, whatever else there is.

MLflow sends a user name and password of the environment or of ``~/.mlflow/credentials`` before a token, and
requests sends those of ``~/.netrc`` before either. A *request auth provider* of MLflow's has the last word,
and sees each request and answer (MLflow, *Plugins*; requests, *Authentication*).
"""

import os
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from bridge.registry.last_http_exchange import note_answer, note_request

TOKEN, USER, UNCONFIGURED = "mlflow-bridge-token", "mlflow-bridge-user", "mlflow-bridge"
"""Names of providers, for ``MLFLOW_TRACKING_AUTH``: the configuration has a token, a user, or neither."""


def register_providers() -> None:
    """Let MLflow's client know the providers."""
    from mlflow.tracking.request_auth import registry  # noqa: PLC0415

    providers = registry._request_auth_provider_registry  # noqa: SLF001 - else only an entry point reaches it
    known = {provider.get_name() for provider in providers}
    for name, authorize in _WAYS.items():
        if name not in known:
            providers.register(lambda name=name, authorize=authorize: _Provider(name, authorize))


class _Provider:
    """A ``mlflow.tracking.request_auth.abstract_request_auth_provider.RequestAuthProvider``."""

    def __init__(self, name: str, authorize: Callable[[Any], None]) -> None:
        self._name = name
        self._authorize = authorize

    def get_name(self) -> str:
        return self._name

    def get_auth(self) -> Callable[[Any], Any]:
        return self._sign

    def _sign(self, request: Any) -> Any:
        """Sign a ``requests.PreparedRequest``, and see what comes of it."""
        self._authorize(request)
        note_request(request.method, request.url, list(_secrets(request.headers.get("Authorization", ""))))
        request.register_hook("response", note_answer)
        return request


def _with_token(request: Any) -> None:
    request.headers["Authorization"] = f"Bearer {os.environ['MLFLOW_TRACKING_TOKEN']}"


def _with_user(request: Any) -> None:
    pair = f"{os.environ['MLFLOW_TRACKING_USERNAME']}:{os.environ['MLFLOW_TRACKING_PASSWORD']}"
    request.headers["Authorization"] = f"Basic {b64encode(pair.encode()).decode()}"


def _as_requests_would(request: Any) -> None:
    """Leave what MLflow put there, but for an entry of ``~/.netrc``: without us, requests would take that."""
    from requests.auth import HTTPBasicAuth  # noqa: PLC0415
    from requests.utils import get_netrc_auth  # noqa: PLC0415

    found = get_netrc_auth(request.url)
    if found:
        HTTPBasicAuth(*found)(request)


_WAYS = {TOKEN: _with_token, USER: _with_user, UNCONFIGURED: _as_requests_would}


def _secrets(authorization: str | bytes) -> Iterator[str]:
    """Yield what must not show of a header: its credential, and the password in that."""
    text = authorization.decode("latin-1") if isinstance(authorization, bytes) else authorization
    scheme, _, credential = text.partition(" ")
    yield credential
    if scheme.lower() == "basic":
        with suppress(ValueError):
            yield b64decode(credential).decode("utf-8", "replace").partition(":")[2]
