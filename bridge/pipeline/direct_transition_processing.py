"""Processes direct transitions past enforcing gates: judges them, and undoes those that are refused."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial

import structlog

from bridge.diff.snapshot import RegisteredModel
from bridge.errors import BridgeError, StateUnwritable, TransitionRefused
from bridge.governance.direct_transition import (
    DirectStatus,
    DirectTransition,
    judged_direct,
    kept,
    moved_on,
    overtaken_direct,
    reverted,
    told_before,
    with_approvals,
    with_undone,
)
from bridge.governance.gate import Gate
from bridge.governance.movement import Move, Movement, Standing, begun, next_move, postponed
from bridge.governance.request_steps import REJUDGE_MS, left_ms
from bridge.governance.transition_request import RequestStatus
from bridge.pipeline.request_processing import Collaborators, Schedule, report_verdicts, wait_ms
from bridge.pipeline.verdict_tags import write_tags

log = structlog.get_logger(__name__)

PREFIX = "direct "
"""Before the name of a model: what the loop calls the direct transitions of that model."""

_AGAIN_S = 1.0
"""When what is still open after its step is looked at again, if nothing says so before."""

Between = Callable[[Callable[[], Awaitable[None]]], Awaitable[None]]
"""Calls something while no poll is under way, so that no poll sees half of an undoing."""


async def _at_once(call: Callable[[], Awaitable[None]]) -> None:
    await call()


class DirectTransitionProcessing:
    """The next steps of open direct transitions, of each model in turn."""

    def __init__(self, shared: Collaborators, gates: Sequence[Gate], most_reverts: int) -> None:
        """Judge by the enforcing ``gates``; of one model, ``most_reverts`` an hour are undone."""
        self._state = shared.state
        self._ledger = shared.ledger
        self._judgement = shared.judgement
        self._making = shared.making
        self._policy = shared.policy
        self._clock = shared.clock
        self._observer = shared.observer
        self._tags = shared.tags
        self._gates = gates
        self._most_reverts = most_reverts
        self.between: Between = _at_once

    async def load(self, schedule: Schedule) -> None:
        """Have the open direct transitions looked at."""
        self.hear(await self._state.load_direct(), schedule)

    def hear(self, direct: Iterable[DirectTransition], schedule: Schedule) -> None:
        """Take up new or changed direct transitions."""
        for one in direct:
            if one.status.is_open:
                schedule(f"{PREFIX}{one.model_name}", 0.0)

    async def take(self, model: str) -> float | None:
        """Take the next steps that are due for a model; return in how many seconds the ones after them are."""
        waits: list[float] = []
        for one in await self._state.load_direct(model):
            if not one.status.is_open:
                continue
            wait = await self._step(one)
            after = await self._present(one)
            if after.status.is_open:
                waits.append(_AGAIN_S if wait is None else wait)
            if after.status is DirectStatus.REVERTING:
                break  # what comes after it may have to undo what it leaves behind
        return min(waits, default=None)

    async def _step(self, direct: DirectTransition) -> float | None:
        now_ms = self._clock.now_ms()
        if direct.status is DirectStatus.PENDING:
            judged_at = max((one.at for one in direct.verdicts), default=None)
            left = left_ms(judged_at, REJUDGE_MS, now_ms)
            if left:
                return left / 1000
            await self._judge(direct)
            return None
        at, movement = next((n, one) for n, one in enumerate(direct.undoing) if not one.is_made)
        left = left_ms(movement.application.last_at, movement.application.wait_ms, now_ms)
        if left:
            return left / 1000
        await self.between(partial(self._undo, direct, at))
        return None

    async def _judge(self, direct: DirectTransition) -> None:
        model, now_ms = await self._known(direct), self._clock.now_ms()
        others = [one for one in await self._state.load_direct(direct.model_name) if one.id != direct.id]
        later = [one for one in others if one.status.is_open and one.observed_at >= direct.observed_at]
        why = moved_on(direct, model, later)
        if why or model is None:
            await self._ledger.change_direct(direct, lambda one, now: overtaken_direct(one, why, now))
            return
        gates = [gate for gate in self._gates if gate.name in direct.gates]
        if not gates:  # they are not configured any more
            await self._ledger.change_direct(direct, _passed)
            return
        back = told_before(direct, [one for one in others if await self._is_untold(one)])
        direct = replace(direct, before=back)
        if direct.target.alias is not None and back == direct.version:
            why = "the alias is where it was before it went past the gate"
            await self._ledger.change_direct(direct, lambda one, now: overtaken_direct(one, why, now))
            return
        found = await self._judgement.verdicts(
            gates, _as_it_was(model, direct), direct.version, direct.target, _seen(direct), now_ms
        )
        verdicts = [with_approvals(one, gate) for one, gate in zip(found, gates, strict=True)]
        report_verdicts(verdicts, direct, self._observer)

        def decide(one: DirectTransition, now: int) -> DirectTransition:
            if one.status is not DirectStatus.PENDING:
                return one
            return judged_direct(replace(one, before=back), verdicts, gates, others, self._most_reverts, now)

        await self._ledger.change_direct(direct, decide)
        if self._tags:
            await write_tags(self._making, direct, verdicts)

    async def _is_untold(self, direct: DirectTransition) -> bool:
        """Whether no sink hears of it, and nobody has approved since what it made."""
        return not (direct.is_told or await self._is_approved_meanwhile(direct))

    async def _known(self, direct: DirectTransition) -> RegisteredModel | None:
        """Return the model as it is known now; None if it was deleted, or its name belongs to another."""
        lane = await self._state.ask(lambda reader: reader.identities().by_name.get(direct.model_name))
        if lane is None or lane.lane != direct.lane:
            return None
        return await self._state.load_model(direct.model_name)

    async def _undo(self, wanted: DirectTransition, at: int) -> None:
        """Make movement number ``at`` of an undoing, or find that it was made, or cannot be."""
        direct = await self._present(wanted)  # a poll may have seen a new name since
        if direct.status is not DirectStatus.REVERTING:
            return
        movement = direct.undoing[at]
        try:
            movement, found = await self._looked(movement)
            if found is None and at == 0 and await self._is_known(direct):
                await self._postpone(
                    direct, at, movement, "it is not found by this name: the next poll says more"
                )
                return
            move, why = next_move(movement if at else _whatever_changed(movement), found)
            if at == 0 and (overtaken := await self._overtaken(direct, movement, move)):
                move, why = Move.REFUSE, overtaken
            made = found.updated if found and movement.target.alias is None else 0
            if move is Move.MAKE and found is not None:
                beginning = begun(movement.application, found, movement.target, self._clock.now_ms())
                movement = replace(movement, application=beginning)
                await self._ledger.change_direct(direct, lambda one, now: with_undone(one, at, movement, now))
                made = await self._making.make(movement)
        except TransitionRefused as error:
            told = str(error)
            if at == 0:
                await self._ledger.change_direct(direct, lambda one, now: kept(one, told, now))
                return
            move, why, made = Move.REFUSE, told, 0
        except StateUnwritable:
            raise
        except (BridgeError, TimeoutError) as error:
            await self._postpone(direct, at, movement, str(error) or "the registry did not answer in time")
            return
        if move is Move.REFUSE and at == 0:
            await self._ledger.change_direct(direct, lambda one, now: overtaken_direct(one, why, now))
            return
        moved = _unmoved if move is Move.REFUSE else partial(_moved, movement, made)
        application = replace(
            movement.application, made=0 if move is Move.REFUSE else made, error=why, wait_ms=0
        )
        await self._record(direct, at, replace(movement, application=application), moved)

    async def _present(self, wanted: DirectTransition) -> DirectTransition:
        """Return a direct transition as it is now."""
        return await self._state.load_direct_transition(wanted.id) or wanted

    async def _looked(self, movement: Movement) -> tuple[Movement, Standing | None]:
        """Return a movement, and where its version stands; an alias is removed if the one that had it is gone."""
        found = await self._making.look(movement)
        if found is not None or movement.target.alias is None or not movement.version:
            return movement, found
        removal = replace(movement, version="", created=0)
        return removal, await self._making.look(removal)

    async def _is_known(self, direct: DirectTransition) -> bool:
        """Whether the version is there by what was observed, so that it was renamed or deleted since."""
        model = await self._known(direct)
        return model is not None and direct.version in model.versions

    async def _is_approved_meanwhile(self, direct: DirectTransition) -> bool:
        """Whether the version may be where it is by now, because somebody asked for it."""
        return any(
            one.target == direct.target
            and one.status in {RequestStatus.APPROVED, RequestStatus.APPLIED}
            and (one.decided_at or 0) > direct.observed_at
            for one in await self._state.load_requests_of(direct.model_name, direct.version)
        )

    async def _overtaken(self, direct: DirectTransition, movement: Movement, move: Move) -> str:
        """Return why what is to be made, or is there already, is not the undoing that was wanted; empty if it is."""
        if move is Move.MAKE:
            return await self._made_needless(direct)
        return await self._seen_elsewhere(direct, movement) if move is Move.DONE else ""

    async def _made_needless(self, direct: DirectTransition) -> str:
        """Return why it must not be undone any more: it was approved, or another one is undone in its place; or nothing.

        What it would go back to is not what was told last, if the version was seen elsewhere since, and is here again.
        """
        if await self._is_approved_meanwhile(direct):
            return "it was approved meanwhile"
        later = [
            one
            for one in await self._state.load_direct(direct.model_name)
            if one.observed_at > direct.observed_at
        ]
        if any((one.version, one.target) == (direct.version, direct.target) for one in later):
            return "it was moved on, and came again: that is judged by itself"
        return moved_on(direct, await self._known(direct), later)

    async def _seen_elsewhere(self, direct: DirectTransition, movement: Movement) -> str:
        """Return where a poll saw the version, or the alias, after the refused transition; empty if it saw it nowhere else.

        Sinks heard of that, so that what somebody did since must be told as well: it is not the undoing that was wanted.
        """
        model = await self._known(direct)
        version = model.versions.get(direct.version) if model is not None else None
        if model is None or version is None:
            return ""
        if direct.target.alias is None:
            is_elsewhere = version.stage not in {direct.target.stage, movement.target.stage}
        else:
            holder = dict(model.aliases).get(direct.target.alias, "")
            is_elsewhere = holder not in {direct.version, movement.version}
        return moved_on(direct, model, ()) if is_elsewhere else ""

    async def _record(
        self,
        direct: DirectTransition,
        at: int,
        movement: Movement,
        moved: Callable[[RegisteredModel], RegisteredModel],
    ) -> None:
        def decide(one: DirectTransition, now: int) -> DirectTransition:
            found = with_undone(one, at, movement, now)
            return reverted(found, now) if all(each.is_made for each in found.undoing) else found

        await self._ledger.change_direct(direct, decide, moved)

    async def _postpone(self, direct: DirectTransition, at: int, movement: Movement, why: str) -> None:
        """Try again later, however long it takes: a refused version must not stay where it is because MLflow was down."""
        wait = wait_ms(movement.application.failures + 1, self._policy)
        log.warning(
            "revert.postponed", model=direct.model_name, version=direct.version, error=why, wait_ms=wait
        )
        later = replace(
            movement, application=postponed(movement.application, why, wait, self._clock.now_ms())
        )
        await self._ledger.change_direct(direct, lambda one, now: with_undone(one, at, later, now))


def _whatever_changed(movement: Movement) -> Movement:
    """Return a movement that is also made if the version was changed since, and is where it was: that is refused as well."""
    return replace(movement, application=replace(movement.application, updated=None))


def _passed(direct: DirectTransition, now_ms: int) -> DirectTransition:
    return replace(direct, status=DirectStatus.PASSED, updated_at=now_ms)


def _seen(direct: DirectTransition) -> dict[str, object]:
    """Return the event that checks see: a direct transition has no request."""
    return {
        "model_name": direct.model_name,
        "model_version": direct.version,
        "to_stage": direct.target.stage,
        "alias": direct.target.alias,
        "user_id": None,
    }


def _as_it_was(model: RegisteredModel, direct: DirectTransition) -> RegisteredModel:
    """Return the model with the incumbents that it had: those that left come first."""
    target = direct.target
    if target.alias is not None:
        aliases = {key: value for key, value in model.aliases if key != target.alias}
        if direct.before is not None:
            aliases[target.alias] = direct.before
        return replace(model, aliases=tuple(sorted(aliases.items())))
    left = {one.version for one in direct.left}
    versions = {
        name: replace(one, stage=str(target.stage)) if name in left else one
        for name, one in model.versions.items()
    }
    return replace(model, versions=versions)


def _unmoved(model: RegisteredModel) -> RegisteredModel:
    return model


def _moved(movement: Movement, made: int, model: RegisteredModel) -> RegisteredModel:
    """Return the known model as it is after a movement: the next poll then sees no change."""
    target = movement.target
    if target.alias is not None:
        aliases = {key: value for key, value in model.aliases if key != target.alias}
        if movement.version:
            aliases[target.alias] = movement.version
        return replace(model, aliases=tuple(sorted(aliases.items())))
    version = model.versions.get(movement.version)
    if version is None:
        return model
    changed = replace(version, stage=str(target.stage), updated=made)
    return replace(model, versions={**model.versions, movement.version: changed})
