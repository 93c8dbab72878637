"""MLflow's two searches, as our values: rows of models, and versions."""

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from bridge.diff.malformed_rows import OddRow
from bridge.diff.registry_abilities import Abilities
from bridge.diff.snapshot import ModelVersion, RegisteredModel
from bridge.errors import RegistryError
from bridge.registry.base import Deadline
from bridge.registry.entity_conversion import ANY_NAME, PROMPTS, conditions, model_of, name_filter, version_of
from bridge.registry.failing_row_isolation import Narrowing, fails_on_a_row
from bridge.registry.mlflow_client import Connection, Cursor
from bridge.registry.page_sizes import PageSize, PageSizes

T = TypeVar("T", RegisteredModel, ModelVersion)

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
        self.odd: set[OddRow] = set()
        """Rows that were left aside."""
        self.left_out: list[OddRow] = []
        """Rows of which the server tells nothing but that it fails on them."""

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
        pages = self._pages(deadline, "search_registered_models", arguments, self.sizes.models, cursor)
        for number, page in enumerate(pages):
            if number == 0 and page and not any(entity.name for entity in page):
                raise self._connection.no_server()
            rows = [self.taken(model_of(entity)) for entity in page]
            yield [row for row in rows if row is not None]

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

        narrowing = Narrowing(self._connection, deadline, search, note)
        return narrowing.pages(arguments, size, cursor or Cursor())

    def versions_of(
        self, name: str, abilities: Abilities, deadline: Deadline, more: str = ""
    ) -> dict[str, ModelVersion]:
        """Return the versions of one model, by their number.

        Raises:
            RegistryError: they did not come.
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
        """Return the row of exactly this name, or None where there is none.

        A search takes names that a point read refuses (``a/b``), and compares them as they are spelt where
        a point read asks the database (MySQL, MariaDB and SQL Server take ``Churn`` for ``churn``).

        Raises:
            RegistryError: the registry did not tell.
        """
        before = set(self.odd)
        pages = self.models(abilities, deadline, conditions(name_filter(name), more) or "")
        row = next((row for page in pages for row in page if row.name == name), None)
        return row or next((odd for odd in self.odd - before if odd.model == name), None)

    def taken(self, row: T | OddRow) -> T | None:
        """Return ``row``, or None where it is odd: it is left aside then."""
        if isinstance(row, OddRow):
            self.odd.add(row)
            return None
        return row

    @property
    def has_met_odd_rows(self) -> bool:
        """Whether anything was left aside, or out, since that was told last: no list without it is empty."""
        return bool(self.odd or self.left_out)

    def is_left_aside(self, row: OddRow, error: RegistryError, deadline: Deadline) -> bool:
        """Whether it is the ``row`` that was asked for, on which the server fails; it is left aside then."""
        if not fails_on_a_row(self._connection, error, deadline):
            return False
        self.odd.add(row)
        return True


def _place(last: Any) -> str:
    """Return where a row is in a list, by the one before it."""
    if last is None:
        return "the first"
    number = getattr(last, "version", None)
    return f"after {last.name!r}" if number is None else f"after version {number} of {last.name!r}"
