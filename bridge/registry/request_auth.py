"""Signs the requests to an MLflow server with the configured credential, and with no other.

MLflow prefers a user name and password of the environment or of ``~/.mlflow/credentials`` to a token, and
requests prefers those of ``~/.netrc`` to both. An MLflow *request auth provider* is applied last, and sees
each request and answer (MLflow, *Plugins*; requests, *Authentication*).
"""

import os
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from bridge.registry.last_http_exchange import note_answer, note_request

TOKEN, USER, UNCONFIGURED = "mlflow-bridge-token", "mlflow-bridge-user", "mlflow-bridge"
"""Names of the providers, for ``MLFLOW_TRACKING_AUTH``: for a configured token, for a user, and for neither."""


def register_providers() -> None:
    """Register the providers with MLflow's client."""
    from mlflow.tracking.request_auth import registry  # noqa: PLC0415

    providers = registry._request_auth_provider_registry  # noqa: SLF001 - otherwise only an entry point can register one
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
        """Sign a ``requests.PreparedRequest``, and record it and its answer."""
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
    """Apply an entry of ``~/.netrc``, as requests would without a provider; otherwise keep MLflow's header."""
    from requests.auth import HTTPBasicAuth  # noqa: PLC0415
    from requests.utils import get_netrc_auth  # noqa: PLC0415

    found = get_netrc_auth(request.url)
    if found:
        HTTPBasicAuth(*found)(request)


_WAYS = {TOKEN: _with_token, USER: _with_user, UNCONFIGURED: _as_requests_would}


def _secrets(authorization: str | bytes) -> Iterator[str]:
    """Yield the secrets in a header: its credential, and the password in that."""
    text = authorization.decode("latin-1") if isinstance(authorization, bytes) else authorization
    scheme, _, credential = text.partition(" ")
    yield credential
    if scheme.lower() == "basic":
        with suppress(ValueError):
            yield b64decode(credential).decode("utf-8", "replace").partition(":")[2]
