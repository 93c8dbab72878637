"""Processes open transition requests: judges them, makes the transitions of those approved, and ends the others in time."""

import asyncio
import random
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from typing import TypeVar

import structlog

from bridge.delivery.retry_policy import RetryPolicy, backoff_ms
from bridge.diff.absence_verification import Absence
from bridge.errors import BridgeError, NotFound, StateUnwritable, TransitionRefused
from bridge.events.json_templates import context_of
from bridge.governance.gate import Gate, guarding
from bridge.governance.request_decisions import applied, expired, failed, judged
from bridge.governance.request_events import creation_event
from bridge.governance.request_steps import (
    Move,
    Standing,
    Step,
    begun,
    next_move,
    next_step,
    postponed,
)
from bridge.governance.transition_request import RequestStatus, TransitionRequest
from bridge.pipeline.clocks import Clock
from bridge.pipeline.gate_judgement import GateJudgement
from bridge.pipeline.request_ledger import RequestLedger
from bridge.pipeline.worker_threads import SharedCall, ThreadedCall
from bridge.registry.base import Deadline, Transitions
from bridge.store.base import State

log = structlog.get_logger(__name__)
T = TypeVar("T")

_AT_A_TIME = 4
_PATIENCE_MS = 10_000
"""How long the registry may take for each part of one step."""

_GRACE_S = 1.0
_LONGEST_SLEEP_S = 30.0
"""While the machine sleeps, asyncio's timers stand still and due times come closer, so check at least this often."""

_UNWRITABLE_PAUSE_S = 5.0


