"""One life of the daemon, from start or reload to stop or reload: poll, relay, drain."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

import structlog
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from bridge.app import App
from bridge.daemon.poll_scheduler import Polling
from bridge.daemon.signal_handling import Signals
from bridge.daemon.systemd_notify import notify, notify_ready, notify_status, watchdog_interval
from bridge.daemon.systemd_status import standing
from bridge.delivery.sink_state import RUNNING
from bridge.errors import StateUnwritable
from bridge.pipeline.poll_triggers import trigger_of
from bridge.server.health_probes import Probes

log = structlog.get_logger(__name__)

DRAIN_S = 20.0
"""How long attempts under way may take to end after the stop."""

_LOOK_AT_CLOCKS_S = 5.0
_READY_AT_THE_LATEST_S = 60.0
_TELL_EVERY_S = 5.0
_POLL = "poll"


class Life:
    """The two loops on a schedule, until a signal."""

    def __init__(
        self,
        app: App,
        signals: Signals,
        probes: Probes,
        reload: Callable[[], bool],
        refusal: Callable[[], str] = lambda: "",
    ) -> None:
        """Prepare a life; nothing runs yet.

        ``reload`` tells whether a reload changes anything, ``refusal`` why the last one was refused, if it was.
        """
        self._app = app
        self._signals = signals
        self._reload = reload
        self._refusal = refusal
        self._probes = probes
        self.polling = Polling(app, probes)
        self._scheduler = AsyncIOScheduler(timezone=UTC)
        self._stop_relay = asyncio.Event()

    async def run(self) -> None:
        """Poll and relay until a signal; then stop polling, and drain the relay.

        Raises:
            StateUnwritable: the outbox could not be taken up.
        """
        app = self._app
        app.relay.load()
        self._probes.relay_is_stuck = lambda: app.relay.is_stuck
        self._probes.relay_turned_at = lambda: app.relay.turned_at
        self._probes.next_poll_in_s = self._next_poll_in_s
        relay = asyncio.create_task(app.relay.run(self._stop_relay), name="relay")
        tasks = (self._watch_clocks, self._feed_watchdog, self._be_ready, self._tell)
        beside = [asyncio.create_task(task()) for task in tasks]
        self._schedule()
        log.info(
            "daemon.started",
            registry=app.settings.registry.uri,
            sinks=[sink.name for sink in app.settings.sinks],
            pending=app.relay.waiting,
        )
        await self._wait_for_orders(relay)
        if self._signals.stop.is_set():
            notify("STOPPING=1")
        for task in beside:
            task.cancel()
        await self._wind_down(relay)

    async def _wait_for_orders(self, relay: asyncio.Task[None]) -> None:
        while not (self._signals.stop.is_set() or relay.done()):
            asked = asyncio.create_task(self._signals.wait())
            await asyncio.wait({asked, relay}, return_when=asyncio.FIRST_COMPLETED)
            asked.cancel()
            if self._signals.renew.is_set():
                self._signals.renew.clear()
                return
            if self._signals.scan.is_set():
                self._signals.scan.clear()
                self.polling.scan_soon()
            if self._signals.reload.is_set() and not self._signals.stop.is_set():
                self._signals.reload.clear()
                if self._reload():
                    return

    def _schedule(self) -> None:
        self._scheduler.add_job(
            self.polling.on_schedule,
            trigger_of(self._app.settings.poll),
            id=_POLL,
            max_instances=1,
            coalesce=True,
            misfire_grace_time=None,
        )
        self._scheduler.start()

    def _next_poll_in_s(self) -> float | None:
        job = self._scheduler.get_job(_POLL)
        if job is None or job.next_run_time is None:
            return None
        planned: float = (job.next_run_time - datetime.now(UTC)).total_seconds()
        return max(planned, self.polling.rests_for_s, 0.0)

    async def _be_ready(self) -> None:
        """Report ready once a poll was attempted; one that hangs must not fail the start."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._probes.first_attempt.wait(), _READY_AT_THE_LATEST_S)
        notify_ready(self._standing())

    async def _tell(self) -> None:
        """Have ``systemctl status`` show how it stands; also where a reload that was refused spoke meanwhile."""
        while True:
            await asyncio.sleep(_TELL_EVERY_S)
            notify_status(self._standing())

    def _standing(self) -> str:
        app = self._app
        poll, conditions = app.state.last_poll, app.state.conditions()
        waits = app.state.summaries() if app.relay.waiting else {}  # counts the outbox, the first time
        return standing(
            app.settings,
            app.relay.waiting,
            self.polling.trouble,
            self._refusal(),
            is_held=bool(poll and poll.held_digest),
            summaries=[one for name, one in waits.items() if conditions.get(name, RUNNING).word != "paused"],
        )

    async def _watch_clocks(self) -> None:
        """After a jump of the wall clock, poll at once: the schedule reckons by that clock.

        And in full: how far the registry's clock is ahead of ours has to be seen anew.
        """
        while True:
            await asyncio.sleep(_LOOK_AT_CLOCKS_S)
            jump = self._app.trust.jumped_ms()
            if jump:
                log.warning("clock.jumped", by_ms=jump)
                with suppress(StateUnwritable):  # what waits is reckoned by another clock meanwhile
                    self._app.relay.follow_clock(jump)
                self.polling.scan_soon()  # also where a poll is under way, beside which none is scheduled
                with suppress(JobLookupError):
                    self._scheduler.modify_job(_POLL, next_run_time=datetime.now(UTC))

    async def _feed_watchdog(self) -> None:
        interval = watchdog_interval()
        while interval is not None:
            if self._probes.is_making_progress():
                notify("WATCHDOG=1")
            # Looked at twice as often as it has to be fed: after the machine slept, the loops have to come round first.
            await asyncio.sleep(interval / 2)

    async def _wind_down(self, relay: asyncio.Task[None]) -> None:
        self._scheduler.remove_all_jobs()
        await self.polling.end()
        self._scheduler.shutdown(wait=False)
        self._stop_relay.set()
        await relay  # a fault in the relay ends the daemon, and is raised here
        log.info("daemon.draining", seconds=DRAIN_S)
        await self._app.relay.drain(DRAIN_S)
