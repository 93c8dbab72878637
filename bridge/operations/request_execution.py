"""Carry out what is asked of transition requests, in the process that owns the state, with or without running loops."""

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from bridge.config import Settings
from bridge.errors import InvalidArgument, InvalidState, LimitExceeded, NotAllowed, NotFound, OwnerUnavailable
from bridge.governance.gate import guarding
from bridge.governance.request_decisions import approved, cancelled, is_own, rejected
from bridge.governance.request_steps import holder_of
from bridge.governance.transition_request import RequestStatus, TransitionRequest
from bridge.governance.transition_target import Target
from bridge.operations.request_arguments import (
    ApproveArguments,
    CancelArguments,
    MakeArguments,
    OpenArguments,
    WhichArguments,
    check_named,
    target_of,
)
from bridge.operations.transition_request_responses import activity_answer, request_answer
from bridge.operations.webhook_arguments import parse_arguments
from bridge.pipeline.clocks import Clock
from bridge.pipeline.governance_transactions import GovernanceLedger
from bridge.store.base import State
from bridge.store.state_reader import StateReader
from bridge.store.write_turn import in_turn

Document = dict[str, Any]

_FORWARDED_S = 3.0
"""How long the registry may take to show a new version, if it may be waiting for the answer itself."""

_NOT_YET = (
    "the bridge has not seen this version yet, and MLflow did not show it in time: try again in a moment"
)

_REPEATED_WITHIN_MS = 60_000
"""How long the same request returns the one that it made: clients repeat a POST without an answer."""


@dataclass(frozen=True, slots=True)
class Requester:
    """Who asks.

    Attributes:
        who: as the audit trail names them.
        user: as requests and events name them.
        may_decide: whether they may decide on requests.
        is_forwarded: whether MLflow's server forwards it, which perhaps answers nobody else until then.
    """

    who: str
    user: str
    may_decide: bool = True
    is_forwarded: bool = False


