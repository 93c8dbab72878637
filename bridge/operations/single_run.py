"""One run from start to end, as for cron: poll once, then deliver the entries that are due."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import structlog

from bridge.app import App, Scanned, application
from bridge.config import Settings
from bridge.errors import BridgeError, ScanUnfinished, StateUnwritable
from bridge.operations.poll_requests import OnceResult, PollOrder, accepted_hold
from bridge.pipeline.clocks import SystemClock
from bridge.pipeline.history_pruning import housekeep
from bridge.pipeline.incremental_read import Read
from bridge.pipeline.poll import PollResult

log = structlog.get_logger(__name__)

_FOREVER = float("inf")
_LEAST_S = 1.0
"""The least remaining time in seconds in which it is useful to continue a scan."""
_PLAIN = PollOrder()


async def run_once(
    settings: Settings, order: PollOrder = _PLAIN, scanned: Scanned | None = None
) -> OnceResult:
    """Poll once and relay the entries that are due, even if the poll fails.

    Args:
        settings: the configuration.
        order: how much to read, whether the recorded hold is accepted, and the deadline of the run.
        scanned: is called with the progress of a scan.

    Raises:
        StateError: another process owns the state, or it belongs to another registry, or cannot be used.
    """
    until = SystemClock().monotonic() + (order.deadline_ms / 1000 if order.deadline_ms else _FOREVER)
    async with application(settings, scanned) as app:
        accepted = await accepted_hold(app.state) if order.accept_held else frozenset[str]()
        reads = [Read.FULL] if order.full or order.accept_held else await app.poll.due()
        return await _run(app, until, reads, accepted, afresh=order.full or order.accept_held)


def _left_ms(app: App, until: float) -> int | None:
    left = until - app.clock.monotonic()
    return None if left == _FOREVER else max(0, int(left * 1000))


async def _poll_to_end(
    app: App, until: float, read: Read, accepted: frozenset[str], *, afresh: bool
) -> PollResult:
    """Poll; continue a scan that takes longer than one poll may, until the deadline."""
    while True:
        try:
            return await app.poll.run(read, accepted, _left_ms(app, until), afresh=afresh)
        except ScanUnfinished as error:
            if until - app.clock.monotonic() < _LEAST_S:
                raise
            log.info("scan.unfinished", progress=str(error))
            read, afresh = Read.FULL, False


async def _run(
    app: App, until: float, reads: Sequence[Read], accepted: frozenset[str], *, afresh: bool
) -> OnceResult:
    errors: list[BridgeError] = []
    await app.relay.load()
    stop = asyncio.Event()
    relaying = asyncio.create_task(app.relay.run(stop))
    new = 0
    await app.governance.load()
    await app.governance.run_due(until)
    for read in reads:
        try:
            polled = await _poll_to_end(app, until, read, accepted, afresh=afresh)
            new += len(polled.entries)
        except BridgeError as error:
            errors.append(error)
        except Exception as error:
            log.exception("poll.fault", kind=type(error).__name__)
            errors.append(BridgeError(f"a fault in the bridge or in MLflow's client: {type(error).__name__}"))
    await app.governance.run_due(until)  # what a poll has just found
    held = await app.poll.standing_hold()
    errors += [held] if held else []
    stop.set()
    await relaying
    try:
        await app.relay.drain_due(until)
    except StateUnwritable as error:
        errors.append(error)
    with suppress(StateUnwritable):
        await app.relay.follow_clock(app.trust.jumped_ms())
        await housekeep(app.state, app.settings, app.trust)
    told = {str(error): error for error in errors}  # several reads can fail with the same error
    return OnceResult(new, app.relay.delivered, app.relay.waiting, tuple(told.values()))
