"""Settles attempts: records their outcomes for the entries, and updates the sinks and lanes."""

import random
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager

from bridge.delivery.delivery_lanes import Lanes
from bridge.delivery.outbox_entry import Entry, Status, remaining_ms
from bridge.delivery.retry_policy import Attempt, settle
from bridge.delivery.sending_rate_limit import SendingRateLimits
from bridge.delivery.sink_state import Condition, paced, state_after_attempt
from bridge.pipeline.clocks import Trust
from bridge.pipeline.delivery_attempts import Attempted, Endpoint, report, report_condition
from bridge.pipeline.metrics_observer import Observer
from bridge.store.base import RelayState
from bridge.store.write_turn import in_turn


class Settlement:
    """Settles attempts in groups: one commit makes a whole group durable."""

    def __init__(
        self,
        state: RelayState,
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

    def turn(self) -> AbstractAsyncContextManager[None]:
        """Hold the turn to write: see `bridge.store.write_turn`."""
        return self._state.turn()

    @in_turn
    async def settle(self, attempted: Sequence[Attempted]) -> int:
        """Make outcomes durable, then act on them; return how many entries were delivered.

        Raises:
            StateUnwritable: nothing was settled.
            LookupError: an entry that was attempted is not in the state: a fault in the bridge.
        """
        if not attempted:
            return 0
        conditions: dict[str, Condition] = {}
        # as they are now: an operator may have paused a sink meanwhile
        entries = await self._entries([one.claim.number for one in attempted])
        decided = [
            (one, self._decide(one, entry, conditions)) for one, entry in zip(attempted, entries, strict=True)
        ]
        changed = {
            sink: condition
            for sink, condition in conditions.items()
            if condition != self._limits.condition(sink)
        }
        await self._state.settle([entry for _, entry in decided], changed)
        for one, entry in decided:
            self._act(one, entry)
        for sink, condition in changed.items():
            self._become(sink, condition)
        return sum(entry.status is Status.DELIVERED for _, entry in decided)

    async def _entries(self, numbers: Sequence[int]) -> list[Entry]:
        entries = await self._state.load_entries(numbers)
        missing = set(numbers) - {entry.id for entry in entries}
        if missing:
            msg = f"entry {min(missing)} is not in the state"
            raise LookupError(msg)
        return entries

    def _decide(self, one: Attempted, entry: Entry, conditions: dict[str, Condition]) -> Entry:
        """Return ``entry`` as it is after an attempt; store the new state of its sink in ``conditions``."""
        ended_at, took_s = self._trust.now_ms(), self._clock.monotonic() - one.claim.began
        frame = Attempt(
            began_at=ended_at - int(took_s * 1000),  # by the same clock
            ended_at=ended_at,
            spread=random.random(),  # noqa: S311 - spreads retries, guards nothing
            may_expire=self._trust.is_given(),
        )
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
