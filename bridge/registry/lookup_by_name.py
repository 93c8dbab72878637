"""Point reads: looks up single models and versions by name, to verify a listing."""

from dataclasses import replace
from typing import Any

from bridge.diff.absence_verification import Absence, Answer, Doubt
from bridge.diff.malformed_rows import OddRow
from bridge.diff.registry_abilities import Abilities
from bridge.diff.snapshot import ModelVersion, RegisteredModel
from bridge.errors import RegistryError, RegistryLacks
from bridge.registry.base import Deadline
from bridge.registry.entity_conversion import PROMPTS, model_of, version_of
from bridge.registry.mlflow_client import Connection
from bridge.registry.mlflow_searches import Searches

_TRIES = 3
"""How often to read a model that changes while it is read, before it is left for the next poll."""

_FAILS = "the server fails on it: its log says more"


class PointReads:
    """Point reads over one connection, as far as the time allows; models not read remain unknown."""

    def __init__(
        self,
        connection: Connection,
        searches: Searches,
        abilities: Abilities,
        deadline: Deadline,
        *,
        include_prompts: bool,
    ) -> None:
        """Read over ``connection``, until ``deadline``."""
        self._connection = connection
        self._searches = searches
        self._abilities = abilities
        self._deadline = deadline.rest()
        self._include_prompts = include_prompts
        self._shown: frozenset[str] = frozenset()
        """The versions that came with the model's row that was read last."""
        self._denied: list[OddRow] = []
        """Versions that the server lists with their model, but denies to have."""

    def ask(self, doubt: Doubt) -> Answer:
        """Return what exists under a name now.

        The versions are read after the model, when another model may have its name. So the model is read
        again after them, until it did not change in between.

        Raises:
            RegistryError: the registry gave no answer.
        """
        if self._deadline.is_near():
            return Absence.UNKNOWN
        row = self._row(doubt.name)
        if row is Absence.GONE:
            return self._ask_prompt(doubt.name)
        for _ in range(_TRIES):
            if isinstance(row, Absence):
                return row
            model = self._with_versions(row, doubt.known)
            again = self._row(doubt.name)
            if again == row:
                self._searches.odd.update(self._denied)
                return model
            row = again
        is_same = isinstance(row, RegisteredModel) and row.created == model.created
        return model if is_same else Absence.UNKNOWN

    def _row(self, name: str) -> Answer:
        """Return a model without its versions.

        The answer to a point read is only about the requested object if it has its name: databases that
        compare names without case may return another one. A server can also refuse a name that an older
        server accepted. In both cases, a search for exactly that name decides.
        """
        try:
            found = self._connection.point_read(
                self._deadline, lambda client: client.get_registered_model(name)
            )
        except RegistryLacks:
            return self._row_by_search(name)
        except RegistryError as error:
            row = OddRow(name, why=_FAILS)
            if not self._searches.is_left_aside(row, error, self._deadline):
                raise
            return Absence.UNKNOWN
        if isinstance(found, Absence):
            return found
        if not found.name:
            raise self._connection.no_server()
        if found.name != name:
            return self._row_by_search(name)
        self._shown = frozenset(str(version.version) for version in found.latest_versions or ())
        return self._searches.taken(model_of(found)) or Absence.UNKNOWN

    def _row_by_search(self, name: str) -> Answer:
        try:
            found = self._searches.named(name, self._abilities, self._deadline)
        except RegistryLacks:
            self._searches.odd.add(OddRow(name, why="the server takes no question about this name"))
            return Absence.UNKNOWN
        return Absence.UNKNOWN if isinstance(found, OddRow) else found or Absence.GONE

    def _with_versions(self, row: RegisteredModel, known: RegisteredModel | None) -> RegisteredModel:
        self._denied = []
        versions = self._versions_of(row.name)
        if known is not None and known.created == row.created:
            versions.update(self._missing(known, versions))
        return replace(row, versions=versions)

    def _versions_of(self, name: str, more: str = "") -> dict[str, ModelVersion]:
        return self._searches.versions_of(name, self._abilities, self._deadline, more)

    def _missing(self, known: RegisteredModel, versions: dict[str, ModelVersion]) -> dict[str, ModelVersion]:
        """Return the versions that the search did not list but that still exist."""
        missing = [one for one in known.versions.values() if one.version not in versions]
        answers = {one.version: self._ask_version(known.name, one) for one in missing}
        return {number: answer for number, answer in answers.items() if answer is not None}

    def _ask_version(self, name: str, known: ModelVersion) -> ModelVersion | None:
        """Return a version that the search did not list, or None if it is really gone."""
        if self._deadline.is_near():
            return known
        found = self._version_read(name, known)
        if found is Absence.GONE:
            return known if self._is_denied(name, known) else None
        if isinstance(found, Absence):
            return known
        if not found.name or str(found.version) != known.version:
            raise self._connection.no_server()
        version = self._searches.taken(version_of(found))
        if version is None:
            return known
        if found.name != name and version.created != known.created:
            return None  # a version of another model, whose name the database treats as equal
        return version if self._abilities.has_full_rows else replace(version, tags=known.tags)

    def _is_denied(self, name: str, known: ModelVersion) -> bool:
        """Whether the server lists a version with its model but denies to have it: its stage is NULL then."""
        if known.version not in self._shown:
            return False
        why = "the server shows it with its model, and denies to have it: does its row have a stage?"
        self._denied.append(OddRow(name, known.version, why))
        return True

    def _version_read(self, name: str, known: ModelVersion) -> Any:
        """Return MLflow's version, or how it is absent."""
        try:
            return self._connection.point_read(
                self._deadline, lambda client: client.get_model_version(name, known.version)
            )
        except RegistryLacks:  # point reads refuse this name: rely on the search
            return Absence.GONE
        except RegistryError as error:
            row = OddRow(name, known.version, _FAILS)
            if not self._searches.is_left_aside(row, error, self._deadline):
                raise
            return Absence.UNKNOWN

    def _ask_prompt(self, name: str) -> Answer:
        """Tell a prompt from a deleted model: MLflow's point reads do not return prompts, its searches do."""
        try:
            found = self._searches.named(name, self._abilities, self._deadline, PROMPTS)
        except RegistryLacks:  # a registry without this filter has no prompts
            return Absence.GONE
        if found is None:
            return Absence.GONE
        if isinstance(found, OddRow) or not self._include_prompts:
            return Absence.UNKNOWN
        return replace(found, versions=self._versions_of(name, PROMPTS))
