"""The format ``registry``: the default body, with the members that receivers of registry webhooks read besides.

Receivers written for Databricks' *Workspace Model Registry webhooks* find ``version``, ``event_timestamp``, ``text``
and, for a tag of a version, ``tags``. ``webhook_type`` tells a transition that happened from one that is only
requested. Databricks has no event for renames, deletions, aliases and tags of models: their sentences are ours.
"""

from collections.abc import Mapping
from typing import Any

from bridge.diff.registry_changes import ChangeKind as K
from bridge.events.event import Event
from bridge.events.event_types import EventType
from bridge.events.event_types import GovernanceKind as G
from bridge.events.formats import databricks
from bridge.events.formats.shared_body_values import Body, default_payload, encode, webhook_id

COMPLETED = "TRANSITION_COMPLETED"
"""The ``webhook_type`` of a transition that happened."""

REQUESTED = G.REQUEST_CREATED.value
"""The ``webhook_type`` of a request, told to a receiver that asks for transitions."""

_MODEL, _VERSION = "registered model '{model}'", "registered model '{model}' version {version}"

_SENTENCES: Mapping[EventType, str] = {
    K.MODEL_DELETED: "{who} deleted " + _MODEL,
    K.MODEL_RENAMED: "{who} renamed registered model '{previous_name}' to '{model}'",
    K.MODEL_UPDATED: "{who} changed the description of " + _MODEL,
    K.MODEL_TAG_SET: "{who} set tag '{key}' => '{value}' for " + _MODEL,
    K.MODEL_TAG_DELETED: "{who} deleted tag '{key}' of " + _MODEL,
    K.VERSION_DELETED: "{who} deleted " + _VERSION,
    K.VERSION_UPDATED: "{who} changed the description of " + _VERSION,
    K.STATUS_CHANGED: "Registered model '{model}' version {version} has status {status} now",
    K.VERSION_TAG_DELETED: "{who} deleted version tag '{key}' of " + _VERSION,
    K.ALIAS_SET: "{who} set alias '{alias}' to " + _VERSION,
    K.ALIAS_DELETED: "{who} deleted alias '{alias}' of " + _VERSION,
    G.REQUEST_APPROVED: "{who} approved {asked} for " + _VERSION,
    G.REQUEST_REJECTED: "{who} rejected {asked} for " + _VERSION,
    G.REQUEST_CANCELLED: "{who} cancelled the request of {asked} for " + _VERSION,
    G.REQUEST_EXPIRED: "The request of {asked} for " + _VERSION + " expired",
    G.TRANSITION_REVERTED: "{asked} of " + _VERSION + " was undone: {reasons}",
    G.GATE_FAILED: "Gate '{gate}' does not let " + _VERSION + " have {asked}: {reasons}",
}


def render(event: Event, event_name: str, sink: str, _now_ms: int) -> Body:
    """Render ``event``; all times are in ms since the epoch."""
    return render_for(event, event_name, webhook_id(sink))


def render_for(event: Event, event_name: str, identifier: str) -> Body:
    """Render ``event`` for the webhook with this id."""
    if event.type is G.REQUEST_CREATED and event_name == K.TRANSITIONED.value:
        return Body(encode(_request(event, event_name, identifier)))
    body: dict[str, Any] = default_payload(event, event_name, ("webhook_id", identifier))
    if event.model_version is not None:
        body["version"] = event.model_version
    body |= {"event_timestamp": event.timestamp, **databricks.changed_members(event), "text": _text(event)}
    if event.type is K.TRANSITIONED:
        body["webhook_type"] = COMPLETED
    return Body(encode(body))


def _request(event: Event, event_name: str, identifier: str) -> dict[str, Any]:
    """Return a request as it is told to receivers of transitions.

    It has ``stage``, and neither ``to_stage`` nor ``model_version``: a receiver that deploys what it finds there must
    not take a request for a transition that happened.
    """
    changed = event.changed
    return {
        "event": event_name,
        "webhook_type": REQUESTED,
        "model_name": event.model_name,
        "version": event.model_version,
        "stage": changed["to_stage"],
        "transition_request_id": changed["transition_request_id"],
        "timestamp": event.timestamp,
        "event_timestamp": event.timestamp,
        "user_id": event.user_id,
        "webhook_id": identifier,
        "comment": changed["comment"],
        "text": databricks.request_sentence(event),
    }


def _text(event: Event) -> str:
    """Return a sentence for people, such as chat receivers show."""
    if event.type in databricks.KINDS:
        return databricks.sentence(event)
    changed = event.changed
    asked = f"alias '{changed['alias']}'" if "alias" in changed else f"stage {changed.get('to_stage')}"
    values = {
        "model": event.model_name,
        "version": event.model_version,
        "who": event.user_id or "A user",
        "asked": asked,
    }
    return _SENTENCES[event.type].format(**{**changed, **values}) + "."
