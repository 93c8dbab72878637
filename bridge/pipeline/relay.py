"""The relay: outbox → sinks. Claim what is due, attempt once, settle."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace

import structlog

from bridge.delivery.delivery_lanes import Lanes
from bridge.delivery.outbox_entry import Entry, remaining_ms
from bridge.delivery.sending_rate_limit import SendingRateLimits
from bridge.delivery.sink_state import Condition
from bridge.errors import StateUnwritable
from bridge.pipeline.attempt_settlement import Settlement
from bridge.pipeline.clock_jump_correction import corrected, corrected_entry
from bridge.pipeline.clocks import Clock, Trust
from bridge.pipeline.delivery_attempts import (
    CUT_OFF,
    Attempted,
    Claim,
    Endpoint,
    attempt,
)
from bridge.pipeline.metrics_observer import Observer
from bridge.store.base import News, RelayState
from bridge.store.entry_header import EntryHeader

log = structlog.get_logger(__name__)

OVERALL_CONCURRENCY = 64
_UNWRITABLE_PAUSE_S = 5.0

_LONGEST_SLEEP_S = 30.0
"""While the machine sleeps, asyncio's timers stand still and due times come closer, so check at least this often."""

_LOOK_AGAIN_S = 0.2
"""While the ownership of the state is in doubt, look this often whether it is certain again: nobody tells."""

_LOADED_AT_ONCE = 1_000
"""How many entries are loaded before the event loop goes on; that takes some 10 ms."""

_LONGEST_PACE_S = 5.0
"""A run that is about to end does not wait for a sink with a longer spacing than this."""


