"""What MLflow's server itself knows of a model and its versions, from its stores.

The bridge cannot ask the server for it: its only worker may be the one that waits for the bridge.
"""

import unicodedata
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from bridge.diff.absence_verification import Absence
from bridge.diff.malformed_rows import OddRow
from bridge.events.event_details import model_part
from bridge.governance.transition_target import Target
from bridge.registry.base import Deadline
from bridge.registry.entity_conversion import PROMPT_TAG, model_of, name_filter
from bridge.registry.entity_details import run_details, version_details
from bridge.registry.gate_facts import read_facts

_PATIENCE_MS = 10_000
_FOLDING = frozenset({"mysql", "mssql"})
"""Databases that compare texts without their case, accents and trailing blanks, as MLflow sets them up."""

_MISSING = frozenset({"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"})
"""MLflow's errors for what is not there, or cannot be: MLflow refuses the request by itself."""

_NO_STAGE = "None"
_PAGE = 1_000


class ServerRegistry:
    """The registry of MLflow's server, during a request."""

    def __init__(self) -> None:
        """Use the stores of the server."""
        from mlflow.server import handlers  # noqa: PLC0415 - MLflow's server has imported it

        self._registry = handlers._get_model_registry_store()  # noqa: SLF001 - there is no other way to the stores
        self._tracking = handlers._get_tracking_store()  # noqa: SLF001

    @property
    def _folds(self) -> bool:
        return getattr(self._registry, "db_type", "") in _FOLDING

    def name_of(self, given: str) -> str:
        """Return the name of the model that the database finds for a name: perhaps in another spelling."""
        if not self._folds:
            return given
        found = _read(lambda: self._registry.get_registered_model(given))
        return given if isinstance(found, Absence) else str(found.name)

    def spellings(self, alias: str) -> tuple[str, ...]:
        """Return an alias as it is given and, where that differs, as the database compares it: gates may name either."""
        return tuple(dict.fromkeys((alias, self._folded(alias))))

    def _folded(self, alias: str) -> str:
        if not self._folds:
            return alias
        plain = unicodedata.normalize("NFKD", alias.rstrip().casefold())
        return "".join(char for char in plain if not unicodedata.combining(char))

    def held(self, name: str) -> Iterator[tuple[str, Target]]:
        """Yield the stages and aliases that versions of a model have."""
        model = _read(lambda: self._registry.get_registered_model(name))
        if isinstance(model, Absence) or _is_prompt(model):
            return
        for alias, version in (model.aliases or {}).items():
            yield from ((str(version), Target(alias=one)) for one in self.spellings(alias))
        token: str | None = None
        while True:
            page = self._registry.search_model_versions(
                name_filter(name), max_results=_PAGE, page_token=token
            )
            for one in page:
                if one.name == name and one.current_stage != _NO_STAGE:
                    yield str(one.version), Target(stage=one.current_stage)
            token = page.token
            if not token:
                return

    def facts(self, name: str, version: str, target: Target) -> dict[str, Any] | None:
        """Return what checks see, as plain JSON values; why something is missing is in ``gaps``.

        None: there is no such version, so that MLflow refuses the request; or it is a prompt, which nobody can ask for.
        """
        try:
            entity = _read(lambda: self._registry.get_registered_model(name))
            if isinstance(entity, Absence) or _is_prompt(entity):
                return None
            model = model_of(entity)
            if isinstance(model, OddRow):
                return {"gaps": [f"the model cannot be read: {model.why}"]}
            holder = self._holder(name, target, dict(model.aliases))
            incumbent = holder if holder != version else None
            found = read_facts(self, name, version, incumbent, Deadline.after(_PATIENCE_MS))
            if found.version is None:
                return None
        except Exception as error:  # noqa: BLE001 - of a database, or MLflow's: what cannot be read is inconclusive
            return {"gaps": [f"MLflow's server could not read what the checks need: {type(error).__name__}"]}
        return {
            "model": model_part(model),
            "version": found.version,
            "run": found.run,
            "incumbent": found.incumbent,
            "gaps": found.gaps,
        }

    def _holder(self, name: str, target: Target, aliases: Mapping[str, str]) -> str | None:
        """Return the version that has an alias, or the newest one in a stage."""
        if target.alias is not None:
            wanted = self._folded(target.alias)
            return next((held for key, held in aliases.items() if self._folded(key) == wanted), None)
        latest = self._registry.get_latest_versions(name, [target.stage])
        return str(latest[0].version) if latest else None

    # What `bridge.registry.base.Facts` asks for

    def prepare(self) -> None:
        """Do nothing: MLflow is imported."""

    def version(self, name: str, version: str, deadline: Deadline) -> Mapping[str, Any] | Absence:  # noqa: ARG002
        """Return the record of a version."""
        found = _read(lambda: self._registry.get_model_version(name, version))
        return found if isinstance(found, Absence) else version_details(found)

    def files(self, name: str, version: str, deadline: Deadline) -> Mapping[str, Any]:  # noqa: ARG002
        """Return nothing: checks do not see files."""
        return {}

    def run(self, run_id: str, deadline: Deadline) -> Mapping[str, Any] | Absence:  # noqa: ARG002
        """Return the record of a run."""
        found = _read(lambda: self._tracking.get_run(run_id))
        return found if isinstance(found, Absence) else run_details(found)


def _is_prompt(entity: Any) -> bool:
    """Whether MLflow's registered model is a prompt, by the tag that tells them apart (``_is_prompt`` in its own code)."""
    tags = entity._tags if hasattr(entity, "_tags") else entity.tags  # noqa: SLF001 - `tags` hides this one
    return (tags or {}).get(PROMPT_TAG) == "true"


def _read(call: Callable[[], Any]) -> Any:
    from mlflow.exceptions import MlflowException  # noqa: PLC0415 - MLflow's server has imported it

    try:
        return call()
    except MlflowException as error:
        if error.error_code in _MISSING:
            return Absence.GONE
        raise
