"""The event names that a configuration can use.

These are the contract's own names, Databricks' narrower names for a transition into one stage (Databricks,
*Model Registry webhooks*) or for a request for one, and the names of MLflow's own webhooks (MLflow, *Webhooks*: ``entity.action``).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from bridge.diff.registry_changes import ChangeKind
from bridge.events.event_types import EVENT_TYPES, EventType, GovernanceKind


@dataclass(frozen=True, slots=True)
class EventName:
    """One accepted name: which events it selects, and under which name they are sent."""

    name: str
    kind: EventType
    to_stage: str | None = None

    def selects(self, kind: EventType, to_stage: str | None) -> bool:
        """Whether this name selects an event of ``kind`` (into ``to_stage``)."""
        return self.kind is kind and self.to_stage in (None, to_stage)


def _narrower(stage: str) -> EventName:
    name = f"MODEL_VERSION_TRANSITIONED_TO_{stage.upper()}"
    return EventName(name, ChangeKind.TRANSITIONED, stage)


def _narrower_request(stage: str) -> EventName:
    name = f"TRANSITION_REQUEST_TO_{stage.upper()}_CREATED"
    return EventName(name, GovernanceKind.REQUEST_CREATED, stage)


_TOLD_BY_STAGE = ("Staging", "Production", "Archived")

_NATIVE: Mapping[str, ChangeKind] = {
    "registered_model.created": ChangeKind.MODEL_CREATED,
    "model_version.created": ChangeKind.VERSION_CREATED,
    "model_version_tag.set": ChangeKind.VERSION_TAG_SET,
    "model_version_tag.deleted": ChangeKind.VERSION_TAG_DELETED,
    "model_version_alias.created": ChangeKind.ALIAS_SET,
    "model_version_alias.deleted": ChangeKind.ALIAS_DELETED,
}

EVENT_NAMES: Mapping[str, EventName] = {
    **{kind.value: EventName(kind.value, kind) for kind in EVENT_TYPES},
    **{name.name: name for name in map(_narrower, _TOLD_BY_STAGE)},
    **{name.name: name for name in map(_narrower_request, _TOLD_BY_STAGE)},
    **{name: EventName(kind.value, kind) for name, kind in _NATIVE.items()},
}
"""Every accepted name. MLflow's own names are synonyms: the event is sent under the contract's name."""

STAGES = ("None", "Staging", "Production", "Archived")
"""MLflow's stages (MLflow, ``ALL_STAGES``)."""

DEFAULT_EVENTS = (ChangeKind.TRANSITIONED.value,)
"""The events of a sink that names none."""