class RequestProcessing:
    """Takes the next step of each open request when it is due, a few at a time."""

    def __init__(
        self,
        state: State,
        ledger: RequestLedger,
        gates: Sequence[Gate],
        judgement: GateJudgement,
        transitions: Transitions,
        policy: RetryPolicy,
        clock: Clock,
    ) -> None:
        """Process the requests in ``ledger``; attempts to make transitions are repeated as ``policy`` says."""
        self._state = state
        self._ledger = ledger
        self._gates = gates
        self._judgement = judgement
        self._transitions = transitions
        self._prepared = SharedCall(transitions.prepare)  # never cut off: half an import stays broken
        self._policy = policy
        self._clock = clock
        self._due: dict[str, float] = {}
        """When each open request has to be looked at, by the monotonic clock."""
        self._under_way: dict[asyncio.Task[None], str] = {}
        self._wake = asyncio.Event()
        self.made: Callable[[], None] = lambda: None
        """Is called after a transition was made: the next poll can see it."""
        ledger.tell(self._hear)

    async def load(self) -> None:
        """Take up the open requests of the state; close those that were overtaken meanwhile."""
        for request in await self._state.load_open_requests():
            self._schedule(request)
        await self.observe(None)

    def _hear(self, requests: Iterable[TransitionRequest]) -> None:
        for request in requests:
            self._schedule(request)
        self._wake.set()

    def _schedule(self, request: TransitionRequest) -> None:
        if not request.status.is_open:
            self._due.pop(request.id, None)
            return
        found = next_step(request, self._guarding(request), self._clock.now_ms())
        self._due[request.id] = self._clock.monotonic() + found.wait_ms / 1000

    def _guarding(self, request: TransitionRequest) -> list[Gate]:
        return guarding(self._gates, request.model_name, request.target)

    async def observe(self, names: Collection[str] | None) -> None:
        """Close the pending requests that cannot be fulfilled any more, after a poll changed these models (None: any)."""
        for request in await self._state.load_open_requests():
            if request.status is not RequestStatus.PENDING or (
                names is not None and request.model_name not in names
            ):
                continue
            with suppress(StateUnwritable):  # the next poll of this model, or the next start, finds it again
                await self._ledger.close_if_overtaken(request)

    async def run(self, stop: asyncio.Event) -> None:
        """Process requests until ``stop`` is set; steps under way are then cut off: the next start repeats them."""
        stopping = asyncio.ensure_future(stop.wait())
        stopping.add_done_callback(lambda _: self._wake.set())
        try:
            while not stop.is_set():
                self._start_due()
                await self._wait()
        finally:
            stopping.cancel()
            await self._cut_off()

    async def run_due(self, until: float) -> None:
        """Process what is due now, until nothing is, or until this time by the monotonic clock."""
        while self._clock.monotonic() < until:
            self._start_due()
            if not self._under_way:
                return
            left = until - self._clock.monotonic()
            await asyncio.wait(
                self._under_way,
                timeout=None if left == float("inf") else left,
                return_when=asyncio.FIRST_COMPLETED,
            )
        await self._cut_off()

    async def _cut_off(self) -> None:
        for task in self._under_way:
            task.cancel()
        if self._under_way:
            await asyncio.wait(self._under_way)

    def _start_due(self) -> None:
        now = self._clock.monotonic()
        busy = set(self._under_way.values())
        due = sorted((at, one) for one, at in self._due.items() if at <= now and one not in busy)
        for _, request in due[: max(0, _AT_A_TIME - len(busy))]:
            task = asyncio.create_task(self._process(request), name="request")
            self._under_way[task] = request
            task.add_done_callback(self._end)

    def _end(self, task: asyncio.Task[None]) -> None:
        self._under_way.pop(task, None)
        self._wake.set()

    async def _wait(self) -> None:
        busy = set(self._under_way.values())
        due = min((at for one, at in self._due.items() if one not in busy), default=float("inf"))
        is_full = len(busy) >= _AT_A_TIME
        left = _LONGEST_SLEEP_S if is_full else max(0.0, due - self._clock.monotonic())
        with suppress(TimeoutError):
            async with asyncio.timeout(min(left, _LONGEST_SLEEP_S)):
                await self._wake.wait()
        self._wake.clear()

    async def _process(self, wanted: str) -> None:
        """Take the next step of a request; a fault in one must not stop the others."""
        try:
            request = await self._state.load_request(wanted)
            if request is None or not request.status.is_open:
                self._due.pop(wanted, None)
                return
            found = next_step(request, self._guarding(request), self._clock.now_ms())
            if found.wait_ms == 0:
                await self._take(found.step, request)
            else:
                self._schedule(request)
        except StateUnwritable as error:
            log.error("state.unwritable", error=str(error), retry_in_s=_UNWRITABLE_PAUSE_S)
            self._due[wanted] = self._clock.monotonic() + _UNWRITABLE_PAUSE_S
        except NotFound:
            self._due.pop(wanted, None)
        except Exception as error:
            log.error("request.fault", request=wanted, kind=type(error).__name__, exc_info=error)
            self._due[wanted] = self._clock.monotonic() + _LONGEST_SLEEP_S

    async def _take(self, step: Step, request: TransitionRequest) -> None:
        match step:
            case Step.EXPIRE:
                await self._ledger.change(request.id, _expire)
            case Step.JUDGE:
                await self._judge(request)
            case Step.APPLY:
                await self._apply(request)

    async def _judge(self, request: TransitionRequest) -> None:
        model = await self._state.load_model(request.model_name)
        gates, now_ms = self._guarding(request), self._clock.now_ms()
        if model is None:
            await self._ledger.close(request.id, "the model was deleted")
            return
        event = creation_event(request, _NO_STATE)
        verdicts = await self._judgement.verdicts(
            gates, model, request.version, request.target, context_of(event, event.type.value, ""), now_ms
        )
        for one in verdicts:
            log.info(
                "gate.judged",
                gate=one.gate,
                request=request.id,
                model=request.model_name,
                version=request.version,
                verdict=one.finding.value,
                **({"reasons": list(one.reasons)} if one.reasons else {}),
            )
        await self._ledger.change(
            request.id,
            lambda one, now: (
                judged(one, verdicts, gates, now) if one.status is RequestStatus.PENDING else one
            ),
        )

    async def _apply(self, request: TransitionRequest) -> None:
        """Make the transition of an approved request, or find that it was made, or cannot be."""
        try:
            found = await self._look(request)
            move, why = next_move(request, found)
            if move is Move.MAKE and found is not None:
                request = await self._ledger.change(request.id, lambda one, now: begun(one, found, now))
                made = await self._make(request)
            else:
                made = found.updated if found and request.application.updated is not None else None
        except TransitionRefused as error:
            move, why = Move.REFUSE, str(error)
        except (BridgeError, TimeoutError) as error:
            if isinstance(error, StateUnwritable):
                raise
            await self._postpone(request, str(error) or "the registry did not answer in time")
            return
        if move is Move.REFUSE:
            await self._ledger.change(request.id, lambda one, now: failed(one, why, now))
            return
        await self._ledger.change(request.id, lambda one, now: applied(one, made, now))
        self.made()

    async def _look(self, request: TransitionRequest) -> Standing | None:
        """Return where the version stands; None if it is gone.

        Raises:
            TransitionRefused: it may not be read.
        """
        found = await self._asked(
            lambda deadline: self._transitions.standing(
                request.model_name, request.version, request.target, deadline
            )
        )
        if found is Absence.UNKNOWN:
            raise TransitionRefused("the registry does not let the bridge read this model any more")
        return found if isinstance(found, Standing) else None

    async def _make(self, request: TransitionRequest) -> int | None:
        made: int | None = await self._asked(
            lambda deadline: self._transitions.make(
                request.model_name, request.version, request.target, deadline, archives=request.archives
            )
        )
        return made

    async def _asked(self, call: Callable[[Deadline], T]) -> T:
        await self._prepared.within(_PATIENCE_MS / 1000)
        deadline = Deadline.after(_PATIENCE_MS)
        return await ThreadedCall(lambda: call(deadline)).within(deadline.remaining() + _GRACE_S)

    async def _postpone(self, request: TransitionRequest, why: str) -> None:
        now_ms, policy = self._clock.now_ms(), self._policy
        if now_ms - (request.decided_at or now_ms) > policy.max_age_ms:
            told = f"given up: {why}"
            await self._ledger.change(request.id, lambda one, now: failed(one, told, now))
            return
        wait = backoff_ms(max(1, request.application.attempts), random.random(), policy)  # noqa: S311 - spreads retries
        log.warning(
            "request.postponed", request=request.id, model=request.model_name, error=why, wait_ms=wait
        )
        await self._ledger.change(request.id, lambda one, now: postponed(one, why, wait, now))


_NO_STATE = "00000000-0000-4000-8000-000000000000"


def _expire(request: TransitionRequest, now_ms: int) -> TransitionRequest:
    return expired(request, now_ms) if request.status is RequestStatus.PENDING else request