class Requests:
    """The transition requests: each change is durable in one commit, with its event and its deliveries.

    It answers from the state alone, at once; the transition is made afterwards
    (`bridge.pipeline.governance_loop`). Methods that change something raise `StateUnwritable` if it cannot be written:
    then nothing has changed.
    """

    def __init__(
        self,
        state: State,
        ledger: GovernanceLedger,
        settings: Settings,
        clock: Clock,
        catch_up: Callable[[], Awaitable[object]],
    ) -> None:
        """Change the requests in ``ledger``, by ``settings``; ``catch_up`` polls, for a version that is not known yet."""
        self._state = state
        self._ledger = ledger
        self._settings = settings
        self._gates = [gate.gate() for gate in settings.gates]
        self._clock = clock
        self._catch_up = catch_up

    def turn(self) -> AbstractAsyncContextManager[None]:
        """Hold the turn to write: see `bridge.store.write_turn`."""
        return self._state.turn()

    async def create(self, given: Mapping[str, Any], caller: Requester) -> Document:
        """Make a request, and return it. The same again, while it is open or within a minute, returns the same.

        Raises:
            InvalidArgument: an argument is missing, or cannot be used.
            NotFound: there is no such version.
            LimitExceeded: there are as many open requests as there may be.
        """
        arguments, _ = parse_arguments(MakeArguments, given)
        target = target_of(arguments.stage, arguments.alias)
        known = await self._known(arguments.name, arguments.version, target)
        if known is None:
            await self._read_first(caller)
            known = await self._known(arguments.name, arguments.version, target)
        if known is None:
            has_model = await self._state.ask(lambda reader: arguments.name in reader.known())
            what = (
                f"version {arguments.version} of {arguments.name!r:.256}"
                if has_model
                else f"model {arguments.name!r:.256}"
            )
            raise NotFound(f"the registry has no {what}")
        now_ms = self._clock.now_ms()
        asked = TransitionRequest(
            id=f"tr_{uuid4().hex}",
            model_name=arguments.name,
            version=arguments.version,
            lane=known.lane,
            version_created=known.created,
            target=target,
            before=known.before,
            creator=caller.user,
            comment=arguments.comment,
            archives=arguments.archive_existing_versions,
            created_at=now_ms,
            updated_at=now_ms,
            expires_at=now_ms + self._settings.governance.expires,
            digest=_digest(caller, arguments),
        )
        async with self._state.turn():
            request = await self._repeated(asked)
            if request is None:
                self._check_wanted(asked)
                await self._check_number()
                await self._ledger.add(asked, caller.who)
                request = asked
        return {"request": request_answer(request)}

    async def _read_first(self, caller: Requester) -> None:
        """Poll, for a version that is not known yet.

        Raises:
            OwnerUnavailable: MLflow's server waits for this answer, and did not answer the poll meanwhile.
        """
        if not caller.is_forwarded:
            await self._catch_up()
            return
        try:
            async with asyncio.timeout(_FORWARDED_S):
                await self._catch_up()
        except TimeoutError:
            raise OwnerUnavailable(_NOT_YET) from None

    async def open_ones(self, given: Mapping[str, Any]) -> Document:
        """Return the open requests about a version, oldest first.

        Raises:
            InvalidArgument: an argument is missing, or cannot be used.
        """
        arguments, _ = parse_arguments(OpenArguments, given)
        found = await self._state.load_requests_of(arguments.name, arguments.version)
        return {"requests": [request_answer(one) for one in found if one.status is RequestStatus.PENDING]}

    @in_turn
    async def approve(self, given: Mapping[str, Any], caller: Requester) -> Document:
        """Approve a request; the transition is made after the answer, or after its gates have been asked.

        The same again changes nothing.

        Raises:
            InvalidArgument: an argument is missing, or cannot be used.
            NotFound: there is no such request.
            InvalidState: it was decided otherwise, or cannot be fulfilled any more.
            NotAllowed: it is their own.
        """
        arguments, _ = parse_arguments(ApproveArguments, given)
        request = self._not_own(await self._named(arguments), caller)
        await self._check_up_to_date(request)
        gates = guarding(self._gates, request.model_name, request.target)

        def decide(one: TransitionRequest, now_ms: int) -> TransitionRequest:
            return approved(
                one,
                caller.user,
                arguments.comment,
                now_ms,
                gates=gates,
                self_approval=self._settings.governance.self_approval,
                archives=arguments.archive_existing_versions,
            )

        after = await self._ledger.change(request.id, decide, caller.who)
        return _activity(after, RequestStatus.APPROVED, caller, arguments.comment)

    @in_turn
    async def reject(self, given: Mapping[str, Any], caller: Requester) -> Document:
        """Reject a request; if it is named by version and stage, all that are open. The same again changes nothing.

        Raises:
            As `approve`.
        """
        arguments, _ = parse_arguments(WhichArguments, given)

        def decide(one: TransitionRequest, now_ms: int) -> TransitionRequest:
            self_approval = self._settings.governance.self_approval
            return rejected(one, caller.user, arguments.comment, now_ms, self_approval=self_approval)

        found = await self._named(arguments)
        others = [one for one in found if arguments.is_by_id or not is_own(one.creator, caller.user)]
        named = [(one.id, decide) for one in others or found]
        (after, *_) = await self._ledger.change_all(named, caller.who)
        return _activity(after, RequestStatus.REJECTED, caller, arguments.comment)

    @in_turn
    async def cancel(self, given: Mapping[str, Any], caller: Requester) -> Document:
        """Take a request back. The same again changes nothing.

        Raises:
            InvalidArgument, NotFound, InvalidState: as `approve`.
            NotAllowed: it is somebody else's, and the caller may not decide.
        """
        arguments, _ = parse_arguments(CancelArguments, given)
        if not arguments.is_by_id:
            check_named(arguments, ("name", "version", "creator"))
        found = await self._named(arguments)
        if not arguments.is_by_id:
            found = [one for one in found if one.creator == arguments.creator]
        if not found:
            raise NotFound(
                f"{arguments.creator!r:.80} has no request for this: list tells those that there are"
            )
        (request, *_) = found
        if request.creator != caller.user and not caller.may_decide:
            raise NotAllowed(
                f"the request is by {request.creator}: only they, or who may decide, can take it back"
            )

        def decide(one: TransitionRequest, now_ms: int) -> TransitionRequest:
            return cancelled(one, caller.user, arguments.comment, now_ms)

        after = await self._ledger.change(request.id, decide, caller.who)
        return _activity(after, RequestStatus.CANCELLED, caller, arguments.comment)

    async def _known(self, model: str, version: str, target: Target) -> "_Known | None":
        return await self._state.ask(lambda reader: _known(reader, model, version, target))

    async def _repeated(self, asked: TransitionRequest) -> TransitionRequest | None:
        """Return the request that this one repeats, if there is one."""
        for one in reversed(await self._state.load_requests_of(asked.model_name, asked.version)):
            is_same = (one.creator, one.target) == (asked.creator, asked.target)
            if is_same and one.status is RequestStatus.PENDING:
                return one
            if one.digest == asked.digest and abs(asked.created_at - one.created_at) < _REPEATED_WITHIN_MS:
                return one
        return None

    def _check_wanted(self, asked: TransitionRequest) -> None:
        target = asked.target
        has_it = asked.before == (asked.version if target.alias is not None else target.stage)
        if has_it:
            where = f"has the alias {target.told}" if target.alias is not None else f"is in {target.told}"
            raise InvalidArgument(f"version {asked.version} {where} already: there is nothing to ask for")

    def may_decide_on(self, creator: str, user: str) -> bool:
        """Whether ``user`` may decide on a request of ``creator``: on one's own only where the configuration allows it."""
        return not is_own(creator, user) or self._settings.governance.self_approval

    async def _check_number(self) -> None:
        most = self._settings.governance.max
        numbers = (await self._state.ask(lambda reader: reader.governance())).requests
        if sum(numbers.get(status.value, 0) for status in RequestStatus if status.is_open) >= most:
            msg = f"there are {most} open requests, and governance.max is {most}: decide on some, or raise it"
            raise LimitExceeded(msg)

    async def _named(self, arguments: WhichArguments) -> Sequence[TransitionRequest]:
        """Return the requests that are named: the open ones, oldest first, or else the last one.

        Raises:
            InvalidArgument: nothing is named.
            NotFound: there is none.
        """
        if arguments.is_by_id:
            request = await self._state.load_request(arguments.transition_request_id)
            if request is None:
                named = f"{arguments.transition_request_id!r:.80}"
                raise NotFound(f"there is no request {named}: list tells those that there are")
            return [request]
        check_named(arguments)
        target = target_of(arguments.stage, arguments.alias)
        found = [
            one
            for one in await self._state.load_requests_of(arguments.name, arguments.version)
            if one.target == target
        ]
        if not found:
            msg = f"nobody asked for {target.told} for version {arguments.version} of {arguments.name!r:.256}"
            raise NotFound(msg)
        return [one for one in found if one.status is RequestStatus.PENDING] or found[-1:]

    def _not_own(self, found: Sequence[TransitionRequest], caller: Requester) -> TransitionRequest:
        """Return the oldest of several requests for the same that the caller may decide on; else the oldest."""
        return next((one for one in found if not is_own(one.creator, caller.user)), found[0])

    async def _check_up_to_date(self, request: TransitionRequest) -> None:
        """Refuse to decide on a request that cannot be fulfilled any more; close it.

        Raises:
            InvalidState: it cannot.
        """
        why = await self._ledger.close_if_overtaken(request)
        if why:
            raise InvalidState(f"the request {request.id} was closed: {why}")


@dataclass(frozen=True, slots=True)
class _Known:
    """What the state knows of a version: its model's lane, when it was created, and what it has now."""

    lane: str
    created: int
    before: str | None


def _known(state: StateReader, model: str, version: str, target: Target) -> _Known | None:
    found = state.known().get(model)
    identity = state.identities().by_name.get(model)
    if found is None or identity is None or version not in found.versions:
        return None
    return _Known(identity.lane, found.versions[version].created, holder_of(found, version, target))


def _activity(request: TransitionRequest, kind: RequestStatus, caller: Requester, comment: str) -> Document:
    if request.decided_by and request.decided_by != caller.user:  # somebody else had decided so before
        return {"activity": activity_answer(request, kind, request.decided_by, request.decision_comment)}
    return {"activity": activity_answer(request, kind, caller.user, comment or request.decision_comment)}


def _digest(caller: Requester, arguments: MakeArguments) -> str:
    text = json.dumps([caller.who, arguments.model_dump()], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
