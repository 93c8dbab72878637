"""MLflow's searches for models and for versions, with results as the bridge's values."""

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from bridge.diff.malformed_rows import OddRow
from bridge.diff.registry_abilities import Abilities
from bridge.diff.snapshot import ModelVersion, RegisteredModel
from bridge.errors import RegistryError
from bridge.registry.base import Deadline
from bridge.registry.entity_conversion import ANY_NAME, PROMPTS, conditions, model_of, name_filter, version_of
from bridge.registry.failing_row_isolation import FailingRowIsolation, fails_on_a_row
from bridge.registry.mlflow_client import Connection, Cursor
from bridge.registry.page_sizes import PageSize, PageSizes

T = TypeVar("T", RegisteredModel, ModelVersion)

MODELS_PAGE = 1_000
VERSIONS_PAGE = 5_000
"""Larger pages are hardly faster, and take several times their size in memory while they are read."""

BY_NAME = ("name ASC",)
BY_TIME = ("last_updated_timestamp DESC",)
_BY_NAME_AND_NUMBER = ("name ASC", "version_number ASC")


class Searches:
    """Searches over one connection; ``include_prompts`` repeats each of them for prompts."""

    def __init__(self, connection: Connection, *, include_prompts: bool) -> None:
        """Search over ``connection``."""
        self._connection = connection
        self.sizes = PageSizes(MODELS_PAGE, VERSIONS_PAGE)
        self._include_prompts = include_prompts
        self.odd: set[OddRow] = set()
        """Malformed rows that were skipped."""
        self.left_out: list[OddRow] = []
        """Rows that the server failed on, without telling which model they belong to."""

    def kinds(self) -> list[str]:
        """Return the conditions under which to search: MLflow leaves out prompts unless they are asked for."""
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
        """Yield pages of models without versions, by default ordered by name.

        The pages have at most ``size`` rows and begin at ``cursor``, which moves on with them. The order by
        name is the one that changes between two pages disturb least.

        Raises:
            RegistryError: a page could not be read, or holds no models.
        """
        trick = "" if abilities.lists_models or PROMPTS in condition else ANY_NAME
        arguments: dict[str, Any] = {
            "filter_string": conditions(condition, trick),
            "max_results": size or MODELS_PAGE,
        }
        if abilities.has_order:
            arguments["order_by"] = list(order or BY_NAME)
        pages = self._pages(deadline, "search_registered_models", arguments, self.sizes.models, cursor)
        for number, page in enumerate(pages):
            if number == 0 and page and not any(entity.name for entity in page):
                raise self._connection.no_server()
            rows = [self.taken(model_of(entity)) for entity in page]
            yield [row for row in rows if row is not None]

    def versions(
        self, abilities: Abilities, deadline: Deadline, condition: str = "", cursor: Cursor | None = None
    ) -> Iterator[list[tuple[str, ModelVersion]]]:
        """Yield pages of versions from ``cursor`` on, each version with the name of its model.

        Raises:
            RegistryError: a page could not be read.
        """
        arguments: dict[str, Any] = {
            "filter_string": conditions(condition),
            "max_results": VERSIONS_PAGE,
        }
        if abilities.has_order and abilities.has_aliases:  # Databricks orders by other columns
            arguments["order_by"] = list(_BY_NAME_AND_NUMBER)
        pages = self._pages(deadline, "search_model_versions", arguments, self.sizes.versions, cursor)
        for page in pages:
            rows = [(entity.name, self.taken(version_of(entity))) for entity in page]
            yield [(name, version) for name, version in rows if version is not None]

    def _pages(
        self,
        deadline: Deadline,
        search: str,
        arguments: dict[str, Any],
        size: PageSize,
        cursor: Cursor | None,
    ) -> Iterator[Any]:
        """Yield the pages of a search, without the rows on which the server fails."""

        def note(last: Any) -> None:
            self.left_out.append(
                OddRow("", why=f"the server fails on one row ({_place(last)}): its log says more")
            )

        narrowing = FailingRowIsolation(self._connection, deadline, search, note)
        return narrowing.pages(arguments, size, cursor or Cursor())

    def versions_of(
        self, name: str, abilities: Abilities, deadline: Deadline, more: str = ""
    ) -> dict[str, ModelVersion]:
        """Return the versions of one model, by version number.

        Raises:
            RegistryError: they could not be read.
        """
        before = len(self.left_out)
        pages = self.versions(abilities, deadline, conditions(name_filter(name), more) or "")
        found = {version.version: version for page in pages for owner, version in page if owner == name}
        if len(self.left_out) > before:
            self.odd.add(OddRow(name, why="the server fails on one of its versions: its log says more"))
        return found

    def named(
        self, name: str, abilities: Abilities, deadline: Deadline, more: str = ""
    ) -> RegisteredModel | OddRow | None:
        """Return the row of exactly this name, or None if there is none.

        A search accepts names that a point read refuses (``a/b``). It compares names exactly, where a point
        read depends on the database (MySQL, MariaDB and SQL Server treat ``Churn`` as ``churn``).

        Raises:
            RegistryError: the registry gave no answer.
        """
        before = set(self.odd)
        pages = self.models(abilities, deadline, conditions(name_filter(name), more) or "")
        row = next((row for page in pages for row in page if row.name == name), None)
        return row or next((odd for odd in self.odd - before if odd.model == name), None)

    def taken(self, row: T | OddRow) -> T | None:
        """Return ``row``, or None if it is malformed: then record it as skipped."""
        if isinstance(row, OddRow):
            self.odd.add(row)
            return None
        return row

    @property
    def has_met_odd_rows(self) -> bool:
        """Whether any row was skipped since `odd_rows` was called last: a list without it may not be empty."""
        return bool(self.odd or self.left_out)

    def is_left_aside(self, row: OddRow, error: RegistryError, deadline: Deadline) -> bool:
        """Whether the server fails on the requested ``row``; then record it as skipped."""
        if not fails_on_a_row(self._connection, error, deadline):
            return False
        self.odd.add(row)
        return True


def _place(last: Any) -> str:
    """Return the position of a row in a list, by the row before it."""
    if last is None:
        return "the first"
    number = getattr(last, "version", None)
    return f"after {last.name!r}" if number is None else f"after version {number} of {last.name!r}"
