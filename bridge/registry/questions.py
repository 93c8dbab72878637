"""Ask for models and versions by name, where a listing leaves a doubt."""

from dataclasses import replace

from bridge.diff.abilities import Abilities
from bridge.diff.doubts import Absence, Answer, Doubt
from bridge.diff.snapshot import ModelVersion, RegisteredModel
from bridge.errors import RegistryLacks
from bridge.registry.base import Deadline
from bridge.registry.connection import Connection
from bridge.registry.convert import PROMPTS, model_of, name_filter, version_of
from bridge.registry.searches import Searches

_TRIES = 3
"""How often to read a model that changes while it is read, before it is left for the next poll."""


class Questions:
    """Questions over one connection, as far as the time allows; the rest stays unknown."""

    def __init__(
        self,
        connection: Connection,
        searches: Searches,
        abilities: Abilities,
        deadline: Deadline,
        *,
        include_prompts: bool,
    ) -> None:
        """Ask over ``connection``, until ``deadline``."""
        self._connection = connection
        self._searches = searches
        self._abilities = abilities
        self._deadline = deadline.rest()
        self._include_prompts = include_prompts

    def ask(self, doubt: Doubt) -> Answer:
        """Return what there is under a name now.

        Its versions are read after it, when another model may have its name: so it is read again
        after them, until nothing moved meanwhile.

        Raises:
            RegistryError: the answer did not come.
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
                return model
            row = again
        is_same = isinstance(row, RegisteredModel) and row.created == model.created
        return model if is_same else Absence.UNKNOWN

    def _row(self, name: str) -> Answer:
        """Return a model without its versions."""
        found = self._connection.point_read(self._deadline, lambda client: client.get_registered_model(name))
        return found if isinstance(found, Absence) else self._searches.expected(model_of(found), name)

    def _with_versions(self, row: RegisteredModel, known: RegisteredModel | None) -> RegisteredModel:
        versions = self._versions_of(row.name)
        if known is not None and known.created == row.created:
            versions.update(self._missing(known, versions))
        return replace(row, versions=versions)

    def _versions_of(self, name: str, more: str = "") -> dict[str, ModelVersion]:
        return self._searches.versions_of(name, self._abilities, self._deadline, more)

    def _missing(self, known: RegisteredModel, versions: dict[str, ModelVersion]) -> dict[str, ModelVersion]:
        """Return the versions that a search did not show, and that are there all the same."""
        missing = [one for one in known.versions.values() if one.version not in versions]
        answers = {one.version: self._ask_version(known.name, one) for one in missing}
        return {number: answer for number, answer in answers.items() if answer is not None}

    def _ask_version(self, name: str, known: ModelVersion) -> ModelVersion | None:
        """Return a version that a search did not show, or None if it is really gone."""
        if self._deadline.is_near():
            return known
        found = self._connection.point_read(
            self._deadline, lambda client: client.get_model_version(name, known.version)
        )
        if found is Absence.GONE:
            return None
        if isinstance(found, Absence):
            return known
        if (found.name, str(found.version)) != (name, known.version):
            raise self._connection.no_server()
        version = version_of(found)
        return version if self._abilities.has_full_rows else replace(version, tags=known.tags)

    def _ask_prompt(self, name: str) -> Answer:
        """Tell a prompt from what is gone: MLflow's point reads deny prompts, its searches don't."""
        wanted = f"{name_filter(name)} AND {PROMPTS}"
        pages = self._searches.models(self._abilities, self._deadline, wanted)
        try:
            found = [model for page in pages for model in page if model.name == name]
        except RegistryLacks:  # a registry without this filter has no prompts
            return Absence.GONE
        if not found:
            return Absence.GONE
        if not self._include_prompts:
            return Absence.UNKNOWN
        return replace(found[0], versions=self._versions_of(name, PROMPTS))
