"""The JSON schemas of the API's answers, for its OpenAPI description. More members may be added to each."""

from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, Any]

TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "integer"}
OBJECT: Schema = {"type": "object"}
TRUTH: Schema = {"type": "boolean"}
TIME: Schema = {"type": "integer", "description": "ms since the epoch"}


def either(schema: Schema) -> Schema:
    """Return the schema of a member that may be null."""
    return {"anyOf": [schema, {"type": "null"}]}


def some(items: Schema) -> Schema:
    """Return the schema of a list."""
    return {"type": "array", "items": items}


def an_object(required: Mapping[str, Schema], optional: Mapping[str, Schema] | None = None) -> Schema:
    """Return the schema of an object with these members, and perhaps others."""
    members = {**required, **(optional or {})}
    return {"type": "object", "required": list(required), "properties": members}


def named(name: str) -> Schema:
    """Return a reference to one of `SCHEMAS`."""
    return {"$ref": f"#/components/schemas/{name}"}


_ANYTHING: Schema = {}
_STATUSES = ["pending", "approved", "applied", "rejected", "cancelled", "expired", "failed"]
_GUARD: Schema = an_object(
    {"gate": TEXT, "models": some(TEXT), "to_stages": some(TEXT), "aliases": some(TEXT)}
)
_PAGE: Mapping[str, Schema] = {
    "next_cursor": {
        **TEXT,
        "description": "given as `cursor`, it returns what comes after; absent at the end",
    }
}
_EVENT: Mapping[str, Schema] = {
    "id": TEXT,
    "type": TEXT,
    "model_name": TEXT,
    "timestamp": TIME,
    "observed_at": TIME,
}
_ENTRY: Mapping[str, Schema] = {
    "id": NUMBER,
    "sink": TEXT,
    "event_id": TEXT,
    "event_name": TEXT,
    "status": {"enum": ["pending", "delivered", "dead"]},
    "attempts": NUMBER,
    "reason": TEXT,
    "event": either(named("Event")),
}
_WEBHOOK: Mapping[str, Schema] = {
    "id": TEXT,
    "events": some(TEXT),
    "creation_timestamp": TIME,
    "last_updated_timestamp": TIME,
    "status": {"enum": ["ACTIVE", "DISABLED", "TEST_MODE"]},
    "http_url_spec": an_object({"url": TEXT, "enable_ssl_verification": TRUTH}),
}

SCHEMAS: Mapping[str, Schema] = {
    "Error": an_object({"error_code": TEXT, "message": TEXT}),
    "Status": an_object(
        {
            **dict.fromkeys(("registry", "state", "watched", "snapshot", "governance"), OBJECT),
            **dict.fromkeys(("last_poll", "full_scan", "held"), either(OBJECT)),
            "doubted": some(TEXT),
            "left_aside": some(OBJECT),
            "sinks": some(OBJECT),
        }
    ),
    "Event": an_object(_EVENT),
    "EventWithDeliveries": an_object({**_EVENT, "deliveries": some(OBJECT)}),
    "Events": an_object({"events": some(named("Event"))}, _PAGE),
    "Note": an_object({"at": TIME, "kind": TEXT, "model": TEXT, "version": TEXT, "detail": TEXT, "by": TEXT}),
    "Notes": an_object({"notes": some(named("Note"))}, _PAGE),
    "Entry": an_object(_ENTRY),
    "EntryWithAttempts": an_object({**_ENTRY, "attempts_on_record": some(named("Attempt"))}),
    "Entries": an_object({"entries": some(named("Entry"))}, _PAGE),
    "Attempt": an_object(
        {"at": TIME, "duration_ms": NUMBER, "reason": TEXT, "status": either(NUMBER), "detail": TEXT}
    ),
    "Numbers": an_object({"entries": some(NUMBER)}),
    "Sink": an_object(
        {"name": TEXT, "type": either(TEXT), "to": either(TEXT), "condition": TEXT, "events": some(TEXT)}
    ),
    "Sinks": an_object({"sinks": some(named("Sink"))}),
    "Paused": an_object({"condition": TEXT}),
    "Resumed": an_object({"was": TEXT}),
    "Trial": an_object(
        {
            "sent": TRUTH,
            "exchanges": some(OBJECT),
            **dict.fromkeys(("outcome", "reason", "detail"), either(TEXT)),
        }
    ),
    "Guards": an_object({"guards": some(_GUARD), "is_polled": TRUTH}),
    "TransitionCheck": an_object(
        {"allowed": TRUTH, "reasons": some(TEXT), "guards": some(_GUARD), "is_polled": TRUTH}
    ),
    "Poll": an_object({**dict.fromkeys(("new", "delivered", "waiting"), NUMBER), "errors": some(OBJECT)}),
    "Webhook": an_object(_WEBHOOK, {"description": TEXT, "model_name": TEXT}),
    "WebhookAnswer": an_object({"webhook": named("Webhook")}, {"warnings": some(TEXT)}),
    "Webhooks": an_object({"webhooks": some(named("Webhook"))}, {"next_page_token": TEXT}),
    "WebhookTest": an_object({"body": TEXT}, {"status_code": NUMBER, "status": NUMBER}),
    "OpenRequests": an_object({"requests": some(named("Activity"))}),
    "RequestAnswer": an_object({"request": named("Activity")}),
    "ActivityAnswer": an_object({"activity": named("Activity")}),
    "Activity": an_object(
        {
            **dict.fromkeys(
                ("id", "transition_request_id", "activity_type", "user_id", "comment", "name", "version"),
                TEXT,
            ),
            "status": {"enum": _STATUSES},
            "creation_timestamp": TIME,
            "last_updated_timestamp": TIME,
            "available_actions": some(TEXT),
        },
        {
            "from_stage": TEXT,
            "to_stage": TEXT,
            "alias": TEXT,
            "previous_version": either(TEXT),
            "system_comment": TEXT,
        },
    ),
    "Request": an_object(
        {
            **dict.fromkeys(
                ("id", "model_name", "version", "creator", "comment", "decided_by", "decision_comment"), TEXT
            ),
            **dict.fromkeys(("stage", "alias", "before"), either(TEXT)),
            **dict.fromkeys(("system_comment", "error", "event_id"), TEXT),
            **dict.fromkeys(("created_at", "updated_at", "expires_at"), TIME),
            "decided_at": either(TIME),
            "status": {"enum": _STATUSES},
            "archive_existing_versions": TRUTH,
            "approvals": some(OBJECT),
            "verdicts": some(OBJECT),
            "attempts": NUMBER,
        }
    ),
    "Requests": an_object({"requests": some(named("Request"))}, _PAGE),
    "Gates": an_object({"gates": some(OBJECT)}),
    "Nothing": an_object({}),
    "Description": an_object({"openapi": TEXT, "info": _ANYTHING, "paths": _ANYTHING}),
}
"""The schemas by their names."""
