"""Sends requests to a registry through MLflow's own client, one at a time, within a deadline."""

import logging
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from operator import methodcaller
from typing import Any, TypeVar

from bridge.config import RegistrySettings
from bridge.diff.absence_verification import Absence
from bridge.errors import BridgeError, RegistryError, RegistryRefused
from bridge.registry.base import Deadline
from bridge.registry.error_translation import is_absence, is_refusal, is_too_much, no_mlflow, translate
from bridge.registry.last_http_exchange import forget_exchange
from bridge.registry.mlflow_client_variables import set_environment
from bridge.registry.page_sizes import PageSize
from bridge.registry.proxy_errors import with_proxy
from bridge.registry.request_auth import register_providers

T = TypeVar("T")

_NOTEBOOK_MODULES = ("dbruntime", "IPython")


@dataclass(slots=True)
class Cursor:
    """Where the next page of a search begins; None for the first page, and after the last."""

    token: str | None = None


class Connection:
    """An MLflow client that is made on first use, and called within a deadline."""

    def __init__(self, settings: RegistrySettings) -> None:
        """Store the settings of the registry; no request is made yet."""
        self.settings = settings
        self._client: Any = None

    def prepare(self) -> None:
        """Import MLflow, and what it would import at its first request."""
        set_environment(self.settings)
        _import_client()

    def call(self, deadline: Deadline, request: Callable[[Any], T], *, retries: bool = True) -> T:
        """Make one request; MLflow's client repeats it if there is no answer, unless ``retries`` is False.

        Raises:
            RegistryError: there was no usable answer, or the deadline has passed.
        """
        try:
            return self._request(deadline, request, retries=retries)
        except BridgeError:
            raise
        except Exception as error:
            raise with_proxy(
                translate(error, self.settings.shown_uri), error, self.settings.shown_uri
            ) from error

    def point_read(self, deadline: Deadline, request: Callable[[Any], T]) -> T | Absence:
        """Request one object; return how it is absent if it is gone or hidden.

        Raises:
            RegistryError: there was no usable answer, or the deadline has passed.
        """
        try:
            return self.call(deadline, request)
        except RegistryError as error:
            if is_absence(error.__cause__):
                return Absence.GONE
            if is_refusal(error.__cause__):
                return Absence.UNKNOWN
            raise

    def pages(
        self, deadline: Deadline, search: str, arguments: Mapping[str, Any], size: PageSize, cursor: Cursor
    ) -> Iterator[Any]:
        """Yield the pages of a search from ``cursor`` on, smaller ones if necessary; the cursor moves on before each.

        Raises:
            RegistryError: a page could not be read, or pages repeat.
        """
        seen: set[str] = set()
        while True:
            page = self._page(deadline, search, {**arguments, "page_token": cursor.token}, size)
            cursor.token = token = page.token or None
            yield page
            if token is None:
                return
            if token in seen:
                msg = f"{self.settings.shown_uri} pages endlessly: it gave the same page token twice"
                raise RegistryRefused(msg)
            seen.add(token)

    def _page(self, deadline: Deadline, search: str, arguments: Mapping[str, Any], size: PageSize) -> Any:
        """Return a page that is as large as the server can give in time."""
        while True:
            asked = min(size.rows, arguments["max_results"])
            request, began = methodcaller(search, **{**arguments, "max_results": asked}), time.monotonic()
            try:
                page = self.call(deadline, request, retries=not size.can_shrink(asked))
            except RegistryError as error:
                if not (is_too_much(error) and size.shrink(asked)):
                    raise
                continue
            size.note(asked, len(page), time.monotonic() - began, self.settings.timeout / 1000)
            return page

    def no_server(self) -> RegistryRefused:
        """Return the error for a server whose answers do not contain what was asked for."""
        return no_mlflow(self.settings.shown_uri, "its answers are empty")

    def _request(self, deadline: Deadline, request: Callable[[Any], T], *, retries: bool) -> T:
        deadline.check()
        forget_exchange()
        set_environment(self.settings, retries=retries)
        if self._client is None:
            self._client = _connect(self.settings)
        return request(self._client)


def _connect(settings: RegistrySettings) -> Any:
    for noisy in ("urllib3", "mlflow", "alembic", "databricks"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    web = settings.uri.startswith(("http://", "https://"))
    # MLflow imports a database's store only when the client is made.
    with _warnings_ignored():
        client = _import_client()
        return client(settings.uri if web else settings.tracking_uri, registry_uri=settings.uri)


def _import_client() -> Any:
    """Return ``MlflowClient``. Importing MLflow takes most of a second, so it is done only here."""
    with _warnings_ignored():
        from mlflow import MlflowClient  # noqa: PLC0415
        from mlflow.utils import credentials, rest_utils  # noqa: F401, PLC0415

        register_providers()
        record_absent_modules()
    return MlflowClient


def record_absent_modules() -> None:
    """Record that Databricks' and IPython's modules are not installed, where they are not.

    At every request, MLflow's client tries to import them eleven times, to find out whether it runs in a notebook.
    That searches every folder for them, and takes a third of the request's CPU time. An import of a recorded
    module fails at once (Python's reference, *The module cache*).
    """
    for name in _NOTEBOOK_MODULES:
        if name not in sys.modules and find_spec(name) is None:
            sys.modules[name] = None  # type: ignore[assignment]


@contextmanager
def _warnings_ignored() -> Iterator[None]:
    """Ignore what MLflow and its libraries warn about in their own code: an operator cannot mend it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
