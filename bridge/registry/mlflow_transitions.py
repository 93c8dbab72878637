"""Makes transitions of stages and aliases through MLflow's client."""

import warnings
from collections.abc import Callable
from typing import Any, TypeVar

from bridge.config import RegistrySettings
from bridge.diff.absence_verification import Absence
from bridge.diff.snapshot import NO_STAGE
from bridge.errors import RegistryError, TransitionRefused
from bridge.governance.request_steps import Standing
from bridge.governance.transition_target import Target
from bridge.registry.base import Deadline
from bridge.registry.error_translation import is_final
from bridge.registry.mlflow_client import Connection

T = TypeVar("T")

_NO_PERMISSION = (
    "the registry does not let the bridge change this model: give the bridge's user EDIT permission for it"
)


class MlflowTransitions:
    """`bridge.registry.base.Transitions` through ``MlflowClient``, which is imported on first use."""

    def __init__(self, settings: RegistrySettings) -> None:
        """Store the settings of the registry; no request is made yet."""
        self._connection = Connection(settings)

    def prepare(self) -> None:
        """Import MLflow."""
        self._connection.prepare()

    def standing(self, name: str, version: str, target: Target, deadline: Deadline) -> Standing | Absence:
        """Return where a version stands, by ``get_model_version``, and an alias, by ``get_registered_model``.

        Raises:
            RegistryError: there was no usable answer.
        """
        found = self._connection.point_read(deadline, lambda client: client.get_model_version(name, version))
        if isinstance(found, Absence):
            return found
        holder = None
        if target.alias is not None:
            model = self._connection.point_read(deadline, lambda client: client.get_registered_model(name))
            if isinstance(model, Absence):
                return model
            holder = (model.aliases or {}).get(target.alias)
        return Standing(
            found.creation_timestamp,
            found.last_updated_timestamp,
            found.current_stage or NO_STAGE,
            None if holder is None else str(holder),
        )

    def make(
        self, name: str, version: str, target: Target, deadline: Deadline, *, archives: bool
    ) -> int | None:
        """Call ``transition_model_version_stage`` or ``set_registered_model_alias``, once.

        Raises:
            TransitionRefused: the registry will never take this.
            RegistryError: there was no usable answer: it may have been made, or not.
        """
        if target.alias is not None:
            self._written(
                deadline, lambda client: client.set_registered_model_alias(name, target.alias, version)
            )
            return None
        made = self._written(
            deadline,
            lambda client: client.transition_model_version_stage(
                name, version, target.stage, archive_existing_versions=archives and target.can_archive
            ),
        )
        updated: int | None = getattr(made, "last_updated_timestamp", None)
        return updated

    def _written(self, deadline: Deadline, request: Callable[[Any], T]) -> T:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter(
                    "ignore"
                )  # MLflow deprecates stages, and offers nothing that says as much
                return self._connection.call(deadline, request, retries=False)
        except RegistryError as error:
            cause = error.__cause__
            if not is_final(cause):
                raise
            words = str(getattr(cause, "message", "")) or _NO_PERMISSION
            raise TransitionRefused(words) from None
