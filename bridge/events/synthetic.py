"""Events about nothing, to try a sink out with: shaped as the real ones are. Pure."""

from bridge.diff.changes import Change
from bridge.diff.changes import ChangeKind as K
from bridge.events.event import Event, event_of
from bridge.events.names import EVENT_NAMES

TEST_MODEL = "mlflow-bridge-test"
"""What says that such an event is a test: no registry should have a model of this name."""

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


def synthetic_event(name: str, to_stages: tuple[str, ...], event_id: str, now_ms: int) -> Event:
    """Return an event of the type called ``name``, as it were observed at ``now_ms`` (since the epoch).

    A transition goes into the stage that the name means, else the first of ``to_stages`` (what
    a sink filters by; none means all).
    """
    asked = EVENT_NAMES[name]
    kind = asked.kind
    key, before, after = _VALUES.get(kind, (None, None, None))
    if kind is K.TRANSITIONED:
        after = asked.to_stage or next(iter(to_stages), "Production")
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
