"""Hints: MLflow's server says which model was changed, how, and by whom (see `bridge.mlflow_app`). Pure.

A hint proves nothing. It has a model read at once; what is read is what counts. Only where the read shows the very
change that a hint names, its user is that of the event.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from bridge.diff.registry_changes import ChangeKind
from bridge.events.event import Event

_ARCHIVED = "Archived"

Arguments = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Hint:
    """What MLflow's server answered with success.

    Attributes:
        model: the name of the model before the change.
        operation: the end of the request's path in MLflow's REST API, such as ``model-versions/transition-stage``
            (``registered-models/set-alias`` and ``…/delete-alias`` for the two that share one); empty if all that is
            known is the model.
        arguments: the members of the request, as text; of a created version, also its number.
        user: who asked, or None where the server does not authenticate.
    """

    model: str
    operation: str = ""
    arguments: Arguments = field(default_factory=dict)
    user: str | None = None

    @property
    def models(self) -> tuple[str, ...]:
        """The names to read: of a renamed model, both."""
        new_name = self.arguments.get("new_name", "")
        return (self.model, new_name) if self.operation == _RENAME and new_name else (self.model,)


_RENAME = "registered-models/rename"

_MEMBERS: Mapping[str, tuple[ChangeKind, Mapping[str, str]]] = {
    "registered-models/create": (ChangeKind.MODEL_CREATED, {}),
    "registered-models/delete": (ChangeKind.MODEL_DELETED, {}),
    "registered-models/update": (ChangeKind.MODEL_UPDATED, {"description": "description"}),
    "registered-models/set-tag": (ChangeKind.MODEL_TAG_SET, {"key": "key", "value": "value"}),
    "registered-models/delete-tag": (ChangeKind.MODEL_TAG_DELETED, {"key": "key"}),
    "registered-models/set-alias": (ChangeKind.ALIAS_SET, {"alias": "alias"}),
    "registered-models/delete-alias": (ChangeKind.ALIAS_DELETED, {"alias": "alias"}),
    "model-versions/create": (ChangeKind.VERSION_CREATED, {}),
    "model-versions/delete": (ChangeKind.VERSION_DELETED, {}),
    "model-versions/update": (ChangeKind.VERSION_UPDATED, {"description": "description"}),
    "model-versions/set-tag": (ChangeKind.VERSION_TAG_SET, {"key": "key", "value": "value"}),
    "model-versions/delete-tag": (ChangeKind.VERSION_TAG_DELETED, {"key": "key"}),
}
"""The kind of event that each operation causes, and which members of the event are which arguments."""


def with_users(events: Iterable[Event], hints: Iterable[Hint]) -> tuple[Event, ...]:
    """Return ``events`` with the users whom hints name for them.

    An event that the registry itself gives a user keeps that. If the hints that name a change are by several users, or
    by one who is not known, it is nobody's.
    """
    by_model: dict[str, list[Hint]] = {}
    for hint in hints:
        for name in hint.models:
            by_model.setdefault(name, []).append(hint)
    return tuple(_with_user(event, by_model.get(event.model_name, ())) for event in events)


def _with_user(event: Event, hints: Iterable[Hint]) -> Event:
    if event.user_id is not None:
        return event
    users = {hint.user for hint in hints if names_change(hint, event)}
    return replace(event, user_id=users.pop()) if len(users) == 1 else event


def names_change(hint: Hint, event: Event) -> bool:
    """Whether ``hint`` names the very change that ``event``, of one of its models, tells of."""
    special = _SPECIAL.get(hint.operation)
    if special is not None:
        return special(hint, event)
    kind, members = _MEMBERS.get(hint.operation, (None, {}))
    if event.type is not kind or event.model_name != hint.model:
        return False
    if event.model_version is not None and _version_of(hint, event) != event.model_version:
        return False
    return all(
        (event.changed.get(member) or "") == hint.arguments.get(argument, "")
        for member, argument in members.items()
    )


def _version_of(hint: Hint, event: Event) -> str | None:
    """Return the version that a hint names; the deletion of an alias names none."""
    return event.model_version if event.type is ChangeKind.ALIAS_DELETED else hint.arguments.get("version")


def _is_rename(hint: Hint, event: Event) -> bool:
    if event.type is not ChangeKind.MODEL_RENAMED:
        return False
    names = (event.changed.get("previous_name"), event.model_name)
    return names == (hint.model, hint.arguments.get("new_name"))


def _is_transition(hint: Hint, event: Event) -> bool:
    """Whether it is the transition itself, or that of a version which it archived."""
    if event.type is not ChangeKind.TRANSITIONED or event.model_name != hint.model:
        return False
    stage = hint.arguments.get("stage")
    if event.model_version == hint.arguments.get("version"):
        return event.changed.get("to_stage") == stage
    moved = (event.changed.get("from_stage"), event.changed.get("to_stage"))
    return moved == (stage, _ARCHIVED) and hint.arguments.get("archive_existing_versions") == "true"


_SPECIAL: Mapping[str, Callable[[Hint, Event], bool]] = {
    _RENAME: _is_rename,
    "model-versions/transition-stage": _is_transition,
}
