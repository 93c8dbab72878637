"""Reads the details of one version from MLflow: its record, its run, and its model's signature."""

from collections.abc import Callable, Mapping
from typing import Any

from bridge.config import RegistrySettings
from bridge.diff.absence_verification import Absence
from bridge.errors import RegistryError, RegistryLacks
from bridge.registry.base import Deadline
from bridge.registry.entity_details import run_details, version_details
from bridge.registry.mlflow_client import Connection
from bridge.registry.model_signature import read_signature


class MlflowFacts:
    """`bridge.registry.base.Facts` through ``MlflowClient``, which is imported on first use."""

    def __init__(self, settings: RegistrySettings) -> None:
        """Store the settings of the registry; no request is made yet."""
        self._settings = settings
        self._connection = Connection(settings)

    def prepare(self) -> None:
        """Import MLflow."""
        self._connection.prepare()

    def version(self, name: str, version: str, deadline: Deadline) -> Mapping[str, Any] | Absence:
        """Return the result of ``MlflowClient.get_model_version``.

        Raises:
            RegistryError: there was no usable answer.
        """
        found = self._asked(deadline, lambda client: client.get_model_version(name, version))
        return found if isinstance(found, Absence) else version_details(found)

    def files(self, name: str, version: str, deadline: Deadline) -> Mapping[str, Any]:
        """Return ``artifact_location`` and ``signature``; each is None where the registry does not give it in time."""
        location = self._told(deadline, lambda client: client.get_model_version_download_uri(name, version))
        uri = self._settings.uri
        signature = self._told(deadline, lambda _client: read_signature(uri, name, version))
        return {"artifact_location": location, "signature": signature}

    def run(self, run_id: str, deadline: Deadline) -> Mapping[str, Any] | Absence:
        """Return the result of ``MlflowClient.get_run``.

        Raises:
            RegistryError: there was no usable answer.
        """
        found = self._asked(deadline, lambda client: client.get_run(run_id))
        return found if isinstance(found, Absence) else run_details(found)

    def _asked(self, deadline: Deadline, request: Callable[[Any], Any]) -> Any:
        """Return one object; if the registry refuses the request (a malformed run id), the object does not exist."""
        try:
            return self._connection.point_read(deadline, request)
        except RegistryLacks:
            return Absence.GONE

    def _told(self, deadline: Deadline, request: Callable[[Any], Any]) -> Any:
        """Return an optional detail, or None: a registry without it is not at fault."""
        try:
            found = self._connection.point_read(deadline, request)
        except RegistryError:
            return None
        return None if isinstance(found, Absence) else found
