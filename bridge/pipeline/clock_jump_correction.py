"""Corrects the stored times of attempts and sinks after the wall clock jumped."""

from collections.abc import Container
from dataclasses import replace

from bridge.delivery import sink_state
from bridge.delivery.outbox_entry import Entry, shifted
from bridge.delivery.sink_state import Condition
from bridge.pipeline.clocks import Trust
from bridge.store.base import RelayState


async def correct_clock_jump(
    state: RelayState, sinks: Container[str], trust: Trust, jump_ms: int
) -> dict[str, Condition]:
    """Correct the stored times of the pending entries of ``sinks``, and of all sinks; return the states of those.

    The wall clock was set forward by ``jump_ms`` since the times were stored. The corrections and the new
    distance between the clocks are made durable together: otherwise the jump would be corrected again the
    next time.

    Raises:
        StateUnwritable: the corrections were not made durable.
    """
    now_ms, stored = trust.clock.now_ms(), await state.load_backlog()
    before = [entry for entry in stored.entries if entry.sink in sinks]
    entries = [without_future(shifted(entry, jump_ms), now_ms) for entry in before]
    changed = [new for old, new in zip(before, entries, strict=True) if new is not old]
    conditions = {
        sink: sink_state.without_future(sink_state.shifted(one, jump_ms), now_ms)
        for sink, one in stored.conditions.items()
    }
    late = {sink: one for sink, one in conditions.items() if one != stored.conditions[sink]}
    if changed or late:
        await state.settle(changed, late, clock=trust.record())
    return conditions


def without_future(entry: Entry, now_ms: int) -> Entry:
    """Return ``entry`` with a last attempt that is not in the future.

    It is in the future if the clock was ahead for a while. Then the wait starts from now; otherwise each run
    of `once` would find the entry not yet due until the clock reaches the old time again.
    """
    if entry.last_attempt_at is None or entry.last_attempt_at <= now_ms:
        return entry
    first = min(entry.first_attempt_at or now_ms, now_ms)
    return replace(entry, last_attempt_at=now_ms, first_attempt_at=first)
