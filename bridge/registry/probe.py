"""Find out what a registry can do, by asking it once."""

from operator import methodcaller
from typing import Any

from bridge.config import is_databricks, is_unity_catalog
from bridge.diff.abilities import Abilities
from bridge.errors import RegistryError, RegistryLacks
from bridge.registry.base import Deadline
from bridge.registry.connection import Connection
from bridge.registry.convert import ANY_NAME, PROMPTS
from bridge.registry.page_narrowing import fails_on_a_row
from bridge.registry.searches import BY_TIME


def find_out(connection: Connection, server: str, deadline: Deadline) -> Abilities:
    """Return what the registry can do; ``server`` is what it says it is.

    Raises:
        RegistryError: it gives no usable answer.
    """
    uri = connection.settings.uri
    listed = _models(connection, deadline, order_by=list(BY_TIME))
    has_order = listed is not None
    if listed is None:
        listed = _models(connection, deadline)
    return Abilities(
        server=server,
        lists_models=bool(listed) or not misreads(connection, deadline),
        lists_versions=_lists_versions(connection, deadline),
        has_full_rows=not is_unity_catalog(uri),
        has_order=has_order,
        has_names=_models(connection, deadline, filter_string="name IN ('a','b')") is not None,
        has_stages=not is_unity_catalog(uri),
        has_aliases=is_unity_catalog(uri) or not is_databricks(uri),
    )


def misreads(connection: Connection, deadline: Deadline) -> bool:
    """Whether a registry has models that it did not list: it took the client's question for another.

    Ask this where a list came without a model; an empty registry cannot tell. Prompts are none.

    Raises:
        RegistryError: it gives no usable answer.
    """
    if not _models(connection, deadline, filter_string=ANY_NAME):
        return False
    return not _models(connection, deadline, filter_string=PROMPTS)


def _lists_versions(connection: Connection, deadline: Deadline) -> bool:
    request = methodcaller("search_model_versions", filter_string="", max_results=1)
    try:
        connection.call(deadline, request)
    except RegistryLacks:
        return False
    except RegistryError as error:
        if not fails_on_a_row(connection, error, deadline):
            raise
    return True


def _models(connection: Connection, deadline: Deadline, **arguments: Any) -> list[Any] | None:
    """Return a model, if there is any, or None where the registry does not take the question."""
    request = methodcaller("search_registered_models", max_results=1, **arguments)
    try:
        return list(connection.call(deadline, request))
    except RegistryLacks:
        return None
    except RegistryError as error:
        if not fails_on_a_row(connection, error, deadline):
            raise
        return [None]  # there is one, on which the server fails
