"""The format ``mlflow3``: the bodies and headers of MLflow's own webhooks.

Source: MLflow 3.17, ``mlflow.webhooks.types`` and ``mlflow.webhooks.delivery``. ``timestamp`` is the time of
the change, and so the same on every attempt (MLflow sends the time of sending). ``tags`` is always empty: the
bridge announces each tag of a new model or version as an event of its own.
"""

from collections.abc import Callable, Mapping
from typing import Any

from bridge.diff.registry_changes import ChangeKind as K
from bridge.events.event import Event
from bridge.events.event_types import EventType
from bridge.events.formats.shared_body_values import Body, encode, moment

_Data = dict[str, Any]


def _model_created(event: Event) -> _Data:
    return {"name": event.model_name, "tags": {}, "description": event.changed.get("description")}


def _version_created(event: Event) -> _Data:
    changed = event.changed
    return {
        **_version(event),
        "source": changed.get("source") or "",
        "run_id": changed.get("run_id") or None,
        "tags": {},
        "description": changed.get("description") or None,
    }


def _version(event: Event) -> _Data:
    return {"name": event.model_name, "version": event.model_version}


def _tag_set(event: Event) -> _Data:
    return {**_version(event), "key": event.changed["key"], "value": event.changed["value"]}


def _tag_deleted(event: Event) -> _Data:
    return {**_version(event), "key": event.changed["key"]}


def _alias_set(event: Event) -> _Data:
    return {"name": event.model_name, "alias": event.changed["alias"], "version": event.model_version}


def _alias_deleted(event: Event) -> _Data:
    return {"name": event.model_name, "alias": event.changed["alias"]}


_NATIVE: Mapping[EventType, tuple[str, str, Callable[[Event], _Data]]] = {
    K.MODEL_CREATED: ("registered_model", "created", _model_created),
    K.VERSION_CREATED: ("model_version", "created", _version_created),
    K.VERSION_TAG_SET: ("model_version_tag", "set", _tag_set),
    K.VERSION_TAG_DELETED: ("model_version_tag", "deleted", _tag_deleted),
    K.ALIAS_SET: ("model_version_alias", "created", _alias_set),
    K.ALIAS_DELETED: ("model_version_alias", "deleted", _alias_deleted),
}

KINDS = frozenset(_NATIVE)


def render(event: Event, _event_name: str, _sink: str, now_ms: int) -> Body:
    """Render ``event`` as MLflow does, with the timestamp header, which MLflow sends even without a signature."""
    entity, action, data = _NATIVE[event.type]
    body = {
        "entity": entity,
        "action": action,
        "timestamp": moment(event.timestamp).isoformat(timespec="microseconds"),
        "data": data(event),
    }
    return Body(encode(body), headers={"X-MLflow-Timestamp": str(now_ms // 1000)})
