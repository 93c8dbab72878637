"""The format ``databricks``: the bodies of the Databricks workspace registry's own webhooks.

Source: Databricks, *Workspace Model Registry webhooks*. It documents the bodies for transitions and for tags
of versions. It also names creations, which have the members that the two documented bodies share, and requests,
of which public receivers read ``to_stage``, ``from_stage`` and ``user_id``. The format has no event for a rename, a
deletion or an alias.
"""

from typing import Any

from bridge.diff.registry_changes import ChangeKind as K
from bridge.events.event import Event
from bridge.events.event_types import EventType
from bridge.events.event_types import GovernanceKind as G
from bridge.events.formats.shared_body_values import Body, encode, webhook_id

KINDS: frozenset[EventType] = frozenset(
    {K.MODEL_CREATED, K.VERSION_CREATED, K.TRANSITIONED, K.VERSION_TAG_SET, G.REQUEST_CREATED}
)


def render(event: Event, event_name: str, sink: str, _now_ms: int) -> Body:
    """Render ``event`` as Databricks does; ``event_timestamp`` is in ms."""
    body: dict[str, Any] = {
        "event": event_name,
        "webhook_id": webhook_id(sink),
        "event_timestamp": event.timestamp,
        "model_name": event.model_name,
    }
    if event.model_version is not None:
        body["version"] = event.model_version
    return Body(encode({**body, **changed_members(event), "text": sentence(event)}))


def changed_members(event: Event) -> dict[str, Any]:
    """Return the members that say what changed; empty for creations."""
    changed = event.changed
    if event.type is K.TRANSITIONED:
        return {"to_stage": changed["to_stage"], "from_stage": changed["from_stage"]}
    if event.type is G.REQUEST_CREATED:
        return {**changed, "user_id": event.user_id}
    if event.type is K.VERSION_TAG_SET:
        return {"tags": [{"key": changed["key"], "value": changed["value"]}]}
    return {}


def request_sentence(event: Event) -> str:
    """Return the sentence about a request for a stage or an alias."""
    changed, who = event.changed, event.user_id or "A user"
    stages = f"a stage transition from {changed.get('from_stage')} to {changed.get('to_stage')}"
    asked = f"the alias '{changed['alias']}'" if "alias" in changed else stages
    return f"{who} requested {asked} for registered model '{event.model_name}' version {event.model_version}."


def sentence(event: Event) -> str:
    """Return the sentence for people, worded as Databricks words it; ``event`` is one of `KINDS`."""
    changed, name = event.changed, f"registered model '{event.model_name}'"
    version, who = event.model_version, event.user_id or "A user"
    if event.type is K.TRANSITIONED:
        stages = f"from {changed['from_stage']} to {changed['to_stage']}"
        return f"R{name[1:]} version {version} transitioned {stages}."
    if event.type is G.REQUEST_CREATED:
        return request_sentence(event)
    if event.type is K.VERSION_TAG_SET:
        return f"{who} set version tag(s) '{changed['key']}' => '{changed['value']}' for {name} version {version}."
    return f"{who} created {name}." if version is None else f"{who} created version {version} of {name}."
