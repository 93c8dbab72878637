"""MLflow's two searches, as our values: rows of models, and versions."""

from collections.abc import Iterator, Sequence
from typing import Any

from bridge.diff.abilities import Abilities
from bridge.diff.snapshot import ModelVersion, RegisteredModel
from bridge.registry.base import Deadline
from bridge.registry.connection import Connection, Cursor
from bridge.registry.convert import ANY_NAME, PROMPTS, conditions, model_of, name_filter, version_of
from bridge.registry.page_sizes import PageSizes

MODELS_PAGE = 1_000
VERSIONS_PAGE = 5_000
"""Larger pages are little faster, and held in memory several times over while they are read."""

BY_NAME = ("name ASC",)
BY_TIME = ("last_updated_timestamp DESC",)
_BY_NAME_AND_NUMBER = ("name ASC", "version_number ASC")


class Searches:
    """Searches over one connection; ``include_prompts`` makes each of them twice."""

    def __init__(self, connection: Connection, *, include_prompts: bool) -> None:
        """Search over ``connection``."""
        self._connection = connection
        self.sizes = PageSizes(MODELS_PAGE, VERSIONS_PAGE)
        self._include_prompts = include_prompts

    def kinds(self) -> list[str]:
        """Return the conditions under which to search: MLflow leaves prompts out unless asked for them."""
        return ["", PROMPTS] if self._include_prompts else [""]

    def models(
        self,
        abilities: Abilities,
        deadline: Deadline,
        condition: str = "",
        order: Sequence[str] | None = None,
        size: int | None = None,
        cursor: Cursor | None = None,
    ) -> Iterator[list[RegisteredModel]]:
        """Yield pages of models without versions, ordered by name unless told otherwise.

        They have ``size`` rows at most, and begin where ``cursor`` is, which moves on with them.
        Of the orders, that by name is the least disturbed by what changes between two pages.

        Raises:
            RegistryError: a page did not come, or holds no models.
        """
        trick = "" if abilities.lists_models or PROMPTS in condition else ANY_NAME
        arguments: dict[str, Any] = {
            "filter_string": conditions(condition, trick),
            "max_results": size or MODELS_PAGE,
        }
        if abilities.has_order:
            arguments["order_by"] = list(order or BY_NAME)
        pages = self._connection.pages(
            deadline, "search_registered_models", arguments, self.sizes.models, cursor or Cursor()
        )
        for page in pages:
            yield [self.expected(model, model.name or "?") for model in map(model_of, page)]

    def versions(
        self, abilities: Abilities, deadline: Deadline, condition: str = "", cursor: Cursor | None = None
    ) -> Iterator[list[tuple[str, ModelVersion]]]:
        """Yield pages of versions, each with the name of its model, from where ``cursor`` is.

        Raises:
            RegistryError: a page did not come.
        """
        arguments: dict[str, Any] = {
            "filter_string": conditions(condition),
            "max_results": VERSIONS_PAGE,
        }
        if abilities.has_order and abilities.has_aliases:  # Databricks orders by other columns
            arguments["order_by"] = list(_BY_NAME_AND_NUMBER)
        pages = self._connection.pages(
            deadline, "search_model_versions", arguments, self.sizes.versions, cursor or Cursor()
        )
        for page in pages:
            yield [(entity.name, version_of(entity)) for entity in page]

    def versions_of(
        self, name: str, abilities: Abilities, deadline: Deadline, more: str = ""
    ) -> dict[str, ModelVersion]:
        """Return the versions of one model, by their number.

        Raises:
            RegistryError: they did not come.
        """
        pages = self.versions(abilities, deadline, conditions(name_filter(name), more) or "")
        return {version.version: version for page in pages for owner, version in page if owner == name}

    def expected(self, model: RegisteredModel, name: str) -> RegisteredModel:
        """Refuse an answer that does not say what was asked: ``{}`` parses as a model, too.

        Raises:
            RegistryRefused: it says something else.
        """
        if model.name != name or not model.created:
            raise self._connection.no_server()
        return model
