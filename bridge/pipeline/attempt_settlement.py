"""Settles attempts: records their outcomes for the entries, and updates the sinks and lanes."""

import random
from collections.abc import Mapping, Sequence

from bridge.delivery.delivery_lanes import Lanes
from bridge.delivery.outbox_entry import Entry, Status, remaining_ms
from bridge.delivery.retry_policy import Attempt, settle
from bridge.delivery.sending_rate_limit import SendingRateLimits
from bridge.delivery.sink_state import Condition, paced, state_after_attempt
from bridge.pipeline.clocks import Trust
from bridge.pipeline.delivery_attempts import Attempted, Endpoint, report, report_condition
from bridge.pipeline.metrics_observer import Observer
from bridge.store.state import State


class Settlement:
    """Settles attempts in groups: one commit makes a whole group durable."""

    def __init__(
        self,
        state: State,
        endpoints: Mapping[str, Endpoint],
        limits: SendingRateLimits,
        lanes: Lanes,
        trust: Trust,
        observer: Observer,
    ) -> None:
        """Settle attempts for a relay with these ``limits`` and ``lanes``."""
        self._state = state
        self._endpoints = endpoints
        self._limits = limits
        self._lanes = lanes
        self._clock = trust.clock
        self._trust = trust
        self._observer = observer

    def settle(self, attempted: Sequence[Attempted]) -> int:
        """Make outcomes durable, then act on them; return how many entries were delivered.

        Raises:
            StateUnwritable: nothing was settled.
        """
        if not attempted:
            return 0
        conditions: dict[str, Condition] = {}
        decided = [(one, self._decide(one, conditions)) for one in attempted]
        changed = {
            sink: condition
            for sink, condition in conditions.items()
            if condition != self._limits.condition(sink)
        }
        self._state.settle([entry for _, entry in decided], changed)
        for one, entry in decided:
            self._act(one, entry)
        for sink, condition in changed.items():
            self._become(sink, condition)
        return sum(entry.status is Status.DELIVERED for _, entry in decided)

    def _decide(self, one: Attempted, conditions: dict[str, Condition]) -> Entry:
        """Return an entry as it is after an attempt; store the new state of its sink in ``conditions``."""
        ended_at, took_s = self._trust.now_ms(), self._clock.monotonic() - one.claim.began
        frame = Attempt(
            began_at=ended_at - int(took_s * 1000),  # by the same clock
            ended_at=ended_at,
            spread=random.random(),  # noqa: S311 - spreads retries, guards nothing
            may_expire=self._trust.is_given(),
        )
        entry = present_entry(
            self._state, one.claim.entry.id
        )  # an operator may have paused its sink meanwhile
        endpoint = self._endpoints[entry.sink]
        before = conditions.get(entry.sink) or self._limits.condition(entry.sink)
        now = (
            before
            if one.was_cut_off
            else state_after_attempt(before, entry.lane, one.outcome, frame, endpoint.policy)
        )
        conditions[entry.sink] = paced(now, frame.began_at) if endpoint.terms.spacing_ms else now
        return settle(entry, one.outcome, frame, endpoint.policy)

    def _act(self, one: Attempted, entry: Entry) -> None:
        wait_s = remaining_ms(entry, self._trust.now_ms()) / 1000
        due = self._clock.monotonic() + wait_s if entry.status is Status.PENDING else None
        self._lanes.release(entry, due)
        self._observer.delivery_finished(entry.sink, one.outcome, entry.duration_ms / 1000)
        report(one.outcome, entry)

    def _become(self, sink: str, condition: Condition) -> None:
        before = self._limits.condition(sink)
        self._limits.put(sink, condition, self._clock.monotonic(), self._trust.now_ms())
        report_condition(sink, before, condition)
        if before.is_open and not condition.is_open:
            self._lanes.hurry(sink, self._clock.monotonic())


def present_entry(state: State, number: int) -> Entry:
    """Return the present state of an entry that the lanes hold.

    Raises:
        LookupError: it is not in the state: a fault in the bridge.
    """
    entry = state.entry(number)
    if entry is None:
        msg = f"entry {number} is not in the state"
        raise LookupError(msg)
    return entry
