"""Processes open transition requests: judges them, makes the transitions of those approved, and ends the others in time."""

import random
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

import structlog

from bridge.delivery.event_routing import selects
from bridge.delivery.retry_policy import RetryPolicy, backoff_ms
from bridge.errors import BridgeError, NotFound, StateUnwritable, TransitionRefused
from bridge.events.json_templates import context_of
from bridge.governance.direct_transition import DirectTransition
from bridge.governance.gate import Gate, Verdict, guarding
from bridge.governance.movement import Move, begun, next_move, postponed
from bridge.governance.request_decisions import applied, expired, failed, judged
from bridge.governance.request_events import creation_event
from bridge.governance.request_steps import Step, next_step
from bridge.governance.transition_request import RequestStatus, TransitionRequest
from bridge.pipeline.clocks import Clock, Trust
from bridge.pipeline.gate_judgement import GateJudgement
from bridge.pipeline.governance_transactions import GovernanceLedger
from bridge.pipeline.metrics_observer import NullObserver, Observer
from bridge.pipeline.transition_execution import MovementMaking
from bridge.pipeline.verdict_tags import write_tags
from bridge.store.base import State

log = structlog.get_logger(__name__)

_NO_STATE = "00000000-0000-4000-8000-000000000000"

_ASK_AGAIN_S = 60.0
_LEAST_S = 0.2
"""How long a request waits at least between two steps, if nothing has changed: a clock that jumps must not busy the loop."""

Schedule = Callable[[str, float | None], None]
"""Has a thing of this name looked at in so many seconds; None: not any more."""


@dataclass(frozen=True, slots=True)
class Collaborators:
    """What processes requests and direct transitions.

    Attempts to make movements are repeated as ``policy`` says. With ``tags``, verdicts are written to versions.
    """

    state: State
    ledger: GovernanceLedger
    judgement: GateJudgement
    making: MovementMaking
    policy: RetryPolicy
    clock: Clock
    trust: Trust
    observer: Observer = field(default_factory=NullObserver)
    tags: bool = False


