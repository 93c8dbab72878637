"""The events about transition requests and direct transitions. Pure."""

from uuid import UUID, uuid5

from bridge.events.event import Event
from bridge.events.event_types import GovernanceKind as G
from bridge.governance.direct_transition import DirectTransition
from bridge.governance.gate import Verdict
from bridge.governance.transition_request import RequestStatus, TransitionRequest

_ENDS = {
    RequestStatus.APPROVED: G.REQUEST_APPROVED,
    RequestStatus.REJECTED: G.REQUEST_REJECTED,
    RequestStatus.CANCELLED: G.REQUEST_CANCELLED,
    RequestStatus.EXPIRED: G.REQUEST_EXPIRED,
}


def creation_event(request: TransitionRequest, state_id: str) -> Event:
    """Return the event that tells of a new request."""
    changed = {**_members(request), "comment": request.comment}
    return _event(request, G.REQUEST_CREATED, state_id, request.creator, changed)


def status_event(request: TransitionRequest, state_id: str) -> Event | None:
    """Return the event that tells of the present status of a request; None if none does."""
    kind = _ENDS.get(request.status)
    if kind is None:
        return None
    comment = request.decision_comment or request.system_comment
    return _event(request, kind, state_id, request.decided_by, {**_members(request), "comment": comment})


def gate_event(request: TransitionRequest, verdict: Verdict, state_id: str) -> Event:
    """Return the event that tells that a request failed a gate."""
    changed = {**_members(request), "gate": verdict.gate, "reasons": "; ".join(verdict.reasons)}
    changed.pop("from_stage", None)  # a GitHub dispatch takes ten members
    return _event(request, G.GATE_FAILED, state_id, request.creator, changed, f"{verdict.gate} {verdict.at}")


def failure_event(direct: DirectTransition, verdict: Verdict, state_id: str) -> Event:
    """Return the event that tells that a direct transition failed a gate."""
    changed = {**_about(direct), "gate": verdict.gate, "reasons": "; ".join(verdict.reasons)}
    changed.pop("from_stage", None)  # as with requests
    return _event(direct, G.GATE_FAILED, state_id, "", changed, verdict.gate)


def reversal_event(direct: DirectTransition, state_id: str) -> Event:
    """Return the event that tells that a direct transition was undone; ``to_stage`` is the stage that was refused."""
    changed = {**_about(direct), "reasons": "; ".join(direct.reasons)}
    return _event(direct, G.TRANSITION_REVERTED, state_id, "", changed)


def _about(one: TransitionRequest | DirectTransition) -> dict[str, str | None]:
    if one.target.alias is not None:
        return {"alias": one.target.alias, "previous_version": one.before}
    return {"to_stage": one.target.stage, "from_stage": one.before}


def _members(request: TransitionRequest) -> dict[str, str | None]:
    return {**_about(request), "transition_request_id": request.id}


def _event(
    request: TransitionRequest | DirectTransition,
    kind: G,
    state_id: str,
    who: str,
    changed: dict[str, str | None],
    more: str = "",
) -> Event:
    return Event(
        id=str(uuid5(UUID(state_id), f"{request.id} {kind.value} {more}")),
        type=kind,
        timestamp=request.updated_at,
        observed_at=request.updated_at,
        lane=request.lane,
        model_name=request.model_name,
        model_version=request.version,
        user_id=who or None,
        changed=changed,
    )
