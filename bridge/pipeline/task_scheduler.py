"""Takes the next step of several things when it is due, one after the other."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog

from bridge.errors import StateUnwritable
from bridge.pipeline.clocks import Clock

log = structlog.get_logger(__name__)

_AT_A_TIME = 1
"""More delay deliveries (`benchmarks/governance.py`), and a registry that hangs hangs for all of them."""

_LONGEST_SLEEP_S = 30.0
"""While the machine sleeps, asyncio's timers stand still and due times come closer, so check at least this often."""

_UNWRITABLE_PAUSE_S = 5.0

Take = Callable[[str], Awaitable[float | None]]
"""Takes the next step of the thing of this name; returns in how many seconds to look again, or None if it is done."""


class StepLoop:
    """The things that have a next step, by name, and when it is due."""

    def __init__(self, take: Take, clock: Clock) -> None:
        """Take steps with ``take``, one at a time for each thing."""
        self._take = take
        self._clock = clock
        self._due: dict[str, float] = {}
        self._under_way: dict[asyncio.Task[None], str] = {}
        self._wake = asyncio.Event()

    def put(self, name: str, in_s: float | None) -> None:
        """Look at a thing in so many seconds; None: not any more."""
        if in_s is None:
            self._due.pop(name, None)
        else:
            self._due[name] = self._clock.monotonic() + in_s
        self._wake.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Take steps until ``stop`` is set; those under way are then cut off, and begun anew by the next start."""
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
        """Take what is due now, until nothing is, or until this time by the monotonic clock."""
        while self._clock.monotonic() < until:
            self._start_due()
            if not self._under_way:
                return
            left = until - self._clock.monotonic()
            timeout = None if left == float("inf") else left
            await asyncio.wait(self._under_way, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        await self._cut_off()

    async def _cut_off(self) -> None:
        for task in self._under_way:
            task.cancel()
        if self._under_way:
            await asyncio.wait(self._under_way)

    def _start_due(self) -> None:
        now = self._clock.monotonic()
        busy = set(self._under_way.values())
        due = sorted((at, name) for name, at in self._due.items() if at <= now and name not in busy)
        for _, name in due[: max(0, _AT_A_TIME - len(busy))]:
            del self._due[name]  # if something changes meanwhile, it is due again
            task = asyncio.create_task(self._step(name), name="step")
            self._under_way[task] = name
            task.add_done_callback(self._end)

    def _end(self, task: asyncio.Task[None]) -> None:
        self._under_way.pop(task, None)
        self._wake.set()

    async def _wait(self) -> None:
        busy = set(self._under_way.values())
        due = min((at for name, at in self._due.items() if name not in busy), default=float("inf"))
        is_full = len(busy) >= _AT_A_TIME
        left = _LONGEST_SLEEP_S if is_full else max(0.0, due - self._clock.monotonic())
        with suppress(TimeoutError):
            async with asyncio.timeout(min(left, _LONGEST_SLEEP_S)):
                await self._wake.wait()
        self._wake.clear()

    async def _step(self, name: str) -> None:
        """Take the next step of a thing; a fault in one must not stop the others."""
        try:
            again_s = await self._take(name)
        except StateUnwritable as error:
            log.error("state.unwritable", error=str(error), retry_in_s=_UNWRITABLE_PAUSE_S)
            again_s = _UNWRITABLE_PAUSE_S
        except Exception as error:
            log.error("request.fault", request=name, kind=type(error).__name__, exc_info=error)
            again_s = _LONGEST_SLEEP_S
        if again_s is not None and name not in self._due:
            self._due[name] = self._clock.monotonic() + again_s
