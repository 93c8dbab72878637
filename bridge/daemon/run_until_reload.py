"""Run the poll and the relay with one configuration, from a start or reload to the next reload or the stop."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

import structlog
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from bridge.app import App
from bridge.daemon.poll_queue import Polling
from bridge.daemon.signal_handling import Signals
from bridge.daemon.systemd_notify import notify, notify_ready, notify_status, watchdog_interval
from bridge.daemon.systemd_status import status_text
from bridge.delivery.sink_state import RUNNING
from bridge.errors import StateUnwritable
from bridge.pipeline.clock_safe_triggers import trigger_of
from bridge.server.health_probes import Probes

log = structlog.get_logger(__name__)

DRAIN_S = 20.0
"""The time limit in seconds for attempts under way after the stop."""

_LOOK_AT_CLOCKS_S = 5.0
_READY_AT_THE_LATEST_S = 60.0
_TELL_EVERY_S = 5.0
_POLL = "poll"


class DaemonRun:
    """One run of the poll schedule and the relay, until a reload or a stop."""

    def __init__(
        self,
        app: App,
        signals: Signals,
        probes: Probes,
        reload: Callable[[], bool],
        refusal: Callable[[], str] = lambda: "",
        ended: asyncio.Event | None = None,
    ) -> None:
        """Prepare the run; nothing starts yet.

        ``reload`` reloads the configuration and returns whether it changed; ``refusal`` returns why the last reload
        was refused, or an empty text. ``ended`` is set once this process owns the state no more.
        """
        self._app = app
        self._signals = signals
        self._reload = reload
        self._refusal = refusal
        self._ended = ended or asyncio.Event()
        self._probes = probes
        self.polling = Polling(app, probes)
        self._scheduler = AsyncIOScheduler(timezone=UTC)
        self._stop_relay = asyncio.Event()
        self._stop_requests = asyncio.Event()

    async def run(self) -> None:
        """Poll and relay until a reload or a stop; then stop polling, and drain the relay.

        Raises:
            StateUnwritable: the stored times could not be corrected after a jump of the clock.
        """
        app = self._app
        await app.relay.load()
        self._probes.relay_is_stuck = lambda: app.relay.is_stuck
        self._probes.relay_turned_at = lambda: app.relay.turned_at
        self._probes.next_poll_in_s = self._next_poll_in_s
        await app.governance.load()
        app.governance.made = self.polling.poll_soon
        app.governance.take_turns_with_polls(self.polling.between)
        relay = asyncio.create_task(app.relay.run(self._stop_relay), name="relay")
        requests = asyncio.create_task(app.governance.run(self._stop_requests), name="requests")
        tasks = (self._watch_clocks, self._feed_watchdog, self._be_ready, self._tell)
        beside = [asyncio.create_task(task()) for task in tasks]
        self._schedule()
        log.info(
            "daemon.started",
            registry=app.settings.registry.shown_uri,
            sinks=[sink.name for sink in app.settings.sinks],
            pending=app.relay.waiting,
        )
        await self._wait_for_orders(relay)
        if self._signals.stop.is_set():
            notify("STOPPING=1")
        for task in beside:
            task.cancel()
        self._stop_requests.set()
        await requests
        await self._wind_down(relay)

    async def _wait_for_orders(self, relay: asyncio.Task[None]) -> None:
        while not (self._signals.stop.is_set() or self._ended.is_set() or relay.done()):
            asked, ended = (asyncio.create_task(one.wait()) for one in (self._signals, self._ended))
            await asyncio.wait({asked, ended, relay}, return_when=asyncio.FIRST_COMPLETED)
            asked.cancel()
            ended.cancel()
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
        """Report to systemd that the service is ready after the first poll, or after a minute if that poll hangs."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._probes.first_attempt.wait(), _READY_AT_THE_LATEST_S)
        notify_ready(await self._status_text())

    async def _tell(self) -> None:
        """Update the status text in ``systemctl status`` regularly."""
        while True:
            await asyncio.sleep(_TELL_EVERY_S)
            notify_status(await self._status_text())

    async def _status_text(self) -> str:
        app = self._app
        poll, conditions = await app.state.ask(lambda reader: (reader.last_poll, reader.conditions()))
        # the first call counts the outbox, which is slow
        waits = await app.state.ask(lambda reader: reader.summaries()) if app.relay.waiting else {}
        return status_text(
            app.settings,
            app.relay.waiting,
            self.polling.trouble,
            self._refusal(),
            is_held=bool(poll and poll.held_digest),
            summaries=[one for name, one in waits.items() if conditions.get(name, RUNNING).word != "paused"],
        )

    async def _watch_clocks(self) -> None:
        """After a jump of the wall clock, make a full scan at once, and reschedule the next poll.

        The schedule uses that clock. The scan must be full to measure the difference to the registry's clock again.
        """
        while True:
            await asyncio.sleep(_LOOK_AT_CLOCKS_S)
            jump = self._app.trust.jumped_ms()
            if jump:
                log.warning("clock.jumped", by_ms=jump)
                with suppress(StateUnwritable):  # then the waiting entries keep the times of the old clock
                    await self._app.relay.follow_clock(jump)
                self.polling.scan_soon()  # scheduled polls are skipped while a poll is under way, so the scan is requested separately
                with suppress(JobLookupError):
                    self._scheduler.modify_job(_POLL, next_run_time=datetime.now(UTC))

    async def _feed_watchdog(self) -> None:
        interval = watchdog_interval()
        while interval is not None:
            if self._probes.is_making_progress():
                notify("WATCHDOG=1")
            # Twice as often as needed: after the machine was suspended, the loops may need a moment before they report progress.
            await asyncio.sleep(interval / 2)

    async def _wind_down(self, relay: asyncio.Task[None]) -> None:
        self._scheduler.remove_all_jobs()
        await self.polling.end()
        self._scheduler.shutdown(wait=False)
        self._stop_relay.set()
        await relay  # a fault in the relay is raised here, and ends the daemon
        # What goes on after another has taken over would arrive late, and could not be recorded.
        seconds = 0.0 if self._ended.is_set() else DRAIN_S
        log.info("daemon.draining", seconds=seconds)
        await self._app.relay.drain(seconds)
