"""Requests to a registry through MLflow's own client, one at a time, within a deadline."""

import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from operator import methodcaller
from typing import Any, TypeVar

from bridge.config import RegistrySettings
from bridge.diff.doubts import Absence
from bridge.errors import BridgeError, RegistryError, RegistryRefused
from bridge.registry.base import Deadline
from bridge.registry.environment import set_environment
from bridge.registry.failures import is_absence, is_refusal, no_mlflow, translate
from bridge.registry.http_exchange import forget_exchange
from bridge.registry.proxy_failures import with_proxy
from bridge.registry.request_auth import register_providers

T = TypeVar("T")


class Connection:
    """A client that is made on first use, and asked within a deadline."""

    def __init__(self, settings: RegistrySettings) -> None:
        """Remember where the registry is; nothing is asked yet."""
        self.settings = settings
        self._client: Any = None

    def prepare(self) -> None:
        """Import MLflow, with what it would import at its first request."""
        set_environment(self.settings)
        _import_client()

    def call(self, deadline: Deadline, request: Callable[[Any], T]) -> T:
        """Make one request.

        Raises:
            RegistryError: it got no usable answer, or the deadline has passed.
        """
        try:
            return self._request(deadline, request)
        except BridgeError:
            raise
        except Exception as error:
            raise with_proxy(translate(error, self.settings.uri), error, self.settings.uri) from error

    def point_read(self, deadline: Deadline, request: Callable[[Any], T]) -> T | Absence:
        """Make a request for one object; tell whether it is gone, or hidden.

        Raises:
            RegistryError: it got no usable answer, or the deadline has passed.
        """
        try:
            return self.call(deadline, request)
        except RegistryError as error:
            if is_absence(error.__cause__):
                return Absence.GONE
            if is_refusal(error.__cause__):
                return Absence.UNKNOWN
            raise

    def pages(self, deadline: Deadline, search: str, arguments: Mapping[str, Any]) -> Iterator[Any]:
        """Yield the pages of a search.

        Raises:
            RegistryError: a page did not come, or pages repeat.
        """
        token: str | None = None
        seen: set[str] = set()
        while True:
            page = self.call(deadline, methodcaller(search, **arguments, page_token=token))
            yield page
            token = page.token
            if not token:
                return
            if token in seen:
                msg = f"{self.settings.uri} pages endlessly: it gave the same page token twice"
                raise RegistryRefused(msg)
            seen.add(token)

    def no_server(self) -> RegistryRefused:
        """Return what to raise where an answer does not say what was asked."""
        return no_mlflow(self.settings.uri, "its answers are empty")

    def _request(self, deadline: Deadline, request: Callable[[Any], T]) -> T:
        deadline.check()
        forget_exchange()
        set_environment(self.settings)
        if self._client is None:
            self._client = _connect(self.settings)
        return request(self._client)


def _connect(settings: RegistrySettings) -> Any:
    client = _import_client()
    for noisy in ("urllib3", "mlflow", "alembic", "databricks"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    web = settings.uri.startswith(("http://", "https://"))
    return client(settings.uri if web else settings.tracking_uri, registry_uri=settings.uri)


def _import_client() -> Any:
    """Return ``MlflowClient``. Importing MLflow takes most of a second, so it waits until here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mlflow import MlflowClient  # noqa: PLC0415
        from mlflow.utils import credentials, rest_utils  # noqa: F401, PLC0415

        register_providers()
    return MlflowClient
