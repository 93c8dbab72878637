"""The event: a change with an id and a lane."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

from bridge.diff.registry_changes import Change, ChangeKind
from bridge.events.event_types import EventType, event_type


@dataclass(frozen=True, slots=True)
class Event:
    """One event, as it is recorded, routed and delivered.

    Attributes:
        id: a UUID, the same for every attempt and after every restart.
        type: the contract's name of the event.
        timestamp: ms since the epoch: the registry's own time of the change where it
            records one, else the time of observation.
        observed_at: ms since the epoch, by the bridge's clock.
        lane: the key that keeps the events of one model in order, through renames.
        model_name: the model, by its new name after a rename.
        model_version: the version number as a string, or None.
        user_id: the user whom the registry records, or None (open-source MLflow records nobody).
        changed: what changed, under the member names of the default body.
        flags: what a reader of the audit trail should know (see `bridge.diff.registry_changes.Flag`).
        details: the run, model and version (see `bridge.events.event_details`), for sinks that ask
            for them; stored beside the event, not in its document.
    """

    id: str
    type: EventType
    timestamp: int
    observed_at: int
    lane: str
    model_name: str
    model_version: str | None
    user_id: str | None
    changed: Mapping[str, str | None]
    flags: tuple[str, ...] = ()
    details: Mapping[str, Any] | None = None

    def to_document(self) -> dict[str, Any]:
        """Return the event as plain JSON values, for the store."""
        values = {name: getattr(self, name) for name in _MEMBERS}
        return {
            **values,
            "type": self.type.value,
            "changed": dict(self.changed),
            "flags": list(self.flags),
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Return the event that `to_document` wrote; members of later versions are ignored."""
        values = {name: document[name] for name in _MEMBERS if name in document}
        values["type"] = event_type(values["type"])
        values["flags"] = tuple(values.get("flags", ()))
        return cls(**values)


_MEMBERS = tuple(field.name for field in fields(Event) if field.name != "details")


def event_of(change: Change, event_id: str, lane: str, observed_at: int) -> Event:
    """Return the event that announces ``change``."""
    return Event(
        id=event_id,
        type=change.kind,
        timestamp=observed_at if change.changed_at is None else change.changed_at,
        observed_at=observed_at,
        lane=lane,
        model_name=change.model,
        model_version=change.version,
        user_id=change.user_id or None,
        changed=dict(_changed(change)),
        flags=tuple(flag.value for flag in change.flags),
    )


_NAMES: Mapping[ChangeKind, tuple[str | None, str | None, str | None]] = {
    ChangeKind.MODEL_RENAMED: (None, None, "previous_name"),
    ChangeKind.MODEL_UPDATED: (None, "description", "previous_description"),
    ChangeKind.MODEL_TAG_SET: ("key", "value", "previous_value"),
    ChangeKind.MODEL_TAG_DELETED: ("key", None, "previous_value"),
    ChangeKind.VERSION_UPDATED: (None, "description", "previous_description"),
    ChangeKind.STATUS_CHANGED: (None, "status", "previous_status"),
    ChangeKind.TRANSITIONED: (None, "to_stage", "from_stage"),
    ChangeKind.VERSION_TAG_SET: ("key", "value", "previous_value"),
    ChangeKind.VERSION_TAG_DELETED: ("key", None, "previous_value"),
    ChangeKind.ALIAS_SET: ("alias", None, "previous_version"),
    ChangeKind.ALIAS_DELETED: ("alias", None, None),
}
"""The names that an event gives to a change's key, value after, and value before."""


def _changed(change: Change) -> Iterator[tuple[str, str | None]]:
    key, after, before = _NAMES.get(change.kind, (None, None, None))
    for name, value in ((key, change.key), (after, change.after), (before, change.before)):
        if name is not None:
            yield name, value
    yield from change.details