class RequestProcessing:
    """The next steps of open requests."""

    def __init__(self, shared: Collaborators, gates: Sequence[Gate]) -> None:
        """Process the requests in the ledger by ``gates``."""
        self._tags = shared.tags
        self._state = shared.state
        self._ledger = shared.ledger
        self._judgement = shared.judgement
        self._making = shared.making
        self._policy = shared.policy
        self._clock = shared.clock
        self._trust = shared.trust
        self._observer = shared.observer
        self._gates = gates

    async def load(self, schedule: Schedule) -> None:
        """Close the requests that were overtaken meanwhile; have the other open ones looked at."""
        await self.observe(None, schedule)

    def hear(self, requests: Iterable[TransitionRequest], schedule: Schedule) -> None:
        """Take up changes of requests."""
        for request in requests:
            schedule(request.id, self._due_in_s(request))

    def _due_in_s(self, request: TransitionRequest) -> float | None:
        if not request.status.is_open:
            return None
        return next_step(request, self._guarding(request), self._clock.now_ms()).wait_ms / 1000

    def _guarding(self, request: TransitionRequest) -> list[Gate]:
        return guarding(self._gates, request.model_name, request.target)

    async def observe(self, names: Collection[str] | None, schedule: Schedule) -> None:
        """Close the pending requests that cannot be fulfilled any more, after a poll changed these models (None: any).

        The others are looked at: a poll may have taken up new ones.
        """
        for request in await self._state.load_open_requests():
            if names is None or request.model_name in names:
                schedule(request.id, self._due_in_s(request))
                with suppress(
                    StateUnwritable
                ):  # the next poll of this model, or the next start, finds it again
                    await self._ledger.close_if_overtaken(request)

    async def warn_if_read_only(self) -> float | None:
        """Warn if a gate decides, and the bridge may not change a model that it guards; return when to ask again."""
        model = await self._state.ask(lambda reader: guarded_model(reader.known(), self._gates))
        if model is None:
            return None
        try:
            fault = await self._making.write_fault(model)
        except (BridgeError, TimeoutError):
            return _ASK_AGAIN_S
        if fault:
            log.warning("registry.read_only", model=model, error=fault)
        return None

    async def take(self, wanted: str) -> float | None:
        """Take the next step of a request, if it is due; return in how many seconds the one after it is."""
        request = await self._state.load_request(wanted)
        if request is None or not request.status.is_open:
            return None
        found = next_step(request, self._guarding(request), self._clock.now_ms())
        if found.wait_ms:
            return found.wait_ms / 1000
        with suppress(NotFound):  # it was pruned meanwhile
            match found.step:
                case Step.EXPIRE if not self._trust.is_given():
                    return _ASK_AGAIN_S
                case Step.EXPIRE:
                    await self._ledger.change(request.id, _expire)
                case Step.JUDGE:
                    await self._judge(request)
                case Step.APPLY:
                    await self._apply(request)
        after = await self._state.load_request(wanted)
        due_s = self._due_in_s(after) if after else None
        return None if due_s is None else max(due_s, _LEAST_S)

    async def _judge(self, request: TransitionRequest) -> None:
        model = await self._state.load_model(request.model_name)
        gates, now_ms = self._guarding(request), self._clock.now_ms()
        if model is None:
            await self._ledger.close(request.id, "the model was deleted")
            return
        event = creation_event(request, _NO_STATE)
        seen = context_of(event, event.type.value, "")
        verdicts = await self._judgement.verdicts(gates, model, request.version, request.target, seen, now_ms)
        report_verdicts(verdicts, request, self._observer)
        await self._ledger.change(
            request.id,
            lambda one, now: (
                judged(one, verdicts, gates, now) if one.status is RequestStatus.PENDING else one
            ),
        )
        if self._tags:
            await write_tags(self._making, request, verdicts)

    async def _apply(self, request: TransitionRequest) -> None:
        """Make the transition of an approved request, or find that it was made, or cannot be."""
        try:
            found = await self._making.look(request.movement)
            move, why = next_move(request.movement, found)
            made = found.updated if found and request.target.alias is None else 0
            if move is Move.MAKE and found is not None:
                request = await self._ledger.change(
                    request.id,
                    lambda one, now: replace(one, application=begun(one.application, found, one.target, now)),
                )
                made = await self._making.make(request.movement, archives=request.archives)
        except TransitionRefused as error:
            move, why = Move.REFUSE, str(error)
        except StateUnwritable:
            raise
        except (BridgeError, TimeoutError) as error:
            await self._postpone(request, str(error) or "the registry did not answer in time")
            return
        if move is Move.REFUSE:
            await self._ledger.change(request.id, lambda one, now: failed(one, why, now))
            return
        await self._ledger.change(request.id, lambda one, now: applied(one, made, now))

    async def _postpone(self, request: TransitionRequest, why: str) -> None:
        now_ms, policy = self._clock.now_ms(), self._policy
        is_old = now_ms - (request.decided_at or now_ms) > policy.max_age_ms
        if is_old and self._trust.is_given():
            told = f"given up: {why}"
            await self._ledger.change(request.id, lambda one, now: failed(one, told, now))
            return
        wait = wait_ms(request.application.failures + 1, policy)
        log.warning(
            "request.postponed", request=request.id, model=request.model_name, error=why, wait_ms=wait
        )
        await self._ledger.change(
            request.id,
            lambda one, now: replace(one, application=postponed(one.application, why, wait, now)),
        )


def guarded_model(names: Iterable[str], gates: Sequence[Gate]) -> str | None:
    """Return a model for which a gate decides, or None."""
    deciding = [gate for gate in gates if gate.mode.decides]
    return next((name for name in names if any(selects(gate.models, name) for gate in deciding)), None)


def wait_ms(attempts: int, policy: RetryPolicy) -> int:
    """Return how long to wait after this number of attempts to make a movement."""
    return backoff_ms(max(1, attempts), random.random(), policy)  # noqa: S311 - spreads retries


def report_verdicts(
    verdicts: Iterable[Verdict], about: TransitionRequest | DirectTransition, observer: Observer
) -> None:
    """Log and count what gates found."""
    for one in verdicts:
        observer.gate_judged(one.gate, one.finding.value)
        log.info(
            "gate.judged",
            gate=one.gate,
            request=about.id,
            model=about.model_name,
            version=about.version,
            verdict=one.finding.value,
            **({"reasons": list(one.reasons)} if one.reasons else {}),
        )


def _expire(request: TransitionRequest, now_ms: int) -> TransitionRequest:
    return expired(request, now_ms) if request.status is RequestStatus.PENDING else request
