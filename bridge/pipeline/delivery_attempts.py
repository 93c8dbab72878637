"""Makes one delivery attempt, and logs its outcome."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace

import structlog

from bridge.delivery.attempt_outcome import Outcome, Reason, rejected, retryable
from bridge.delivery.outbox_entry import Entry, Status
from bridge.delivery.retry_policy import RetryPolicy
from bridge.delivery.sending_rate_limit import Terms
from bridge.delivery.sink_state import Condition, Standing
from bridge.events.event import Event
from bridge.sinks.base import Delivery, Sink
from bridge.sinks.send_permission import SendingForbidden, may_send
from bridge.store.base import RelayState

log = structlog.get_logger(__name__)

_SHOUTED = frozenset({Reason.MISCONFIGURED, Reason.UNSUCCESSFUL, Reason.SECRET, Reason.GONE, Reason.INTERNAL})
"""Failures that only an operator can correct."""

CUT_OFF = retryable(Reason.TIMEOUT, "cut off: the bridge had to stop before the receiver answered")
"""The outcome of an attempt that was stopped because the bridge exits."""


Enrich = Callable[[Event], Awaitable[Event | Outcome]]
"""Returns an event with its details, or an outcome that says why it has to wait."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A sink with its retry policy, its limits, and its source of details, if it asks for details."""

    sink: Sink
    policy: RetryPolicy
    terms: Terms = field(default_factory=Terms)
    enrich: Enrich | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """The number of an entry that is being attempted, since ``began_at`` (ms since the epoch).

    ``began`` is the same time by the monotonic clock, in seconds: the wall clock can jump meanwhile.
    """

    number: int
    began_at: int
    began: float


@dataclass(frozen=True, slots=True)
class Attempted:
    """A claim and the outcome of its attempt."""

    claim: Claim
    outcome: Outcome

    @property
    def was_cut_off(self) -> bool:
        """Whether the bridge stopped the attempt: this says nothing about the sink."""
        return self.outcome is CUT_OFF


async def attempt(state: RelayState, endpoints: Mapping[str, Endpoint], claim: Claim) -> Attempted:
    """Make one attempt; a fault in one sink, or with one event, must not stop the others."""
    try:
        (entry,) = await state.load_entries([claim.number])
        event = await state.load_event(entry.event_id)
        if event is None:
            outcome = rejected(Reason.INTERNAL, "its event is missing from the state")
        else:
            outcome = await _deliver(state, endpoints[entry.sink], entry, event, claim.began_at)
    except SendingForbidden:
        outcome = CUT_OFF
    except Exception as error:  # noqa: BLE001 - its text may contain secrets
        kind = type(error).__name__
        outcome = retryable(Reason.INTERNAL, f"a fault in the bridge: {kind}")
    return Attempted(claim, outcome)


async def _deliver(
    state: RelayState, endpoint: Endpoint, entry: Entry, event: Event, began_at: int
) -> Outcome:
    told = event if endpoint.enrich is None else await endpoint.enrich(event)
    if isinstance(told, Outcome):
        return told
    if entry.sent_as:
        told = replace(told, id=entry.sent_as)
    may_send.set(state.is_owned)
    if not state.is_owned():  # fetching details may have taken long
        return CUT_OFF
    return await endpoint.sink.deliver(Delivery(told, entry.event_name, began_at, entry.id))


def report_condition(sink: str, before: Condition, now: Condition) -> None:
    """Log the changes of a sink's state."""
    if before.is_open != now.is_open:
        if now.is_open:
            log.warning("sink.circuit_opened", sink=sink, lanes=len(now.failing))
        else:
            log.info("sink.circuit_closed", sink=sink)
    if before.standing is not now.standing and now.standing is Standing.STOPPED:
        log.error("sink.stopped", sink=sink, why=now.why)


def report(outcome: Outcome, entry: Entry) -> None:
    """Log the outcome of an attempt."""
    fields = {
        "sink": entry.sink,
        "entry": entry.id,
        "event_id": entry.event_id,
        "attempt": entry.attempts,
        "reason": outcome.reason.value,
        **({"http_status": outcome.status} if outcome.status else {}),
        **({"link": entry.link} if entry.link else {}),
    }
    if entry.status is Status.DELIVERED:
        log.info("delivery.delivered", **fields)
    elif entry.status is Status.DEAD:
        log.error("delivery.dead", detail=entry.detail, **fields)
    else:
        tell = log.error if outcome.reason in _SHOUTED else log.warning
        tell("delivery.retry", detail=entry.detail, wait_ms=entry.wait_ms, **fields)
