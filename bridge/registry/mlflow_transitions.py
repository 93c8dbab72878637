"""Makes transitions of stages and aliases through MLflow's client."""

import warnings
from collections.abc import Callable
from typing import Any, TypeVar

from bridge.config import RegistrySettings
from bridge.diff.absence_verification import Absence
from bridge.diff.snapshot import NO_STAGE
from bridge.errors import RegistryError, TransitionRefused
from bridge.governance.movement import Movement, Standing
from bridge.registry.base import Deadline
from bridge.registry.error_translation import is_final, is_refusal
from bridge.registry.mlflow_client import Connection

T = TypeVar("T")

_NO_TAG = "mlflow_bridge.permission"
"""A tag that no model has."""

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

    def standing(self, movement: Movement, deadline: Deadline) -> Standing | Absence:
        """Return where a version stands, by ``get_model_version``, and an alias, by ``get_registered_model``.

        Raises:
            RegistryError: there was no usable answer.
        """
        name, alias = movement.model_name, movement.target.alias
        holder = None
        if alias is not None:
            model = self._connection.point_read(deadline, lambda client: client.get_registered_model(name))
            if isinstance(model, Absence):
                return model
            found = (model.aliases or {}).get(alias)
            holder = None if found is None else str(found)
        if not movement.version:
            return Standing(0, 0, NO_STAGE, holder)
        version = self._connection.point_read(
            deadline, lambda client: client.get_model_version(name, movement.version)
        )
        if isinstance(version, Absence):
            return version
        stage = version.current_stage or NO_STAGE
        return Standing(version.creation_timestamp, version.last_updated_timestamp, stage, holder)

    def make(self, movement: Movement, deadline: Deadline, *, archives: bool) -> int:
        """Call ``transition_model_version_stage``, ``set_registered_model_alias`` or ``delete_…``, once.

        Raises:
            TransitionRefused: the registry will never take this.
            RegistryError: there was no usable answer: it may have been made, or not.
        """
        name, version, target = movement.model_name, movement.version, movement.target
        if target.alias is not None and version:
            self._written(
                deadline, lambda client: client.set_registered_model_alias(name, target.alias, version)
            )
            return 0
        if target.alias is not None:
            self._written(deadline, lambda client: client.delete_registered_model_alias(name, target.alias))
            return 0
        made = self._written(
            deadline,
            lambda client: client.transition_model_version_stage(
                name, version, target.stage, archive_existing_versions=archives and target.can_archive
            ),
        )
        return int(made.last_updated_timestamp)

    def write_fault(self, name: str, deadline: Deadline) -> str:
        """Return why a model may not be changed: MLflow checks that before it finds that there is no such tag to delete.

        Raises:
            RegistryError: there was no usable answer.
        """
        try:
            self._written(deadline, lambda client: client.delete_registered_model_tag(name, _NO_TAG))
        except TransitionRefused as error:
            return str(error) if error.is_denied else ""
        return ""

    def tag(self, movement: Movement, key: str, value: str, deadline: Deadline) -> None:
        """Call ``set_model_version_tag``; raises as `make` does."""
        self._written(
            deadline,
            lambda client: client.set_model_version_tag(movement.model_name, movement.version, key, value),
        )

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
            if is_refusal(cause):
                raise TransitionRefused(_NO_PERMISSION, is_denied=True) from None
            raise TransitionRefused(str(getattr(cause, "message", "")) or str(error)) from None
