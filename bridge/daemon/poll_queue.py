"""Run the daemon's polls one at a time: on schedule, on a signal, and on an operator's order."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import TypeVar

import structlog

from bridge.app import App
from bridge.config import Settings
from bridge.daemon.hint_rate import HintRate
from bridge.daemon.registry_backoff import Backoff
from bridge.daemon.registry_outage_log import PollResult, WatchedPoll
from bridge.errors import BridgeError, OwnerUnavailable, RegistryUnreachable, StateUnwritable
from bridge.events.change_hints import Hint
from bridge.operations.outbox_execution import Operations
from bridge.operations.poll_requests import OnceResult, PollOrder, accepted_hold
from bridge.operations.request_execution import Requests
from bridge.operations.transition_checks import TransitionChecks
from bridge.pipeline.history_pruning import housekeep
from bridge.pipeline.incremental_read import Read
from bridge.server.health_probes import Probes

log = structlog.get_logger(__name__)
T = TypeVar("T")

REST_S = 5.0
"""How long a poll order waits for the attempts of its new entries, and of the others that are due."""

_PATIENCE = 2
"""How many times ``poll.deadline`` an order without a deadline waits for its scan; `daemon_requests` waits a little longer."""

_FOREVER = float("inf")
ENDING = "the running daemon is stopping, or taking up another configuration: try again in a moment"
"""The message for commands that arrive while a `DaemonRun` ends."""


class Polling:
    """The polls of one `DaemonRun`. They run one at a time, in the order of their requests."""

    def __init__(self, app: App, probes: Probes) -> None:
        """Poll with ``app``, and report progress to ``probes``."""
        self._app = app
        self._probes = probes
        self._poll = WatchedPoll(app.poll)
        poll = app.settings.poll
        self._backoff = Backoff(
            0 if poll.cron else poll.interval, app.clock
        )  # a crontab schedule has no backoff
        self._turn = asyncio.Lock()
        self._tasks: set[asyncio.Task[object]] = set()
        self._scan_waits = False
        self._poll_waits = False
        self._hints = app.poll.hints
        app.poll.gives_way = self._may_read_hints
        app.poll.model_scans.are_made = True
        self._hint_rate = HintRate(poll.interval, app.clock)
        self._hint_reads: asyncio.Task[None] | None = None
        self.is_over = False
        self.operations = Operations(app.state, app.clock, app.relay)
        self.checks = TransitionChecks(app.state, app.settings, app.clock)
        self.requests = Requests(app.state, app.ledger, app.settings, app.clock, self.catch_up)

    @property
    def settings(self) -> Settings:
        """The settings in force, with the sinks of webhooks."""
        return self._app.settings

    @property
    def trouble(self) -> str:
        """Why the last poll failed; empty if it succeeded, or there was none."""
        return self._poll.trouble

    async def on_schedule(self) -> None:
        """Poll, unless the backoff is on. The poll has its own task: the scheduler cancels its tasks without waiting."""
        if self._backoff.is_on():
            return
        await asyncio.wait({self._begin(self._poll_once)})

    @property
    def rests_for_s(self) -> float:
        """How many seconds the backoff still lasts."""
        return self._backoff.remaining_s()

    def scan_soon(self) -> None:
        """Request a full scan; several requests before it begins result in one scan."""
        log.info("scan.asked")
        if not self._scan_waits:
            self._scan_waits = True
            self._begin(self._scan)

    def poll_soon(self) -> None:
        """Poll after the polls that wait already."""
        if not self._poll_waits:
            self._poll_waits = True
            self._begin(self._look_again)

    def hint(self, hints: Sequence[Hint]) -> None:
        """Read the models that ``hints`` name as soon as may be; what comes meanwhile is read together."""
        left_out = self._hints.add(hints)
        if left_out:
            log.warning("hints.left_out", hints=left_out)
        if self._hint_reads is None or self._hint_reads.done():
            self._hint_reads = asyncio.create_task(self._read_hinted(), name="hints")

    async def _read_hinted(self) -> None:
        """Read until no hint waits, or the registry fails: then the next poll takes those that are left."""
        while self._hints and not self.is_over and not self._backoff.is_on():
            await asyncio.sleep(self._hint_rate.wait_s())
            if not self._hints:  # a poll has taken them meanwhile
                return
            with suppress(OwnerUnavailable):
                result = await self._ordered(self._poll_for_hints, _FOREVER)
                if result is None or result.has_failed or result.is_unfinished:
                    return

    def _may_read_hints(self) -> bool:
        return bool(self._hints) and self._hint_rate.wait_s() == 0

    async def _poll_for_hints(self) -> PollResult | None:
        """Make the first read that is due, of the models that hints name: only without a fast one, that is a scan.

        Return None if none is due.
        """
        due = await self._app.poll.due()
        return await self._read(due[:1], only_named=True) if due else None

    async def catch_up(self) -> None:
        """Poll now, without a wait for deliveries; if that fails, the state is as it was.

        Raises:
            OwnerUnavailable: this `DaemonRun` ends.
        """
        await self._ordered(self._poll_once, _FOREVER)

    async def now(self, order: PollOrder) -> OnceResult:
        """Poll now, and wait for the attempts of entries that are due; the relay delivers the rest later.

        Raises:
            OwnerUnavailable: this `DaemonRun` ends.
            RegistryUnreachable: a poll under way did not end within the order's deadline.
        """
        relay, until = self._app.relay, self._until(order)
        before = relay.delivered
        # The hold that the operator saw is the present one: a scan under way may still find a larger difference.
        accepted = await accepted_hold(self._app.state) if order.accept_held else frozenset[str]()
        scan_until = min(until, self._app.clock.monotonic() + _PATIENCE * self.settings.poll.deadline / 1000)
        polled = await self._ordered(lambda: self._poll_by(order, accepted, until), until)
        polled = await self._with_rest_of_scan(polled, scan_until)
        await relay.rest(min(REST_S, self._left(until)))
        errors = (polled.error,) if polled.error else ()
        return OnceResult(len(polled.entries), relay.delivered - before, relay.waiting, errors)

    async def _with_rest_of_scan(self, polled: PollResult, until: float) -> PollResult:
        """Wait for the polls in which an unfinished scan continues; return all that they and ``polled`` found.

        The last one may be unfinished too, if the time is over.
        """
        entries = polled.entries
        while polled.rest is not None:
            done, _ = await asyncio.wait({polled.rest}, timeout=self._left(until))
            if not done:
                break
            polled = _result(polled.rest)
            entries += polled.entries
        return PollResult(entries, polled.error)

    async def rebaseline(self) -> tuple[int, int]:
        """Record the registry as it is; return the numbers of models and versions.

        Raises:
            OwnerUnavailable: this `DaemonRun` ends.
            BridgeError: as `Poll.rebaseline`.
        """
        return (await self.between(lambda: self._app.poll.rebaseline(self._probes.poll_began))).counted

    async def between(self, call: Callable[[], Awaitable[T]]) -> T:
        """Run ``call`` while no poll is under way, and return its result.

        Raises:
            OwnerUnavailable: this `DaemonRun` ends.
        """
        return await self._ordered(call, _FOREVER)

    async def end(self) -> None:
        """Start no more polls, and cancel the one under way."""
        self.is_over = True
        tasks: set[asyncio.Task[object]] = {*self._tasks, *([self._hint_reads] if self._hint_reads else [])}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _ordered(self, call: Callable[[], Awaitable[T]], until: float) -> T:
        """Run ``call`` in its turn and return its result; it continues if the caller is cancelled."""
        task = self._begin(call, until)
        await asyncio.wait({task})
        return _result(task)

    def _begin(self, call: Callable[[], Awaitable[T]], until: float = _FOREVER) -> asyncio.Task[T]:
        task = asyncio.create_task(self._in_turn(call, until), name="poll")
        self._tasks.add(task)
        task.add_done_callback(self._forget)
        return task

    def _forget(self, task: asyncio.Task[T]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, BridgeError):  # the caller may be gone
            log.error("poll.fault", kind=type(error).__name__, exc_info=error)

    async def _in_turn(self, call: Callable[[], Awaitable[T]], until: float) -> T:
        await self._take_turn(until)
        self._probes.poll_began()
        try:
            return await call()
        finally:
            self._probes.poll_ended()
            self._turn.release()

    async def _take_turn(self, until: float) -> None:
        left = self._left(until)
        try:
            async with asyncio.timeout(None if left == _FOREVER else left):
                await self._turn.acquire()
        except TimeoutError:
            raise RegistryUnreachable("a poll under way did not end in time (--deadline)") from None
        if self.is_over:
            self._turn.release()
            raise OwnerUnavailable(ENDING)

    async def _scan(self) -> None:
        self._scan_waits = False
        await self._poll_once(full=True)

    async def _look_again(self) -> None:
        self._poll_waits = False
        await self._poll_once()

    async def _poll_by(self, order: PollOrder, accepted: frozenset[str], until: float) -> PollResult:
        left = self._left(until)
        within_ms = None if left == _FOREVER else int(left * 1000)
        return await self._poll_once(accepted, within_ms, full=order.full or order.accept_held)

    async def _poll_once(
        self,
        accepted: frozenset[str] = frozenset(),
        within_ms: int | None = None,
        *,
        full: bool = False,
    ) -> PollResult:
        reads = [Read.FULL] if full else await self._app.poll.due()
        return await self._read(reads, accepted, within_ms, afresh=full)

    async def _read(
        self,
        reads: Sequence[Read],
        accepted: frozenset[str] = frozenset(),
        within_ms: int | None = None,
        *,
        afresh: bool = False,
        only_named: bool = False,
    ) -> PollResult:
        """Make these reads, and what has to follow them; ``afresh`` and ``only_named`` are as for `Poll.run`."""
        results = [PollResult()]
        for read in reads:
            self._probes.poll_began()  # each read has its own deadline
            if self._hints and read is Read.FAST:  # a full scan leaves them, where there are fast reads
                self._hint_rate.spend()
            results.append(
                await self._poll.run(read, accepted, within_ms, afresh=afresh, only_named=only_named)
            )
        self._backoff.note(has_failed=results[-1].has_failed, asked_s=results[-1].asked_s)
        with suppress(StateUnwritable):
            await housekeep(self._app.state, self._app.settings, self._app.trust)
        rest = None
        if results[-1].is_unfinished and not self.is_over:
            # The scan continues after the polls that wait already.
            rest = self._begin(partial(self._poll_once, accepted))
        return PollResult(tuple(entry for one in results for entry in one.entries), results[-1].error, rest)

    def _until(self, order: PollOrder) -> float:
        now = self._app.clock.monotonic()
        return now + (_FOREVER if order.deadline_ms is None else order.deadline_ms / 1000)

    def _left(self, until: float) -> float:
        return max(0.0, until - self._app.clock.monotonic())


def _result(task: asyncio.Task[T]) -> T:
    """Return the result of a task that is done; raises `OwnerUnavailable` if it was cancelled."""
    if task.cancelled():
        raise OwnerUnavailable(ENDING)
    return task.result()
