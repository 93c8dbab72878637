"""Sample events for testing a sink, shaped like real ones. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from bridge.diff.registry_changes import Change
from bridge.diff.registry_changes import ChangeKind as K
from bridge.events.event import Event, event_of
from bridge.events.event_details import assembled
from bridge.events.event_names import EVENT_NAMES, EventName
from bridge.events.event_types import GovernanceKind

TEST_MODEL = "mlflow-bridge-test"
"""The model name that marks an event as a test: no registry should have a model of this name."""

_TEXT = "sent by mlflow-bridge sinks test"
_VALUES: dict[K, tuple[str | None, str | None, str | None]] = {
    K.MODEL_RENAMED: (None, f"{TEST_MODEL}-before", TEST_MODEL),
    K.MODEL_UPDATED: (None, "", _TEXT),
    K.MODEL_TAG_SET: ("test", None, "true"),
    K.MODEL_TAG_DELETED: ("test", "true", None),
    K.VERSION_UPDATED: (None, "", _TEXT),
    K.STATUS_CHANGED: (None, "PENDING_REGISTRATION", "READY"),
    K.VERSION_TAG_SET: ("test", None, "true"),
    K.VERSION_TAG_DELETED: ("test", "true", None),
    K.ALIAS_SET: ("test", None, "1"),
    K.ALIAS_DELETED: ("test", "1", None),
}
"""Key, value before and value after."""

_DETAILS = {
    K.MODEL_CREATED: (("description", _TEXT),),
    K.VERSION_CREATED: (("description", _TEXT), ("run_id", ""), ("source", ""), ("status", "READY")),
}


_RUN_ID = "0" * 32
_OF_THE_MODEL = {
    "name": TEST_MODEL,
    "description": _TEXT,
    "created": 0,
    "versions": 2,
    "latest_version": "2",
    "stages": {"Production": ["1"], "Staging": ["2"]},
    "aliases": {"champion": "1"},
    "tags": {"test": "true"},
}
_OF_THE_VERSION = {
    "version": "1",
    "stage": "Production",
    "status": "READY",
    "description": _TEXT,
    "user_id": "test",
    "created": 0,
    "updated": 0,
    "run_id": _RUN_ID,
    "run_link": "https://mlflow.example.com/run",
    "model_id": "m-" + "0" * 32,
    "source": f"runs:/{_RUN_ID}/model",
    "aliases": ["champion"],
    "tags": {"test": "true"},
    "artifact_location": f"mlflow-artifacts:/0/{_RUN_ID}/artifacts/model",
    "signature": {
        "inputs": [{"name": "x", "type": "double", "required": True}],
        "outputs": [{"type": "double", "required": True}],
        "params": None,
    },
}
_OF_THE_RUN = {
    "run_id": _RUN_ID,
    "name": TEST_MODEL,
    "status": "FINISHED",
    "lifecycle_stage": "active",
    "user_id": "test",
    "experiment_id": "0",
    "started": 0,
    "ended": 0,
    "artifact_location": f"mlflow-artifacts:/0/{_RUN_ID}/artifacts",
    "metrics": {"accuracy": 0.97},
    "params": {"alpha": "0.5"},
    "tags": {"mlflow.source.name": "train.py"},
}
_DETAILS_TOLD: Mapping[str, Any] = {"run": _OF_THE_RUN, "model": _OF_THE_MODEL, "version": _OF_THE_VERSION}


def synthetic_details(parts: Iterable[str]) -> dict[str, Any]:
    """Return sample details of a version."""
    return assembled(parts, _DETAILS_TOLD)


def with_details(event: Event, parts: tuple[str, ...]) -> Event:
    """Return a sample event with the details that a sink asks for, if it asks for any."""
    return replace(event, details=synthetic_details(parts)) if parts else event


def synthetic_event(name: str, to_stages: tuple[str, ...], event_id: str, now_ms: int) -> Event:
    """Return a sample event of the type called ``name``, observed at ``now_ms`` (since the epoch).

    A transition goes into the stage that the name means, else into the first of ``to_stages`` (the stages
    that a sink filters by; empty means all).
    """
    asked = EVENT_NAMES[name]
    kind = asked.kind
    if isinstance(kind, GovernanceKind):
        return _of_a_request(kind, _stage(asked, to_stages), event_id, now_ms)
    key, before, after = _VALUES.get(kind, (None, None, None))
    if kind is K.TRANSITIONED:
        after = _stage(asked, to_stages)
        before = "None" if after == "Staging" else "Staging"
    change = Change(
        kind,
        TEST_MODEL,
        now_ms,
        version="1" if kind.value.startswith("MODEL_VERSION") else None,
        key=key,
        before=before,
        after=after,
        changed_at=now_ms,
        details=_DETAILS.get(kind, ()),
    )
    return event_of(change, event_id, TEST_MODEL, now_ms)


def _stage(asked: EventName, to_stages: tuple[str, ...]) -> str:
    return asked.to_stage or next(iter(to_stages), "Production")


def _of_a_request(kind: GovernanceKind, stage: str, event_id: str, now_ms: int) -> Event:
    about: dict[str, str | None] = {"to_stage": stage}
    request = {"transition_request_id": "tr_" + "0" * 32}
    members: dict[str, str | None]
    if kind is GovernanceKind.GATE_FAILED:
        members = {**about, **request, "gate": "test", "reasons": _TEXT}
    elif kind is GovernanceKind.TRANSITION_REVERTED:
        members = {**about, "from_stage": "Staging", "reasons": _TEXT}
    else:
        before = "None" if stage == "Staging" else "Staging"
        members = {**about, "from_stage": before, **request, "comment": _TEXT}
    return Event(event_id, kind, now_ms, now_ms, TEST_MODEL, TEST_MODEL, "1", None, members)
