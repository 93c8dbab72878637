"""Carry out operators' changes to the outbox in the process that owns the state, with or without a running relay."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import uuid4

from bridge.delivery.outbox_entry import Entry, Status
from bridge.delivery.resend import Resend, entry_of
from bridge.delivery.retry_policy import redriven
from bridge.delivery.sink_state import RUNNING, Condition, paused, resumed, stood_still_ms
from bridge.events.display_text import count
from bridge.pipeline.clocks import Clock
from bridge.pipeline.hold_decisions import report_note
from bridge.pipeline.relay import Relay
from bridge.store.state import State
from bridge.store.state_metadata import Note

Document = dict[str, Any]

_WAITING = (Status.DEAD, Status.PENDING)


class Operations:
    """Changes to the outbox; each is written to the state before it takes effect, with a note in the audit trail.

    Each raises `StateUnwritable` if it cannot be written: then nothing has changed.
    """

    def __init__(self, state: State, clock: Clock, relay: Relay | None = None) -> None:
        """Change ``state``, which this process owns, and inform its ``relay``, if one runs."""
        self._state = state
        self._clock = clock
        self._relay = relay

    def redrive(self, numbers: Sequence[int]) -> list[int]:
        """Send dead entries again; return the numbers of those that were dead."""
        again = [redriven(entry) for entry in self._entries(numbers) if entry.status is Status.DEAD]
        if again:
            self._settle(again, notes=_notes("redriven", again, self._clock.now_ms()))
            self._offer(again)
        return [entry.id for entry in again]

    def drop(self, numbers: Sequence[int], statuses: Collection[Status] = _WAITING) -> list[int]:
        """Drop entries that still have one of ``statuses`` and are not being sent; return their numbers."""
        unwanted = [entry for entry in self._entries(numbers) if entry.status in statuses]
        gone = self._relay.droppable(unwanted) if self._relay else unwanted
        if gone:
            notes = _notes("dropped", gone, self._clock.now_ms())
            self._state.drop(gone, notes)
            _report(notes)
            if self._relay:
                self._relay.drop(gone)
        return [entry.id for entry in gone]

    def replay(self, resends: Sequence[Resend], *, new_ids: bool) -> list[int]:
        """Send recorded events again; return the numbers of their new entries."""
        now_ms = self._clock.now_ms()
        entries = [
            entry_of(one, event, now_ms, str(uuid4()) if new_ids else "")
            for one in resends
            if (event := self._state.event(one.event_id)) is not None
        ]
        if not entries:
            return []
        notes = _notes("replayed", entries, now_ms)
        numbered = self._state.enqueue(entries, notes)
        _report(notes)
        self._offer(numbered)
        return [entry.id for entry in numbered]

    def pause(self, sink: str) -> Condition:
        """Pause deliveries to a sink; return its new state. Attempts under way are finished."""
        before = self._condition(sink)
        after = paused(before, self._clock.now_ms())
        if after != before:
            self._settle([], {sink: after}, [Note(self._clock.now_ms(), "paused", detail=sink)])
            if self._relay:
                self._relay.note_condition(sink, after)
        return after

    def resume(self, sink: str) -> Condition:
        """Resume deliveries to a sink at once; return its previous state. The pause does not count towards max_age."""
        before = self._condition(sink)
        after, now_ms = resumed(before), self._clock.now_ms()
        rested = [
            _rested(entry, before, now_ms)
            for entry in self._state.pending()
            if entry.sink == sink and entry.last_attempt_at is not None
        ]
        if after != before or any(entry.wait_ms for entry in rested):
            self._settle(rested, {sink: after}, [Note(now_ms, "resumed", detail=sink)])
            if self._relay:
                self._relay.resume(sink, after)
        return before

    def _condition(self, sink: str) -> Condition:
        return self._state.conditions().get(sink, RUNNING)

    def _entries(self, numbers: Iterable[int]) -> list[Entry]:
        found = (self._state.entry(number) for number in sorted(set(numbers)))
        return [entry for entry in found if entry is not None]

    def _offer(self, entries: Sequence[Entry]) -> None:
        if self._relay:
            self._relay.offer(entries)

    def _settle(
        self,
        entries: Sequence[Entry],
        conditions: Mapping[str, Condition] | None = None,
        notes: Sequence[Note] = (),
    ) -> None:
        self._state.settle(entries, conditions, notes)
        _report(notes)


def _notes(kind: str, entries: Sequence[Entry], now_ms: int) -> list[Note]:
    """Return one note for each sink, for the audit trail."""
    counts = Counter(entry.sink for entry in entries)
    return [
        Note(now_ms, kind, detail=f"{count(number, 'entry')} of {sink}") for sink, number in counts.items()
    ]


def _report(notes: Iterable[Note]) -> None:
    for note in notes:
        report_note(note)


def _rested(entry: Entry, condition: Condition, now_ms: int) -> Entry:
    still = 0 if entry.first_attempt_at is None else stood_still_ms(condition, entry.first_attempt_at, now_ms)
    return replace(entry, wait_ms=0, stood_still_ms=entry.stood_still_ms + still)


def _redrive(operations: Operations, arguments: Document) -> Document:
    return {"entries": operations.redrive(arguments["entries"])}


def _drop(operations: Operations, arguments: Document) -> Document:
    statuses = [Status(one) for one in arguments.get("statuses", _WAITING) if one != Status.DELIVERED]
    return {"entries": operations.drop(arguments["entries"], statuses)}


def _replay(operations: Operations, arguments: Document) -> Document:
    resends = [Resend(**one) for one in arguments["resends"]]
    return {"entries": operations.replay(resends, new_ids=arguments["new_ids"])}


def _pause(operations: Operations, arguments: Document) -> Document:
    return {"condition": operations.pause(arguments["sink"]).to_document()}


def _resume(operations: Operations, arguments: Document) -> Document:
    return {"condition": operations.resume(arguments["sink"]).to_document()}


OPERATIONS: Mapping[str, Callable[[Operations, Document], Document]] = {
    "redrive": _redrive,
    "drop": _drop,
    "replay": _replay,
    "pause": _pause,
    "resume": _resume,
}
"""The operations by the names used in requests to the daemon."""
