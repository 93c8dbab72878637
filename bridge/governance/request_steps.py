"""What has to be done next about an open transition request. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto

from bridge.delivery.event_routing import Routed
from bridge.diff.registry_changes import ChangeKind
from bridge.diff.snapshot import NO_STAGE, RegisteredModel, version_order
from bridge.events.event import Event
from bridge.governance.gate import Finding, Gate, GateMode
from bridge.governance.transition_request import Application, RequestStatus, TransitionRequest
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
        return Next(Step.APPLY, _left(request.application.last_at, request.application.wait_ms, now_ms))
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
    approved_at = max((one.at for one in request.approvals), default=-1)
    waits: list[int] = []
    for gate in gates:
        verdict = by_gate.get(gate.name)
        if verdict is None:
            return 0
        decides = gate.mode is GateMode.DECIDE
        if decides and approved_at >= verdict.at:
            return 0
        if not verdict.is_final or (decides and verdict.finding is Finding.INCONCLUSIVE):
            waits.append(_left(verdict.at, REJUDGE_MS, now_ms))
    return min(waits, default=None)


def _left(since: int | None, wait_ms: int, now_ms: int) -> int:
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


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a version stands now, by the registry.

    Attributes:
        created, updated: its timestamps, ms by the registry's clock.
        stage: its stage.
        holder: the version that has the alias in question; None if none has it, or if none is in question.
    """

    created: int
    updated: int
    stage: str
    holder: str | None = None


class Move(Enum):
    """What an attempt to make a transition comes to, once it was looked where the version stands."""

    MAKE = auto()
    DONE = auto()
    """It was made already: by an attempt of which the answer was lost, or by somebody else."""
    REFUSE = auto()


def next_move(request: TransitionRequest, found: Standing | None) -> tuple[Move, str]:
    """Return what to do about an approved request, and why if it cannot be made; ``found`` is None if the version is gone.

    A transition is never made twice: if an answer was lost, and the version changed since, nobody can tell whether the
    transition was made and undone, or never made.
    """
    if found is None:
        return Move.REFUSE, f"{request.model_name!r} has no version {request.version} any more"
    if found.created != request.version_created:
        return Move.REFUSE, f"version {request.version} is another one now"
    if _has_target(request, found):
        return Move.DONE, ""
    why = _moved_meanwhile(request, found)
    return (Move.REFUSE, why) if why else (Move.MAKE, "")


def _has_target(request: TransitionRequest, found: Standing) -> bool:
    target = request.target
    return found.stage == target.stage if target.alias is None else found.holder == request.version


def _moved_meanwhile(request: TransitionRequest, found: Standing) -> str:
    """Return why what was decided on is not what there is now; empty if it is."""
    target, application = request.target, request.application
    if target.alias is not None:
        is_same = found.holder == request.before
        return "" if is_same else f"the alias @{target.alias} was moved to version {found.holder} meanwhile"
    if found.stage != request.before:
        return f"the version is in {found.stage} now, and was in {request.before} when it was asked for"
    return _LOST if application.attempts and application.updated != found.updated else ""


_LOST = (
    "the answer to an attempt was lost, and the version was changed since: whether the transition was made cannot be "
    "told; ask again"
)


def begun(request: TransitionRequest, found: Standing, now_ms: int) -> TransitionRequest:
    """Return an approved request with an attempt that begins now."""
    before = request.application
    updated = None if request.target.alias is not None else found.updated
    return replace(request, application=Application(before.attempts + 1, now_ms, 0, updated))


def postponed(request: TransitionRequest, why: str, wait_ms: int, now_ms: int) -> TransitionRequest:
    """Return an approved request of which the attempt got no answer: it is made again after ``wait_ms``."""
    application = replace(request.application, last_at=now_ms, wait_ms=wait_ms, error=why)
    return replace(request, application=application)


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
        request = next((one for one in left.values() if _uses(event, one)), None)
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


def _uses(event: Event, request: TransitionRequest) -> bool:
    """Whether a transition is the one that was made for a request.

    MLflow's time of the change tells it from a later one that nobody was asked about. While it is not known whether an
    attempt was made, any transition since its beginning is taken for it.
    """
    if (event.lane, event.model_version) != (request.lane, request.version):
        return False
    application = request.application
    if request.target.alias is not None:
        is_it = event.type is ChangeKind.ALIAS_SET and event.changed.get("alias") == request.target.alias
        return is_it and application.attempts > 0
    if event.type is not ChangeKind.TRANSITIONED or event.changed.get("to_stage") != request.target.stage:
        return False
    if application.made is not None:
        return event.timestamp == application.made
    return application.updated is not None and event.timestamp > application.updated


def may_use_grants(events: Sequence[Event]) -> bool:
    """Whether one of these events can be a transition that was asked for."""
    return any(event.type in {ChangeKind.TRANSITIONED, ChangeKind.ALIAS_SET} for event in events)
