"""Prunes history that is older than the configuration keeps, and gives up entries of removed sinks."""

import structlog

from bridge.config import Settings
from bridge.delivery.retry_policy import bury_orphan
from bridge.pipeline.clocks import Trust
from bridge.store.state import State

log = structlog.get_logger(__name__)

_EVERY_MS = 3_600_000


def housekeep(state: State, settings: Settings, trust: Trust) -> None:
    """Record the clocks and the missing sinks; from time to time, prune history and give up orphaned entries.

    Nothing is pruned or given up while the clock cannot be trusted. The caller has to detect a jump itself:
    the daemon has to poll at once then.

    Raises:
        StateUnwritable: not everything was done.
    """
    now_ms = trust.clock.now_ms()
    orphaned = _orphaned(state, settings, now_ms)
    state.note(trust.record(), orphaned)
    if not trust.is_given():
        return
    long_gone = {sink for sink, since in orphaned.items() if now_ms - since > settings.delivery.max_age}
    dead = [bury_orphan(entry) for entry in state.pending() if entry.sink in long_gone] if long_gone else []
    if dead:
        state.settle(dead)
        log.error("orphans.dead", entries=len(dead), sinks=sorted(long_gone))
    last = state.pruned_at
    kept = settings.state
    if last is None or not 0 <= now_ms - last < min(_EVERY_MS, kept.history):
        forgotten = state.prune(now_ms - kept.history, now_ms - kept.dead_history, now_ms)
        log.debug("history.pruned", documents=forgotten)


def _orphaned(state: State, settings: Settings, now_ms: int) -> dict[str, int]:
    """Return since when each missing sink with pending entries has been missing."""
    configured = {sink.name for sink in settings.sinks}
    before = state.orphaned_since
    return {
        name: before.get(name, now_ms)
        for name, summary in state.summaries().items()
        if summary.pending and name not in configured
    }
