"""A direct transition: a version got a guarded stage or alias without a grant, and an enforcing gate judges it afterwards.

Its events wait for the verdict. If it passes, they are delivered; if not, the transition is undone, and no sink hears of it.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from enum import StrEnum, unique
from typing import Any, Self

from bridge.delivery.event_routing import Routed
from bridge.diff.registry_changes import ChangeKind
from bridge.diff.snapshot import RegisteredModel
from bridge.events.event import Event
from bridge.governance.gate import Finding, Gate, GateMode, Verdict, guarding, refusing
from bridge.governance.movement import Application, Movement
from bridge.governance.transition_target import Target

ARCHIVED = "Archived"
HOUR_MS = 3_600_000


@unique
class DirectStatus(StrEnum):
    """Where a direct transition is in its life."""

    PENDING = "pending"
    """It waits for a verdict."""
    PASSED = "passed"
    REVERTING = "reverting"
    """It was refused, and is being undone."""
    REVERTED = "reverted"
    OVERTAKEN = "overtaken"
    """The version was moved on before it could be judged, or undone."""
    KEPT = "kept"
    """It was refused, and is not undone: MLflow refuses, or it was undone too often."""

    @property
    def is_open(self) -> bool:
        """Whether something is still to be done about it."""
        return self in {DirectStatus.PENDING, DirectStatus.REVERTING}


@dataclass(frozen=True, slots=True)
class Left:
    """A version that left the stage when another one came: it comes back if that one is refused.

    ``changed_at`` is the registry's time of that, ms.
    """

    version: str
    created: int
    changed_at: int


@dataclass(frozen=True, slots=True)
class DirectTransition:
    """A direct transition as the state holds it. All times are ms since the epoch.

    Attributes:
        id: ``dt_`` and 32 hex digits, made from the id of its event.
        model_name, version, lane, version_created: as in `bridge.governance.transition_request.TransitionRequest`.
        target: the stage or the alias that it got.
        before: the stage that it had, or the version that had the alias (None: none).
        changed_at: the registry's time of the change; of an alias, that of the observation.
        observed_at: when a poll saw it.
        left: the versions that left the stage with it.
        gates: the names of the gates that guarded it then.
        sinks: those that wait for the verdict.
        status: where it is in its life.
        verdicts: what the enforcing gates found.
        undoing: what has to be made to undo it, in order; what is done has its time in ``application.made``.
        system_comment: why it was kept.
        updated_at: when this last changed.
    """

    id: str
    model_name: str
    version: str
    lane: str
    version_created: int
    target: Target
    before: str | None
    changed_at: int
    observed_at: int
    left: tuple[Left, ...] = ()
    gates: tuple[str, ...] = ()
    sinks: tuple[str, ...] = ()
    status: DirectStatus = DirectStatus.PENDING
    verdicts: tuple[Verdict, ...] = ()
    undoing: tuple[Movement, ...] = ()
    system_comment: str = ""
    updated_at: int = 0

    @property
    def is_told(self) -> bool:
        """Whether sinks hear of it: it passed, or from then on nothing was undone any more."""
        is_let_pass = self.status is DirectStatus.KEPT and not self.undoing
        return self.status is DirectStatus.PASSED or is_let_pass

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it was refused."""
        return tuple(reason for one in self.verdicts for reason in one.reasons)

    def to_document(self) -> dict[str, Any]:
        """Return it as plain JSON values, for the store."""
        return {
            **asdict(self),
            "status": self.status.value,
            "left": [asdict(one) for one in self.left],
            "gates": list(self.gates),
            "sinks": list(self.sinks),
            "verdicts": [one.to_document() for one in self.verdicts],
            "undoing": [asdict(one) for one in self.undoing],
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Return what `to_document` wrote; members of later versions are ignored."""
        values = {one.name: document[one.name] for one in fields(cls) if one.name in document}
        values |= {
            "target": Target(**document["target"]),
            "status": DirectStatus(document["status"]),
            "left": tuple(Left(**one) for one in document["left"]),
            "gates": tuple(document["gates"]),
            "sinks": tuple(document["sinks"]),
            "verdicts": tuple(map(Verdict.from_document, document["verdicts"])),
            "undoing": tuple(map(Movement.from_document, document["undoing"])),
        }
        return cls(**values)


@dataclass(frozen=True, slots=True)
class Watch:
    """The enforcing gates, and what they may not take for direct: the undoings that are under way."""

    gates: tuple[Gate, ...] = ()
    undoing: tuple[DirectTransition, ...] = ()


def id_of(event_id: str) -> str:
    """Return the id of the direct transition that an event would tell of."""
    return f"dt_{event_id.replace('-', '')}"


def find_direct(
    events: Sequence[Event],
    routed: Sequence[Routed],
    granted: Collection[str],
    models: Mapping[str, RegisteredModel],
    watch: Watch,
) -> tuple[list[DirectTransition], list[Routed]]:
    """Return the direct transitions among the events of a poll, and what is delivered, marked with what it waits for.

    Args:
        events: the events.
        routed: those of them that are delivered.
        granted: the ids of events that used a grant up.
        models: the models that changed, as they are now.
        watch: what is enforced, and being undone.
    """
    own = {event.id for event in events if any(_is_own(event, one) for one in watch.undoing)}
    approved = {(event.lane, event.timestamp) for event in events if event.id in granted}
    found: list[DirectTransition] = []
    waiting: dict[str, str] = {}
    for event in events:
        target = _target_of(event)
        model = models.get(event.model_name)
        if target is None or model is None or event.id in own or event.id in granted:
            continue
        gates = guarding(watch.gates, event.model_name, target)
        if not gates:
            continue
        is_alone = target.alias is not None or (event.lane, event.timestamp) in approved
        left = [] if is_alone else [one for one in events if _left_with(one, event, target, waiting)]
        one = _direct(event, target, model, left)
        if one is not None:
            waiting |= dict.fromkeys([event.id, *(each.id for each in left)], one.id)
            found.append(replace(one, gates=tuple(gate.name for gate in gates)))
    told = [
        replace(one, waits_for=waiting.get(one.event.id, "")) for one in routed if one.event.id not in own
    ]
    return [replace(one, sinks=_sinks_of(one.id, told)) for one in found], told


def _target_of(event: Event) -> Target | None:
    if event.type is ChangeKind.TRANSITIONED:
        return Target(stage=event.changed["to_stage"])
    return Target(alias=event.changed["alias"]) if event.type is ChangeKind.ALIAS_SET else None


def _left_with(other: Event, event: Event, target: Target, taken: Collection[str]) -> bool:
    """Whether a version was archived by this very transition: MLflow gives both the same time."""
    if other.type is not ChangeKind.TRANSITIONED or other.lane != event.lane or other.id in taken:
        return False
    moved = (other.changed["from_stage"], other.changed["to_stage"])
    return moved == (target.stage, ARCHIVED) and other.timestamp == event.timestamp


def _direct(
    event: Event, target: Target, model: RegisteredModel, left: Iterable[Event]
) -> DirectTransition | None:
    version = model.versions.get(event.model_version or "")
    if version is None:
        return None
    return DirectTransition(
        id=id_of(event.id),
        model_name=event.model_name,
        version=version.version,
        lane=event.lane,
        version_created=version.created,
        target=target,
        before=event.changed.get("previous_version" if target.alias is not None else "from_stage"),
        changed_at=event.timestamp,
        observed_at=event.observed_at,
        left=tuple(
            Left(known.version, known.created, one.timestamp)
            for one in left
            if (known := model.versions.get(one.model_version or "")) is not None
        ),
        updated_at=event.observed_at,
    )


def _is_own(event: Event, direct: DirectTransition) -> bool:
    """Whether an event shows the undoing of a direct transition of which the answer was lost.

    If a poll saw the version elsewhere since, sinks heard of that; then they also hear that it came back.
    """
    if event.lane != direct.lane:
        return False
    return any(one.was_made_by(event) and one.before == _left_by(event) for one in direct.undoing)


def _left_by(event: Event) -> str | None:
    """Return the stage that a transition left, or the version that lost an alias."""
    if event.type is ChangeKind.TRANSITIONED:
        return str(event.changed["from_stage"])
    return (
        event.model_version
        if event.type is ChangeKind.ALIAS_DELETED
        else event.changed.get("previous_version")
    )


def _sinks_of(direct: str, routed: Iterable[Routed]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one.sink for one in routed if one.waits_for == direct))


def judged_direct(
    direct: DirectTransition,
    verdicts: Sequence[Verdict],
    gates: Sequence[Gate],
    earlier: Sequence[DirectTransition],
    most_reverts: int,
    now_ms: int,
) -> DirectTransition:
    """Return a direct transition with its verdicts, and what follows from them.

    Args:
        direct: the transition.
        verdicts: what the enforcing ``gates`` that guard it found, `with_approvals`.
        gates: these gates.
        earlier: the direct transitions of the same model before it.
        most_reverts: how often transitions of a model are undone within an hour.
        now_ms: ms since the epoch.
    """
    by_name = {gate.name: gate for gate in gates}
    found = replace(direct, verdicts=tuple(verdicts), updated_at=now_ms)
    if not refusing(verdicts, by_name):
        is_open = any(one.finding is Finding.INCONCLUSIVE for one in verdicts)
        return found if is_open else replace(found, status=DirectStatus.PASSED)
    undone = [one for one in earlier if one.status is DirectStatus.REVERTED]
    lately = [one for one in undone if 0 <= now_ms - one.updated_at < HOUR_MS]
    if len(lately) >= most_reverts:
        why = f"transitions of this model were undone {len(lately)} times within an hour (governance.most_reverts)"
        return replace(found, status=DirectStatus.KEPT, system_comment=why)
    return replace(found, status=DirectStatus.REVERTING, undoing=tuple(_undoing(direct, earlier)))


def told_before(direct: DirectTransition, untold: Iterable[DirectTransition]) -> str | None:
    """Return what was there before a direct transition, as sinks know it: that is what it goes back to.

    ``untold`` are direct transitions of the same model that nobody was told of or vouches for. If one of them led to what
    was there, what was there before that counts: two quick moves must not pass the gates of either.
    """
    back = direct.before
    for one in sorted(untold, key=lambda other: other.observed_at, reverse=True):
        if one.observed_at < direct.observed_at and back is not None and _led_to(one, direct, back):
            back = one.before
    return back


def _led_to(one: DirectTransition, direct: DirectTransition, back: str) -> bool:
    if direct.target.alias is not None:
        return (one.target, one.version) == (direct.target, back)
    return (one.version, one.target.stage) == (direct.version, back)


def with_approvals(verdict: Verdict, gate: Gate) -> Verdict:
    """Return a verdict that fails where people have to approve: nobody was asked."""
    if not gate.approvals:
        return verdict
    why = f"approvals are needed ({gate.approvals}), and nobody was asked: make a request"
    return replace(verdict, finding=Finding.FAILED, reasons=(*verdict.reasons, why))


def _undoing(direct: DirectTransition, earlier: Sequence[DirectTransition]) -> list[Movement]:
    target, back = direct.target, direct.before
    if target.alias is not None:
        return [_movement(direct, back or "", 0, target, direct.version, None)]
    first = _movement(
        direct,
        direct.version,
        direct.version_created,
        Target(stage=back),
        target.stage,
        direct.changed_at,
    )
    rest = [
        _movement(direct, one.version, one.created, target, ARCHIVED, one.changed_at)
        for one in direct.left
        if one.version not in {each.version for each in earlier if _was_refused(each, target)}
    ]
    return [first, *rest]


def _was_refused(direct: DirectTransition, target: Target) -> bool:
    """Whether nobody vouches for its version in this stage: it must not come back there."""
    vouched = {DirectStatus.PENDING, DirectStatus.PASSED}
    return direct.target == target and direct.status not in vouched


def _movement(
    direct: DirectTransition,
    version: str,
    created: int,
    target: Target,
    before: str | None,
    updated: int | None,
) -> Movement:
    return Movement(direct.model_name, version, created, target, before, Application(updated=updated))


def with_undone(direct: DirectTransition, at: int, movement: Movement, now_ms: int) -> DirectTransition:
    """Return a direct transition with movement number ``at`` of its undoing as it is now."""
    undoing = tuple(movement if number == at else one for number, one in enumerate(direct.undoing))
    return replace(direct, undoing=undoing, updated_at=now_ms)


def reverted(direct: DirectTransition, now_ms: int) -> DirectTransition:
    """Return a direct transition that is undone."""
    return replace(direct, status=DirectStatus.REVERTED, updated_at=now_ms)


def kept(direct: DirectTransition, why: str, now_ms: int) -> DirectTransition:
    """Return a refused direct transition that cannot be undone."""
    return replace(direct, status=DirectStatus.KEPT, system_comment=why, updated_at=now_ms)


def overtaken_direct(direct: DirectTransition, why: str, now_ms: int) -> DirectTransition:
    """Return a direct transition of which the version was moved on."""
    return replace(direct, status=DirectStatus.OVERTAKEN, system_comment=why, updated_at=now_ms)


def with_left_of(direct: DirectTransition, other: DirectTransition) -> DirectTransition:
    """Return a direct transition that takes over what left with another one, which it overtook."""
    known = {one.version for one in direct.left}
    more = tuple(one for one in other.left if one.version not in known | {direct.version})
    return replace(
        direct, left=(*direct.left, *more), sinks=tuple(dict.fromkeys((*direct.sinks, *other.sinks)))
    )


def renamed_direct(direct: DirectTransition, name: str) -> DirectTransition:
    """Return a direct transition of a model that has another name now."""
    undoing = tuple(replace(one, model_name=name) for one in direct.undoing)
    return replace(direct, model_name=name, undoing=undoing)


def moved_on(
    direct: DirectTransition, model: RegisteredModel | None, later: Iterable[DirectTransition]
) -> str:
    """Return why there is nothing to judge any more, by what was observed; empty if there is.

    A version that left with a ``later`` direct transition is judged all the same: it may come back.
    """
    if model is None:
        return "the model was deleted"
    version = model.versions.get(direct.version)
    if version is None or version.created != direct.version_created:
        return f"version {direct.version} was deleted"
    if direct.target.alias is not None:
        holder = dict(model.aliases).get(direct.target.alias)
        return (
            ""
            if holder == direct.version
            else f"the alias is at {f'version {holder}' if holder else 'no version'}"
        )
    if version.stage == direct.target.stage:
        return ""
    comes_back = any(left.version == direct.version for one in later for left in one.left)
    return "" if comes_back else f"the version is in {version.stage}"


@dataclass(frozen=True, slots=True)
class Ends:
    """What becomes of the entries that wait for a verdict, by the versions that their events are about; ``every``: of all."""

    let_go: frozenset[str] = frozenset()
    removed: frozenset[str] = frozenset()
    every: bool = False


def ends_of(before: DirectTransition, after: DirectTransition) -> Ends:
    """Return what becomes of the entries that wait, by what has changed.

    The event of a refused promotion is never delivered. What left with it is told of, unless it came back.
    """
    if after.status is DirectStatus.PASSED:
        return Ends(every=before.status is not after.status)
    is_over = before.status.is_open and not after.status.is_open
    if after.status is DirectStatus.KEPT and before.status is DirectStatus.PENDING:
        return Ends(every=True)  # it was undone too often: from now on, it is told
    made = {one.version for one in after.undoing if one.is_made and not one.application.error}
    let_go = {one.version for one in after.undoing if one.is_made and one.application.error}
    if is_over:
        made.add(after.version)
        let_go |= {one.version for one in after.left} - made
    return Ends(frozenset(let_go), frozenset(made))


def enforcing(gates: Iterable[Gate]) -> tuple[Gate, ...]:
    """Return those of ``gates`` that judge direct transitions."""
    return tuple(gate for gate in gates if gate.mode is GateMode.ENFORCE)
