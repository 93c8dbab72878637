"""Corrects the stored times of attempts and sinks after the wall clock jumped."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from bridge.delivery import sink_state
from bridge.delivery.outbox_entry import Entry, shifted
from bridge.delivery.sink_state import Condition
from bridge.pipeline.clocks import Trust
from bridge.store.base import RelayState


@dataclass(frozen=True, slots=True)
class Correction:
    """The states of all sinks with corrected times, and which of them and of the pending entries changed."""

    conditions: Mapping[str, Condition]
    changed_entries: Sequence[Entry]
    changed_conditions: Mapping[str, Condition]

    async def store(self, state: RelayState, trust: Trust) -> None:
        """Make the changes durable, together with the new distance between the clocks.

        Otherwise the jump would be corrected again the next time.

        Raises:
            StateUnwritable: nothing was made durable.
        """
        if self.changed_entries or self.changed_conditions:
            await state.settle(self.changed_entries, self.changed_conditions, clock=trust.record())


def corrected(
    entries: Iterable[Entry], conditions: Mapping[str, Condition], now_ms: int, jump_ms: int
) -> Correction:
    """Correct pending entries and the states of sinks, after the wall clock was set forward by ``jump_ms``."""
    after = {
        sink: sink_state.without_future(sink_state.shifted(one, jump_ms), now_ms)
        for sink, one in conditions.items()
    }
    return Correction(
        after,
        [new for old in entries if (new := corrected_entry(old, now_ms, jump_ms)) is not old],
        {sink: one for sink, one in after.items() if one != conditions[sink]},
    )


def corrected_entry(entry: Entry, now_ms: int, jump_ms: int) -> Entry:
    """Return ``entry`` with corrected times, after the wall clock was set forward by ``jump_ms``; itself if they are right."""
    return without_future(shifted(entry, jump_ms), now_ms)


def without_future(entry: Entry, now_ms: int) -> Entry:
    """Return ``entry`` with a last attempt that is not in the future.

    It is in the future if the clock was ahead for a while. Then the wait starts from now; otherwise each run
    of `once` would find the entry not yet due until the clock reaches the old time again.
    """
    if entry.last_attempt_at is None or entry.last_attempt_at <= now_ms:
        return entry
    first = min(entry.first_attempt_at or now_ms, now_ms)
    return replace(entry, last_attempt_at=now_ms, first_attempt_at=first)
