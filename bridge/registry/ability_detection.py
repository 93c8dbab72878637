"""Detects by requests whether a server is an MLflow registry, and what it can do."""

from contextlib import suppress
from operator import methodcaller
from typing import Any

from bridge.config import is_databricks, is_unity_catalog
from bridge.diff.registry_abilities import Abilities
from bridge.errors import RegistryError, RegistryLacks
from bridge.registry.base import Deadline
from bridge.registry.entity_conversion import ANY_NAME, PROMPTS
from bridge.registry.error_translation import is_answer, is_refusal
from bridge.registry.failing_row_isolation import fails_on_a_row
from bridge.registry.mlflow_client import Connection
from bridge.registry.mlflow_searches import BY_TIME

_NOBODY = "mlflow-bridge.nobody.7d9f5c1e"
"""No model has this name; Unity Catalog accepts only names of three parts."""


def detect_abilities(connection: Connection, server: str, deadline: Deadline) -> Abilities:
    """Return what the registry can do; ``server`` is the name and version that it reports.

    Raises:
        RegistryError: it gives no usable answer.
    """
    uri = connection.settings.uri
    listed = _models(connection, deadline, order_by=list(BY_TIME))
    has_order = listed is not None
    if listed is None:
        listed = _first(connection, deadline, "search_registered_models")
    return Abilities(
        server=server,
        lists_models=bool(listed) or not misreads(connection, deadline),
        lists_versions=_takes(connection, deadline, "search_model_versions", filter_string=""),
        has_full_rows=not is_unity_catalog(uri),
        has_order=has_order,
        has_names=_models(connection, deadline, filter_string="name IN ('a','b')") is not None,
        has_stages=not is_unity_catalog(uri),
        has_aliases=is_unity_catalog(uri) or not is_databricks(uri),
    )


def confirm(connection: Connection, deadline: Deadline) -> None:
    """Ask for a model that does not exist, to check that this is an MLflow server: it answers with an MLflow error.

    A proxy's page, or any program that answers 200 to everything, looks like an empty registry to MLflow's
    client.

    Raises:
        RegistryRefused: what answers is not an MLflow server.
        RegistryError: it gives no usable answer.
    """
    try:
        connection.call(deadline, methodcaller("get_registered_model", _NOBODY))
    except RegistryError as error:
        if is_answer(error.__cause__) or is_refusal(error.__cause__):
            return
        raise
    raise connection.no_server()


def misreads(connection: Connection, deadline: Deadline) -> bool:
    """Whether a registry has models that it did not list, because it misreads the client's request.

    Call this when a list contained no model. It cannot be detected in an empty registry. Prompts are not
    models.

    Raises:
        RegistryError: it gives no usable answer.
    """
    if not _models(connection, deadline, filter_string=ANY_NAME):
        return False
    return not _models(connection, deadline, filter_string=PROMPTS)


def _models(connection: Connection, deadline: Deadline, **arguments: Any) -> list[Any] | None:
    """Return a list with one model, if there is one, or None where the registry does not accept the request."""
    return _found(connection, deadline, "search_registered_models", **arguments)


def _takes(connection: Connection, deadline: Deadline, search: str, **arguments: Any) -> bool:
    return _found(connection, deadline, search, **arguments) is not None


def _found(connection: Connection, deadline: Deadline, search: str, **arguments: Any) -> list[Any] | None:
    """Return a list with the first result of a search, or None where the registry refuses it twice.

    A server in trouble may refuse for a moment a request that it supports.
    """
    for _ in range(2):
        with suppress(RegistryLacks):
            return _first(connection, deadline, search, **arguments)
    return None


def _first(connection: Connection, deadline: Deadline, search: str, **arguments: Any) -> list[Any]:
    """Return a list with the first result of a search; with None where the server fails on that row."""
    try:
        return list(connection.call(deadline, methodcaller(search, max_results=1, **arguments)))
    except RegistryLacks:
        raise
    except RegistryError as error:
        if not fails_on_a_row(connection, error, deadline):
            raise
        return [None]
