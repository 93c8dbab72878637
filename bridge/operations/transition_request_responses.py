"""The answers about transition requests, in the terms of Databricks' API and in the bridge's own. Pure."""

from typing import Any

from bridge.governance.transition_request import RequestStatus, TransitionRequest

Document = dict[str, Any]

_ACTIVITIES = {
    RequestStatus.PENDING: "REQUESTED_TRANSITION",
    RequestStatus.APPROVED: "APPROVED_REQUEST",
    RequestStatus.APPLIED: "APPLIED_TRANSITION",
    RequestStatus.FAILED: "APPROVED_REQUEST",
    RequestStatus.REJECTED: "REJECTED_REQUEST",
    RequestStatus.CANCELLED: "CANCELLED_REQUEST",
    RequestStatus.EXPIRED: "CANCELLED_REQUEST",
}
"""Databricks' ``activity_type`` of each status."""

_ACTIONS = ("APPROVE_TRANSITION_REQUEST", "REJECT_TRANSITION_REQUEST", "CANCEL_TRANSITION_REQUEST")


def request_answer(request: TransitionRequest) -> Document:
    """Return a request as *create* and *list* show it."""
    is_open = request.status is RequestStatus.PENDING
    return {
        **_activity(request),
        "activity_type": _ACTIVITIES[RequestStatus.PENDING],
        "user_id": request.creator,
        "comment": request.comment,
        "available_actions": list(_ACTIONS) if is_open else [],
    }


def activity_answer(request: TransitionRequest, kind: RequestStatus, by: str, comment: str) -> Document:
    """Return what somebody did to a request, as *approve*, *reject* and *delete* show it."""
    found = {
        **_activity(request),
        "activity_type": _ACTIVITIES[kind],
        "user_id": by,
        "comment": comment,
        "available_actions": [],
    }
    return {**found, "system_comment": request.system_comment} if request.system_comment else found


def _activity(request: TransitionRequest) -> Document:
    target = request.target
    about = (
        {"from_stage": request.before, "to_stage": target.stage}
        if target.alias is None
        else {"alias": target.alias, "previous_version": request.before}
    )
    return {
        "id": request.id,
        "transition_request_id": request.id,
        "name": request.model_name,
        "version": request.version,
        "status": request.status.value,
        "creation_timestamp": request.created_at,
        "last_updated_timestamp": request.updated_at,
        **about,
    }


def request_document(request: TransitionRequest) -> Document:
    """Return everything about a request, as the bridge's own API and the commands show it."""
    application = request.application
    return {
        "id": request.id,
        "status": request.status.value,
        "model_name": request.model_name,
        "version": request.version,
        "stage": request.target.stage,
        "alias": request.target.alias,
        "before": request.before,
        "creator": request.creator,
        "comment": request.comment,
        "archive_existing_versions": request.archives,
        "created_at": request.created_at,
        "updated_at": request.updated_at,
        "expires_at": request.expires_at,
        "approvals": [{"by": one.by, "at": one.at, "comment": one.comment} for one in request.approvals],
        "verdicts": [one.to_document() for one in request.verdicts],
        "decided_by": request.decided_by,
        "decided_at": request.decided_at,
        "decision_comment": request.decision_comment,
        "system_comment": request.system_comment,
        "attempts": application.attempts,
        "error": application.error,
        "event_id": request.event_id,
    }