class Relay:
    """Delivers the entries of the outbox, lane by lane, until told to stop."""

    def __init__(
        self,
        state: RelayState,
        endpoints: dict[str, Endpoint],
        clock: Clock,
        trust: Trust,
        observer: Observer,
    ) -> None:
        """Compose a relay; `load` fills it with the pending entries of the state."""
        self._state = state
        self._endpoints = endpoints
        self._clock = clock
        self._trust = trust
        self._observer = observer
        self._limits = SendingRateLimits({name: one.terms for name, one in endpoints.items()})
        self._lanes = Lanes(self._limits, OVERALL_CONCURRENCY)
        self._settlement = Settlement(state, endpoints, self._limits, self._lanes, trust, observer)
        self._claims: dict[asyncio.Task[Attempted], Claim] = {}
        self._ended: list[asyncio.Task[Attempted]] = []
        self._settling = asyncio.Lock()
        self._wake = asyncio.Event()
        self._rests = asyncio.Event()
        self._pauses = 0
        self.delivered = 0
        self.is_stuck = False
        """Whether outcomes cannot be made durable, so that nothing is delivered."""
        self.turned_at = clock.monotonic()
        """When `run` last completed a loop, by the monotonic clock; it does so at least every half minute."""

    async def load(self) -> None:
        """Take the pending entries of configured sinks, and hear of later changes; correct last attempts in the future.

        Raises:
            StateUnwritable: the corrections could not be made durable.
        """
        jump = self._trust.jumped_ms()
        if jump:
            log.warning("clock.jumped", by_ms=jump)
        async with self._state.turn():
            taken, now_ms = await self._state.take(self._hear), self._clock.now_ms()
            found = corrected((), taken.conditions, now_ms, jump)
            self._put(found.conditions)
            changed: list[Entry] = []
            for start in range(0, len(taken.pending), _LOADED_AT_ONCE):
                numbers = taken.pending[start : start + _LOADED_AT_ONCE]
                changed += await self._load_some(numbers, now_ms, jump)
                if len(numbers) == _LOADED_AT_ONCE:
                    await asyncio.sleep(0)
            await replace(found, changed_entries=changed).store(self._state, self._trust)

    async def _load_some(self, numbers: Sequence[int], now_ms: int, jump_ms: int) -> list[Entry]:
        """Take pending entries; return those whose times were corrected."""
        loaded = await self._state.load_entries(numbers)
        entries = [one for one in loaded if one.sink in self._endpoints]
        fixed = [corrected_entry(one, now_ms, jump_ms) for one in entries]
        self._add(fixed)
        return [new for old, new in zip(entries, fixed, strict=True) if new is not old]

    async def follow_clock(self, jump_ms: int) -> None:
        """Correct stored times and the states of sinks after the wall clock jumped.

        Raises:
            StateUnwritable: the corrections were not stored.
        """
        async with self._state.turn():
            attempted = await self._state.load_pending(self._was_attempted)
            conditions = await self._state.load_conditions()
            found = corrected(attempted, conditions, self._clock.now_ms(), jump_ms)
            await found.store(self._state, self._trust)
            self._put(found.conditions)

    def _was_attempted(self, entry: EntryHeader) -> bool:
        return entry.sink in self._endpoints and entry.last_attempt_at is not None

    def put_sink(self, name: str, endpoint: Endpoint) -> None:
        """Add a sink, or replace its endpoint: the next attempt uses it."""
        self._endpoints[name] = endpoint
        self._limits.put_terms(name, endpoint.terms)
        self._wake.set()

    async def stop_sink(self, name: str) -> None:
        """Begin no more attempts of a sink, stop those under way, and settle them; `put_sink` starts it again.

        Raises:
            StateUnwritable: the outcomes could not be recorded; the sink goes on.
        """
        endpoint = self._endpoints.get(name)
        if endpoint is None:
            return
        self._limits.put_terms(name, replace(endpoint.terms, concurrency=0))
        async with self._settling:
            numbers = [claim.number for claim in self._claims.values()]
            of_sink = {one.id for one in await self._state.load_entries(numbers) if one.sink == name}
            ours = {task: claim for task, claim in self._claims.items() if claim.number in of_sink}
            try:
                self.delivered += await self._settlement.settle(await _stopped(ours))
            except StateUnwritable:
                self.put_sink(name, endpoint)
                raise
            for task in ours:
                del self._claims[task]

    def remove_sink(self, name: str) -> None:
        """Remove a stopped sink that has no pending entries any more."""
        self._endpoints.pop(name, None)
        self._limits.remove(name)
        self._lanes.forget(name)

    @contextmanager
    def begin_nothing(self) -> Iterator[None]:
        """Begin no attempts during the context: what is not under way stays so while the state is written."""
        self._pauses += 1
        try:
            yield
        finally:
            self._pauses -= 1
            self._wake.set()

    def _may_begin(self) -> bool:
        return not self._pauses and self._state.is_owned()

    def droppable(self, entries: Iterable[Entry]) -> list[Entry]:
        """Return those of ``entries`` that are not being attempted."""
        under_way = {claim.number for claim in self._claims.values()}
        return [entry for entry in entries if entry.id not in under_way]

    def _hear(self, news: News) -> None:
        """Take up what polls and operators changed. The entries of a resumed sink are due at once."""
        self._put(news.conditions)
        for sink, condition in news.conditions.items():
            if condition.is_running:
                self._lanes.hurry(sink, self._clock.monotonic())
        self._lanes.remove(news.removed)
        if news.released:
            self._lanes.let_go(news.released, self._clock.monotonic())
            self._wake.set()
        if news.entries:
            self._add(news.entries)

    def _put(self, conditions: Mapping[str, Condition]) -> None:
        for sink, condition in conditions.items():
            if sink in self._endpoints:
                self._limits.put(sink, condition, self._clock.monotonic(), self._clock.now_ms())
        self._wake.set()

    def _add(self, entries: Iterable[Entry]) -> None:
        self._rests.clear()
        now_ms, mono = self._clock.now_ms(), self._clock.monotonic()
        self._lanes.add(
            (entry, mono + remaining_ms(entry, now_ms) / 1000)
            for entry in entries
            if entry.sink in self._endpoints
        )
        self._wake.set()

    @property
    def waiting(self) -> int:
        """How many entries of configured sinks are pending, without those of paused sinks."""
        return self._lanes.waiting(self._limits.taking())

    async def rest(self, seconds: float) -> None:
        """Wait until `run` has attempted everything that is due, for at most this many seconds."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._rests.wait(), seconds)

    async def run(self, stop: asyncio.Event) -> None:
        """Deliver until ``stop`` is set; running attempts are left to `drain` or `drain_due`.

        While the state cannot be written, it keeps the outcomes and sends nothing more.
        """
        stopping = asyncio.ensure_future(stop.wait())
        stopping.add_done_callback(lambda _: self._wake.set())
        try:
            while not stop.is_set():
                self._start_due()
                await self._wait()
                await self._settle_patiently(stop)
        finally:
            stopping.cancel()

    async def drain_due(self, until: float) -> None:
        """Deliver all entries that are due or become due; return when none is left, or at ``until``.

        Raises:
            StateUnwritable: deliveries could not be recorded; they will be sent again.
        """
        while self._clock.monotonic() < until:
            self._start_due()
            opening = self._next_opening(until)
            if self._claims:
                await self._settle_next(until if opening is None else opening)
            elif not self._state.is_owned():
                raise StateUnwritable("another bridge may own the state by now: what waits is its to deliver")
            elif opening is None or not await self._reached(opening):
                break
        self.delivered += await self._settlement.settle(await self._stop_attempts())

    def _next_opening(self, until: float) -> float | None:
        """Return when the next sink that waits only for its spacing can be attempted, if that is soon."""
        now, limits = self._clock.monotonic(), self._limits
        paced = [limits.opens_at(one) for one in self._lanes.held_up() if not limits.is_resting(one, now)]
        opening = min(paced, default=None)
        return None if opening is None or opening > min(now + _LONGEST_PACE_S, until) else opening

    async def _reached(self, opening: float) -> bool:
        """Wait for ``opening``; return whether that time has come."""
        await asyncio.sleep(max(0.0, opening - self._clock.monotonic()))
        return self._clock.monotonic() >= opening

    async def drain(self, seconds: float) -> None:
        """Wait at most this long for running attempts to end; each is settled when it ends."""
        until = self._clock.monotonic() + seconds
        with suppress(StateUnwritable):
            while await self._settle_next(until):
                pass
        stopped = await self._stop_attempts()
        with suppress(StateUnwritable):
            self.delivered += await self._settlement.settle(stopped)

    async def _settle_next(self, until: float) -> bool:
        """Wait for an attempt to end, and settle it; return whether there may be more to wait for."""
        remaining = until - self._clock.monotonic()
        if not self._claims or remaining <= 0:
            return False
        timeout = None if remaining == float("inf") else remaining
        await asyncio.wait(self._claims, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        await self._settle_done()
        return True

    async def _stop_attempts(self) -> list[Attempted]:
        """Cancel the attempts that are still running; they are settled like any other failed attempt."""
        claims, self._claims = self._claims, {}
        return await _stopped(claims)

    def _start_due(self) -> None:
        if not self._may_begin():
            return
        for number in self._lanes.claim(self._clock.monotonic()):
            claim = Claim(number, self._clock.now_ms(), self._clock.monotonic())
            task = asyncio.create_task(attempt(self._state, self._endpoints, claim))
            self._claims[task] = claim
            task.add_done_callback(self._note_end)

    def _may_begin_in(self) -> float:
        """Return in how many seconds there may be something to begin."""
        if not self._may_begin():
            return _LOOK_AGAIN_S
        due = self._lanes.next_due()
        return _LONGEST_SLEEP_S if due is None else max(0.0, due - self._clock.monotonic())

    def _note_end(self, task: asyncio.Task[Attempted]) -> None:
        self._ended.append(task)
        self._wake.set()

    async def _wait(self) -> None:
        """Wait for an attempt to end, for an entry to be added or become due, or for the stop."""
        (self._rests.clear if self._claims else self._rests.set)()
        left = self._may_begin_in()
        with suppress(TimeoutError):
            async with asyncio.timeout(min(left, _LONGEST_SLEEP_S)):
                await self._wake.wait()
        self._wake.clear()

    async def _settle_patiently(self, stop: asyncio.Event) -> None:
        """Settle ended attempts; while the state cannot be written, keep the outcomes and send nothing."""
        while not stop.is_set():
            self.turned_at = self._clock.monotonic()
            try:
                await self._settle_done()
            except StateUnwritable as error:
                self.is_stuck = True
                log.error("state.unwritable", error=str(error), retry_in_s=_UNWRITABLE_PAUSE_S)
            else:
                self.is_stuck = False
                return
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _UNWRITABLE_PAUSE_S)

    async def _settle_done(self) -> None:
        async with self._settling:
            ended = [task for task in self._ended if task in self._claims]
            self.delivered += await self._settlement.settle(
                [_attempted(task, self._claims[task]) for task in ended]
            )
            for task in ended:
                del self._claims[task]
            # some may have ended meanwhile
            self._ended = [task for task in self._ended if task in self._claims]


async def _stopped(claims: Mapping[asyncio.Task[Attempted], Claim]) -> list[Attempted]:
    """Cancel attempts, wait until they have ended, and return their outcomes."""
    for task in claims:
        task.cancel()
    await asyncio.gather(*claims, return_exceptions=True)
    return [_attempted(task, claim) for task, claim in claims.items()]


def _attempted(task: asyncio.Task[Attempted], claim: Claim) -> Attempted:
    return Attempted(claim, CUT_OFF) if task.cancelled() else task.result()
