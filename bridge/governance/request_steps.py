"""What has to be done next about an open transition request. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto

from bridge.delivery.event_routing import Routed
from bridge.diff.registry_changes import ChangeKind
from bridge.diff.snapshot import NO_STAGE, RegisteredModel, version_order
from bridge.events.event import Event
from bridge.governance.gate import Finding, Gate
from bridge.governance.transition_request import RequestStatus, TransitionRequest
from bridge.governance.transition_target import Target

REJUDGE_MS = 60_000
"""How long an inconclusive request waits until it is judged again."""


class Step(Enum):
    """What has to be done about a request."""

    NOTHING = auto()
    """It waits for somebody's decision."""
    EXPIRE = auto()
    JUDGE = auto()
    APPLY = auto()


@dataclass(frozen=True, slots=True)
class Next:
    """The next step of a request, and in how many ms it is due."""

    step: Step
    wait_ms: int = 0


def next_step(request: TransitionRequest, gates: Sequence[Gate], now_ms: int) -> Next:
    """Return the next step of an open request; ``gates`` are those that guard what it asks for."""
    if request.status is RequestStatus.APPROVED:
        return Next(Step.APPLY, left_ms(request.application.last_at, request.application.wait_ms, now_ms))
    left = max(0, min(request.expires_at - now_ms, request.expires_at - request.created_at))
    if left == 0:
        return Next(Step.EXPIRE)
    judgement = _judged_in(request, gates, now_ms)
    if judgement is not None and judgement < left:
        return Next(Step.JUDGE, judgement)
    return Next(Step.EXPIRE, left)


def _judged_in(request: TransitionRequest, gates: Sequence[Gate], now_ms: int) -> int | None:
    """Return in how many ms a request is judged; None if its verdicts stand."""
    by_gate = {one.gate: one for one in request.verdicts}
    if request.approvals and not any(gate.mode.decides for gate in gates):
        return 0  # the gate that waited for more of them is gone
    waits: list[int] = []
    for gate in gates:
        verdict = by_gate.get(gate.name)
        if verdict is None:
            return 0
        decides = gate.mode.decides
        if decides and len(request.approvals) > verdict.approvals:
            return 0
        if not verdict.is_final or (decides and verdict.finding is Finding.INCONCLUSIVE):
            waits.append(left_ms(verdict.at, REJUDGE_MS, now_ms))
    return min(waits, default=None)


def left_ms(since: int | None, wait_ms: int, now_ms: int) -> int:
    """Return what is left of a wait; one that a wrong clock made longer is cut."""
    return 0 if since is None else max(0, min(since + wait_ms - now_ms, wait_ms))


def overtaken(request: TransitionRequest, model: RegisteredModel | None, lane: str | None) -> str:
    """Return why a pending request cannot be fulfilled any more, by what was observed; empty if it can.

    ``model`` and ``lane`` are those that have the request's name now.
    """
    if model is None or lane != request.lane:
        return f"the model {request.model_name!r} was deleted or renamed: ask again under its new name"
    version = model.versions.get(request.version)
    if version is None or version.created != request.version_created:
        return f"version {request.version} was deleted"
    present = holder_of(model, request.version, request.target)
    if present == request.before:
        return ""
    if request.target.alias is not None:
        where = f"is at version {present}" if present else "is gone"
        return f"the alias @{request.target.alias} {where}: it was moved since it was asked for"
    return f"the version is in {present} now, and was in {request.before} when it was asked for"


def holder_of(model: RegisteredModel, version: str, target: Target) -> str | None:
    """Return what a request asks to change: the version's stage, or the version that has the alias (None: none)."""
    if target.alias is not None:
        return dict(model.aliases).get(target.alias)
    found = model.versions.get(version)
    return found.stage if found else NO_STAGE


def incumbent_of(model: RegisteredModel, version: str, target: Target) -> str | None:
    """Return the version that holds the stage (the newest of several) or the alias now, if it is another; or None."""
    if target.alias is not None:
        holder = dict(model.aliases).get(target.alias)
        return holder if holder != version else None
    holders = [
        one.version for one in model.versions.values() if one.stage == target.stage and one.version != version
    ]
    return max(holders, key=version_order, default=None)


def with_grants(
    events: Sequence[Event], routed: Sequence[Routed], grants: Sequence[TransitionRequest]
) -> tuple[list[Event], list[Routed], list[TransitionRequest]]:
    """Return observed events that tell who decided on them, and the requests that they use up.

    Args:
        events: the events of a poll.
        routed: those of them that are delivered.
        grants: the requests of which the approval was not used up.
    """
    left = {one.id: one for one in grants if one.is_grant}
    told: dict[str, Event] = {}
    used: list[TransitionRequest] = []
    for event in events:
        request = next(
            (one for one in left.values() if one.lane == event.lane and one.movement.was_made_by(event)), None
        )
        if request is not None:
            del left[request.id]
            used.append(replace(request, event_id=event.id))
            changed = {**event.changed, "transition_request_id": request.id}
            told[event.id] = replace(event, user_id=request.decided_by or event.user_id, changed=changed)
    if not used:
        return list(events), list(routed), []
    return (
        [told.get(event.id, event) for event in events],
        [replace(one, event=told.get(one.event.id, one.event)) for one in routed],
        used,
    )


_USING = frozenset({ChangeKind.TRANSITIONED, ChangeKind.ALIAS_SET, ChangeKind.ALIAS_DELETED})


def may_use_grants(events: Sequence[Event]) -> bool:
    """Whether one of these events can be a transition that was asked for."""
    return any(event.type in _USING for event in events)
