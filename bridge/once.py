"""One poll, then what is due: the whole life of a run from cron."""

import asyncio
from contextlib import suppress

from bridge.app import App, application
from bridge.config import Settings
from bridge.errors import BridgeError, StateUnwritable
from bridge.orders import OnceResult, accepted_hold
from bridge.pipeline.housekeeping import housekeep

_FOREVER = float("inf")


async def run_once(
    settings: Settings, deadline_ms: int | None = None, *, accept_held: bool = False
) -> OnceResult:
    """Poll once and relay what is due, whatever came of the poll.

    Args:
        settings: what to do.
        deadline_ms: how long all of it may take.
        accept_held: whether the hold that is recorded in the state is let through.

    Raises:
        StateError: the state is owned by another, foreign, or cannot be used.
    """
    async with application(settings) as app:
        until = app.clock.monotonic() + (deadline_ms / 1000 if deadline_ms else _FOREVER)
        return await _run(app, until, accepted_hold(app.state) if accept_held else frozenset())


async def _run(app: App, until: float, accepted: frozenset[str]) -> OnceResult:
    errors: list[BridgeError] = []
    app.relay.load()
    new = 0
    stop = asyncio.Event()
    relaying = asyncio.create_task(app.relay.run(stop))
    try:
        left = until - app.clock.monotonic()
        entries = await app.poll.run(accepted, None if left == _FOREVER else max(0, int(left * 1000)))
        new = len(entries)
        app.relay.offer(entries)
    except BridgeError as error:
        errors.append(error)
    stop.set()
    await relaying
    try:
        await app.relay.drain_due(until)
    except StateUnwritable as error:
        errors.append(error)
    app.trust.jumped_ms()
    with suppress(StateUnwritable):
        housekeep(app.state, app.settings, app.trust)
    return OnceResult(new, app.relay.delivered, app.relay.waiting, tuple(errors))
