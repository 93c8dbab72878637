"""The ledger of requests and direct transitions: every change is a pure decision, and one commit with what tells of it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

from bridge.delivery.event_routing import Route, route
from bridge.delivery.outbox_entry import Entry
from bridge.diff.snapshot import RegisteredModel
from bridge.errors import NotFound
from bridge.events.event import Event
from bridge.governance.direct_transition import DirectStatus, DirectTransition, ends_of, with_left_of
from bridge.governance.gate import Finding
from bridge.governance.request_decisions import closed
from bridge.governance.request_events import (
    creation_event,
    failure_event,
    gate_event,
    reversal_event,
    status_event,
)
from bridge.governance.request_steps import overtaken
from bridge.governance.transition_request import RequestStatus, TransitionRequest
from bridge.pipeline.clocks import Clock
from bridge.pipeline.hold_decisions import report_note
from bridge.pipeline.metrics_observer import NullObserver, Observer
from bridge.store.base import GovernanceCommit, State
from bridge.store.state_metadata import Note
from bridge.store.state_reader import StateReader

Decision = Callable[[TransitionRequest, int], TransitionRequest]
"""Returns a request as it is after a decision at a time (ms since the epoch); it raises if there is none."""

Listener = Callable[[GovernanceCommit], None]
"""Is called with what was committed, in the event loop. It must not raise."""

_NOTES = {
    RequestStatus.APPROVED: "request_approved",
    RequestStatus.APPLIED: "request_applied",
    RequestStatus.REJECTED: "request_rejected",
    RequestStatus.CANCELLED: "request_cancelled",
    RequestStatus.EXPIRED: "request_expired",
    RequestStatus.FAILED: "request_failed",
}


class GovernanceLedger:
    """The transition requests and direct transitions of a state, of which this process is the owner.

    What was read when a change is decided cannot have changed when it is committed: one change is made at a time.
    """

    def __init__(
        self,
        state: State,
        clock: Clock,
        routes: Callable[[], Sequence[Route]],
        observer: Observer | None = None,
    ) -> None:
        """Change the requests in ``state``; ``routes`` returns the present routes of events."""
        self._observer = observer or NullObserver()
        self._state = state
        self._clock = clock
        self._routes = routes
        self._listeners: list[Listener] = []

    def tell(self, listener: Listener) -> None:
        """Call ``listener`` after every change."""
        self._listeners.append(listener)

    async def add(self, request: TransitionRequest, who: str) -> None:
        """Commit a new request, which ``who`` made.

        Raises:
            StateUnwritable, InvalidState: nothing was recorded.
        """
        async with self._state.turn():
            head = await self._state.ask(lambda reader: reader.head)
            events = [creation_event(request, head.state_id)] if head else []
            notes = [_note(request, "request_created", who)]
            await self._commit(GovernanceCommit(self._clock.now_ms(), [request], events=events, notes=notes))

    async def change(self, wanted: str, decide: Decision, who: str = "") -> TransitionRequest:
        """Change the request with this id as ``decide`` says, for ``who``; return it as it is afterwards.

        Raises:
            NotFound: there is no such request.
            StateUnwritable: nothing was recorded.
        """
        (found,) = await self.change_all([(wanted, decide)], who)
        return found

    async def change_all(
        self, wanted: Sequence[tuple[str, Decision]], who: str = ""
    ) -> list[TransitionRequest]:
        """Change several requests in one commit; raises as `change` does, and then none is changed."""
        async with self._state.turn():
            head = await self._state.ask(lambda reader: reader.head)
            state_id, now_ms = head.state_id if head else "", self._clock.now_ms()
            found: list[TransitionRequest] = []
            changed: list[TransitionRequest] = []
            events: list[Event] = []
            notes: list[Note] = []
            for name, decide in wanted:
                before = await self._state.load_request(name)
                if before is None:
                    raise NotFound(f"there is no request {name!r:.80}: list tells those that there are")
                after = decide(before, now_ms)
                found.append(after)
                for old, new in [(before, after), *await self._settled_by(before, after, now_ms)]:
                    if new != old and all(new.id != one.id for one in changed):
                        changed.append(new)
                        events += _events(old, new, state_id)
                        notes += _notes(old, new, who)
            if changed:
                await self._commit(GovernanceCommit(now_ms, changed, events=events, notes=notes))
        return found

    async def close_if_overtaken(self, request: TransitionRequest) -> str:
        """Close a pending request that cannot be fulfilled any more, by what was observed; return why, or nothing.

        Raises:
            StateUnwritable: nothing was recorded.
        """
        if request.status is not RequestStatus.PENDING:
            return ""
        why = await self._state.ask(partial(_overtaken, request))
        if why:
            await self.close(request.id, why)
        return why

    async def close(self, wanted: str, why: str) -> None:
        """Close a pending request, because it cannot be fulfilled any more.

        Raises:
            NotFound, StateUnwritable: as `change`.
        """
        await self.change(
            wanted, lambda one, now: closed(one, why, now) if one.status is RequestStatus.PENDING else one
        )

    async def _settled_by(
        self, before: TransitionRequest, after: TransitionRequest, now_ms: int
    ) -> list[tuple[TransitionRequest, TransitionRequest]]:
        """Return the other pending requests for the same that an approval settles, before and after that."""
        if after.status is not RequestStatus.APPROVED or before.status is RequestStatus.APPROVED:
            return []
        why = f"another request for the same, {after.id}, was approved"
        return [
            (one, closed(one, why, now_ms))
            for one in await self._state.load_requests_of(after.model_name, after.version)
            if one.status is RequestStatus.PENDING and one.id != after.id and one.target == after.target
        ]

    async def change_direct(
        self,
        wanted: DirectTransition,
        decide: Callable[[DirectTransition, int], DirectTransition],
        move: Callable[[RegisteredModel], RegisteredModel] = lambda model: model,
    ) -> DirectTransition:
        """Change a direct transition as ``decide`` says; return it as it is afterwards.

        With the verdict, its entries are let go or removed. ``move`` returns the known model as the bridge itself has just
        changed it in the registry.

        Raises:
            StateUnwritable: nothing was recorded.
        """
        async with self._state.turn():
            head = await self._state.ask(lambda reader: reader.head)
            now_ms, state_id = self._clock.now_ms(), head.state_id if head else ""
            of_model = await self._state.load_direct(wanted.model_name)
            before = next((one for one in of_model if one.id == wanted.id), wanted)
            after = decide(before, now_ms)
            model = await self._state.load_model(wanted.model_name)
            moved = [move(model)] if model is not None else []
            changed_models = [one for one in moved if one != model]
            if after == before and not changed_models:
                return after
            heir = _heir_of(after, of_model) if after.status is DirectStatus.OVERTAKEN else None
            released, refused = await self._ended(before, after, heir)
            await self._commit(
                GovernanceCommit(
                    at=now_ms,
                    direct=[after] if heir is None else [after, with_left_of(heir, after)],
                    released=released,
                    refused=refused,
                    models=changed_models,
                    events=list(_direct_events(before, after, state_id)),
                    notes=list(_direct_notes(before, after)),
                )
            )
        return after

    async def _ended(
        self, before: DirectTransition, after: DirectTransition, heir: DirectTransition | None
    ) -> tuple[list[Entry], list[Entry]]:
        """Return the waiting entries that are let go (or wait for the ``heir`` now), and those that are removed."""
        ends = ends_of(before, after)
        released: list[Entry] = []
        refused: list[Entry] = []
        for entry in await self._state.load_waiting(before):
            event = await self._state.load_event(entry.event_id)
            version = event.model_version if event else None
            if ends.every or version in ends.let_go:
                passed_on = heir.id if heir is not None and not ends.every else ""
                released.append(replace(entry, waits_for=passed_on))
            elif version in ends.removed:
                refused.append(entry)
        return released, refused

    async def _commit(self, commit: GovernanceCommit) -> None:
        routed = route(commit.events, self._routes())
        await self._state.commit_governance(replace(commit, routed=routed))
        for event in commit.events:
            self._observer.event_observed(event.type.value)
        for note in commit.notes:
            report_note(note)
        for listener in self._listeners:
            listener(commit)


def _overtaken(request: TransitionRequest, state: StateReader) -> str:
    model = state.known().get(request.model_name)
    identity = state.identities().by_name.get(request.model_name)
    return overtaken(request, model, identity.lane if identity else None)


def _events(before: TransitionRequest, after: TransitionRequest, state_id: str) -> Iterator[Event]:
    known = {(one.gate, one.reasons) for one in before.verdicts if one.finding is Finding.FAILED}
    for verdict in after.verdicts:
        if verdict.finding is Finding.FAILED and (verdict.gate, verdict.reasons) not in known:
            yield gate_event(after, verdict, state_id)
    event = status_event(after, state_id) if after.status is not before.status else None
    if event is not None:
        yield event


def _notes(before: TransitionRequest, after: TransitionRequest, who: str) -> Iterator[Note]:
    if after.status is not before.status:
        by = who or after.decided_by
        yield _note(after, _NOTES[after.status], by if after.status is not RequestStatus.APPLIED else "")
    elif len(after.approvals) > len(before.approvals):
        yield _note(after, "request_seconded", who)


def _note(request: TransitionRequest, kind: str, who: str) -> Note:
    why = request.comment if kind == "request_created" else request.decision_comment or request.system_comment
    told = f"{request.id}: {request.target.told}{f': {why}' if why else ''}"
    return Note(request.updated_at, kind, request.model_name, request.version, told, who)


def _heir_of(direct: DirectTransition, of_model: Sequence[DirectTransition]) -> DirectTransition | None:
    """Return the open direct transition that overtook another: with it, that one's version left the stage."""
    return next(
        (
            one
            for one in of_model
            if one.status.is_open
            and one.target == direct.target
            and any(left.version == direct.version for left in one.left)
        ),
        None,
    )


def _direct_events(before: DirectTransition, after: DirectTransition, state_id: str) -> Iterator[Event]:
    if before.status is DirectStatus.PENDING and after.status in _REFUSED:
        for verdict in after.verdicts:
            if verdict.finding is not Finding.PASSED:
                yield failure_event(after, verdict, state_id)
    if after.status is DirectStatus.REVERTED and before.status is not after.status:
        yield reversal_event(after, state_id)


_REFUSED = frozenset({DirectStatus.REVERTING, DirectStatus.KEPT})
_DIRECT_NOTES = {
    DirectStatus.REVERTING: "transition_refused",
    DirectStatus.REVERTED: "transition_reverted",
    DirectStatus.KEPT: "transition_kept",
    DirectStatus.OVERTAKEN: "transition_overtaken",
}


def _direct_notes(before: DirectTransition, after: DirectTransition) -> Iterator[Note]:
    kind = _DIRECT_NOTES.get(after.status) if after.status is not before.status else None
    if kind is not None:
        why = after.system_comment or "; ".join(after.reasons)
        told = f"{after.target.told}: {why}"
        yield Note(after.updated_at, kind, after.model_name, after.version, told)
