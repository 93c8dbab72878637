"""Prunes history that is older than the configuration keeps, and gives up entries of removed sinks."""

import structlog

from bridge.config import Settings
from bridge.delivery.retry_policy import bury_orphan
from bridge.pipeline.clocks import Trust
from bridge.store.base import State, Upkeep

log = structlog.get_logger(__name__)

_EVERY_MS = 3_600_000


async def housekeep(state: State, settings: Settings, trust: Trust) -> None:
    """Record the clocks and the missing sinks; from time to time, prune history and give up orphaned entries.

    Nothing is pruned or given up while the clock cannot be trusted. The caller has to detect a jump itself:
    the daemon has to poll at once then.

    Raises:
        StateUnwritable: not everything was done.
    """
    now_ms = trust.clock.now_ms()
    upkeep = await state.load_upkeep()
    orphaned = _orphaned(upkeep, settings, now_ms)
    await state.note(trust.record(), orphaned)
    if not trust.is_given():
        return
    await _bury(
        state, {sink for sink, since in orphaned.items() if now_ms - since > settings.delivery.max_age}
    )
    last, kept = upkeep.pruned_at, settings.state
    if last is None or not 0 <= now_ms - last < min(_EVERY_MS, kept.history):
        forgotten = await state.prune(now_ms - kept.history, now_ms - kept.dead_history, now_ms)
        log.debug("history.pruned", documents=forgotten)


async def _bury(state: State, long_gone: set[str]) -> None:
    """Give up the pending entries of sinks that have been missing for long."""
    if not long_gone:
        return
    async with state.turn():
        orphans = await state.load_pending(lambda entry: entry.sink in long_gone)
        dead = [bury_orphan(entry) for entry in orphans]
        if not dead:
            return
        await state.settle(dead)
    log.error("orphans.dead", entries=len(dead), sinks=sorted(long_gone))


def _orphaned(upkeep: Upkeep, settings: Settings, now_ms: int) -> dict[str, int]:
    """Return since when each missing sink with pending entries has been missing."""
    configured = {sink.name for sink in settings.sinks}
    before = upkeep.orphaned_since
    return {name: before.get(name, now_ms) for name in upkeep.waiting if name not in configured}
