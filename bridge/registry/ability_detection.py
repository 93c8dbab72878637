"""Find out what a registry can do, and whether it is one, by asking it."""

from contextlib import suppress
from operator import methodcaller
from typing import Any

from bridge.config import is_databricks, is_unity_catalog
from bridge.diff.registry_abilities import Abilities
from bridge.errors import RegistryError, RegistryLacks
from bridge.registry.base import Deadline
from bridge.registry.entity_conversion import ANY_NAME, PROMPTS
from bridge.registry.error_messages import is_answer, is_refusal
from bridge.registry.failing_row_isolation import fails_on_a_row
from bridge.registry.mlflow_client import Connection
from bridge.registry.mlflow_searches import BY_TIME

_NOBODY = "mlflow-bridge.nobody.7d9f5c1e"
"""No model has this name; Unity Catalog takes names of three parts alone."""


def find_out(connection: Connection, server: str, deadline: Deadline) -> Abilities:
    """Return what the registry can do; ``server`` is what it says it is.

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
    """Ask for a model that is not there: MLflow says so, and what answers everything with nothing does not.

    A page of a proxy, and any program that answers with 200, look like an empty registry to MLflow's client.

    Raises:
        RegistryRefused: what answers is no MLflow server.
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
    """Whether a registry has models that it did not list: it took the client's question for another.

    Ask this where a list came without a model; an empty registry cannot tell. Prompts are none.

    Raises:
        RegistryError: it gives no usable answer.
    """
    if not _models(connection, deadline, filter_string=ANY_NAME):
        return False
    return not _models(connection, deadline, filter_string=PROMPTS)


def _models(connection: Connection, deadline: Deadline, **arguments: Any) -> list[Any] | None:
    """Return a model, if there is any, or None where the registry does not take the question."""
    return _found(connection, deadline, "search_registered_models", **arguments)


def _takes(connection: Connection, deadline: Deadline, search: str, **arguments: Any) -> bool:
    return _found(connection, deadline, search, **arguments) is not None


def _found(connection: Connection, deadline: Deadline, search: str, **arguments: Any) -> list[Any] | None:
    """Return the first of what a search finds, or None where the registry refuses it, twice.

    A server in trouble may refuse for a moment what it can do.
    """
    for _ in range(2):
        with suppress(RegistryLacks):
            return _first(connection, deadline, search, **arguments)
    return None


def _first(connection: Connection, deadline: Deadline, search: str, **arguments: Any) -> list[Any]:
    """Return the first of what a search finds; one that is nothing where the server fails on its row."""
    try:
        return list(connection.call(deadline, methodcaller(search, max_results=1, **arguments)))
    except RegistryLacks:
        raise
    except RegistryError as error:
        if not fails_on_a_row(connection, error, deadline):
            raise
        return [None]
