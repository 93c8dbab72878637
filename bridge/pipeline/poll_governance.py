"""What governance makes of the events of a poll, before they are committed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bridge.delivery.event_routing import Route, Routed, route
from bridge.diff.registry_changes import ChangeKind
from bridge.diff.snapshot import RegisteredModel
from bridge.events.event import Event
from bridge.events.event_synthesis import Identity
from bridge.governance.direct_transition import DirectTransition, Watch, find_direct, renamed_direct
from bridge.governance.gate import Gate
from bridge.governance.request_by_tag import is_request, requests_by_tag
from bridge.governance.request_events import creation_event
from bridge.governance.request_steps import may_use_grants, with_grants
from bridge.governance.transition_request import RequestStatus, TransitionRequest
from bridge.pipeline.commit_plan import Plan
from bridge.store.base import PollState
from bridge.store.state_metadata import Note

_LONGEST_SCAN_MS = 3_600_000
"""A full scan may have read a model so long before it is complete."""

_WEEK_MS = 7 * 86_400_000


@dataclass(frozen=True, slots=True)
class ReadSpan:
    """When a poll began and ended to read (ms since the epoch), and whether it read the whole registry."""

    began_ms: int
    ended_ms: int
    is_full: bool


@dataclass(frozen=True, slots=True)
class Governed:
    """The events of a poll, what of them is delivered, and the requests and direct transitions to store with them."""

    events: Sequence[Event]
    routed: Sequence[Routed]
    requests: Sequence[TransitionRequest] = ()
    direct: Sequence[DirectTransition] = ()
    notes: Sequence[Note] = ()


class PollGovernance:
    """Tells who decided on a transition, finds what went past a gate, and takes up requests by tag."""

    def __init__(
        self, state: PollState, enforcing: tuple[Gate, ...] = (), expires_ms: int = _WEEK_MS
    ) -> None:
        """Use the requests in ``state``; what goes past the ``enforcing`` gates waits for a verdict before it is delivered."""
        self._state = state
        self._enforcing = enforcing
        self._expires_ms = expires_ms

    async def govern(
        self,
        found: Plan,
        routed: Sequence[Routed],
        routes: Sequence[Route],
        read: ReadSpan,
    ) -> Governed:
        """Return what is to be committed of a plan, of which ``routed`` is delivered."""
        now_ms = read.ended_ms
        events: Sequence[Event] = found.events
        granted: Sequence[TransitionRequest] = ()
        direct: Sequence[DirectTransition] = ()
        models = {name: model for name, (model, _) in found.models.items()} if events else {}
        grants = await self._state.load_grants()
        if may_use_grants(events):
            events, routed, granted = with_grants(events, routed, grants)
            if self._enforcing:
                watch = Watch(self._enforcing, tuple(await self._state.load_undoing()))
                used = {one.event_id for one in granted}
                direct, routed = find_direct(events, routed, used, models, watch)
        granted = [*granted, *_lapsed(found, grants, granted, read)]
        direct = [*direct, *await self._renamed(events)]
        if not any(map(is_request, events)):
            return Governed(events, routed, granted, direct)
        made, refused = requests_by_tag(events, models, self._expires_ms, now_ms)
        made = [one for one in made if not await self._is_open(one)]
        told = [creation_event(one, found.head.state_id) for one in made]
        notes = [_created(one) for one in made]
        notes += [
            Note(now_ms, "request_refused", one.model_name, one.model_version or "", why)
            for one, why in refused
        ]
        return Governed([*events, *told], [*routed, *route(told, routes)], [*granted, *made], direct, notes)

    async def _renamed(self, events: Sequence[Event]) -> list[DirectTransition]:
        """Return the open direct transitions of models that have other names now."""
        names = {one.lane: one.model_name for one in events if one.type is ChangeKind.MODEL_RENAMED}
        if not names:
            return []
        return [
            renamed_direct(one, names[one.lane])
            for one in await self._state.load_direct()
            if one.lane in names
        ]

    async def _is_open(self, asked: TransitionRequest) -> bool:
        """Whether such a request is open, or this one was made already."""
        return any(
            one.id == asked.id
            or (
                one.status is RequestStatus.PENDING
                and (one.creator, one.target) == (asked.creator, asked.target)
            )
            for one in await self._state.load_requests_of(asked.model_name, asked.version)
        )


def _created(request: TransitionRequest) -> Note:
    told = f"{request.id}: {request.target.told}: {request.comment}"
    return Note(
        request.created_at, "request_created", request.model_name, request.version, told, request.creator
    )


def _lapsed(
    found: Plan, grants: Sequence[TransitionRequest], used: Sequence[TransitionRequest], read: ReadSpan
) -> list[TransitionRequest]:
    """Return the requests of which this poll should have seen the transition, and did not: it was undone before.

    Otherwise, their approvals would cover a later transition that nobody was asked about.
    """
    ids = {one.id for one in used}
    return [
        replace(one, is_lapsed=True)
        for one in grants
        if one.id not in ids
        and one.status is RequestStatus.APPLIED
        and one.updated_at < read.began_ms
        and (
            _has_left(one, found.models)
            or (read.is_full and one.updated_at < read.began_ms - _LONGEST_SCAN_MS)
        )
    ]


def _has_left(request: TransitionRequest, models: Mapping[str, tuple[RegisteredModel, Identity]]) -> bool:
    """Whether a model that was just read shows the version in another stage than the one that it was given."""
    if request.target.alias is not None or request.model_name not in models:
        return False
    model, _ = models[request.model_name]
    version = model.versions.get(request.version)
    return version is not None and version.stage != request.target.stage
