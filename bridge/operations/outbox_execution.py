"""Carry out operators' changes to the outbox in the process that owns the state, with or without a running relay."""

from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import replace
from typing import Any
from uuid import uuid4

from bridge.delivery.outbox_entry import Entry, Status
from bridge.delivery.resend import Resend, entry_of
from bridge.delivery.retry_policy import redriven
from bridge.delivery.sink_state import RUNNING, Condition, paused, resumed, stood_still_ms
from bridge.events.display_text import count
from bridge.governance.direct_transition import id_of
from bridge.pipeline.clocks import Clock
from bridge.pipeline.hold_decisions import report_note
from bridge.pipeline.relay import Relay
from bridge.store.base import RelayState
from bridge.store.state_metadata import Note
from bridge.store.write_turn import in_turn

Document = dict[str, Any]

_WAITING = (Status.DEAD, Status.PENDING)


class Operations:
    """Changes to the outbox; each is written to the state before it takes effect, with a note in the audit trail.

    Each raises `StateUnwritable` if it cannot be written: then nothing has changed. ``by`` is who asks, for the note.
    """

    def __init__(self, state: RelayState, clock: Clock, relay: Relay | None = None) -> None:
        """Change ``state``, which this process owns; ``relay`` is the one that runs on it, if one does."""
        self._state = state
        self._clock = clock
        self._relay = relay

    def turn(self) -> AbstractAsyncContextManager[None]:
        """Hold the turn to write: see `bridge.store.write_turn`."""
        return self._state.turn()

    async def _are_told(self, entries: Iterable[Entry]) -> list[Entry]:
        """Return those of ``entries`` of which the event may be told: no sink hears of a promotion that a gate refused."""
        found: list[Entry] = []
        for entry in entries:
            waited = await self._state.load_direct_transition(entry.waits_for) if entry.waits_for else None
            direct = await self._state.load_direct_transition(id_of(entry.event_id))
            is_open = waited is not None and waited.status.is_open
            if not is_open and (direct is None or direct.is_told):
                found.append(replace(entry, waits_for=""))
        return found

    @in_turn
    async def redrive(self, numbers: Sequence[int], by: str = "") -> list[int]:
        """Send dead entries again; return the numbers of those that were dead."""
        dead = [entry for entry in await self._entries(numbers) if entry.status is Status.DEAD]
        again = [redriven(entry) for entry in await self._are_told(dead)]
        if again:
            notes = _notes("redriven", again, self._clock.now_ms(), by)
            await self._state.redrive(again, notes)
            _report(notes)
        return [entry.id for entry in again]

    @in_turn
    async def drop(
        self, numbers: Sequence[int], statuses: Collection[Status] = _WAITING, by: str = ""
    ) -> list[int]:
        """Drop entries that still have one of ``statuses`` and are not being sent; return their numbers."""
        unwanted = [entry for entry in await self._entries(numbers) if entry.status in statuses]
        with self._relay.begin_nothing() if self._relay else nullcontext():
            gone = self._relay.droppable(unwanted) if self._relay else unwanted
            if gone:
                notes = _notes("dropped", gone, self._clock.now_ms(), by)
                await self._state.drop(gone, notes)
                _report(notes)
        return [entry.id for entry in gone]

    @in_turn
    async def replay(self, resends: Sequence[Resend], *, new_ids: bool, by: str = "") -> list[int]:
        """Send recorded events again; return the numbers of their new entries."""
        now_ms = self._clock.now_ms()
        entries = [
            entry_of(one, event, now_ms, str(uuid4()) if new_ids else "")
            for one in resends
            if (event := await self._state.load_event(one.event_id)) is not None
        ]
        entries = await self._are_told(entries)
        if not entries:
            return []
        notes = _notes("replayed", entries, now_ms, by)
        numbered = await self._state.enqueue(entries, notes)
        _report(notes)
        return [entry.id for entry in numbered]

    @in_turn
    async def pause(self, sink: str, by: str = "") -> Condition:
        """Pause deliveries to a sink; return its new state. Attempts under way are finished."""
        now_ms, conditions = self._clock.now_ms(), await self._state.load_conditions()
        before = conditions.get(sink, RUNNING)
        after = paused(before, now_ms)
        if after != before:
            await self._set(sink, after, [], Note(now_ms, "paused", detail=sink, by=by))
        return after

    @in_turn
    async def resume(self, sink: str, by: str = "") -> Condition:
        """Resume deliveries to a sink at once; return its previous state. The pause does not count towards max_age."""
        now_ms, conditions = self._clock.now_ms(), await self._state.load_conditions()
        before = conditions.get(sink, RUNNING)
        after = resumed(before)
        waiting = await self._state.load_pending(
            lambda entry: entry.sink == sink and entry.last_attempt_at is not None
        )
        if after != before or any(entry.wait_ms for entry in waiting):
            rested = [_rested(entry, before, now_ms) for entry in waiting]
            await self._set(sink, after, rested, Note(now_ms, "resumed", detail=sink, by=by))
        return before

    async def _entries(self, numbers: Iterable[int]) -> list[Entry]:
        return await self._state.load_entries(sorted(set(numbers)))

    async def _set(self, sink: str, condition: Condition, entries: Sequence[Entry], note: Note) -> None:
        await self._state.set_condition(sink, condition, entries, [note])
        _report([note])


def _notes(kind: str, entries: Sequence[Entry], now_ms: int, by: str) -> list[Note]:
    """Return one note for each sink, for the audit trail."""
    counts = Counter(entry.sink for entry in entries)
    return [
        Note(now_ms, kind, detail=f"{count(number, 'entry')} of {sink}", by=by)
        for sink, number in counts.items()
    ]


def _report(notes: Iterable[Note]) -> None:
    for note in notes:
        report_note(note)


def _rested(entry: Entry, condition: Condition, now_ms: int) -> Entry:
    still = 0 if entry.first_attempt_at is None else stood_still_ms(condition, entry.first_attempt_at, now_ms)
    return replace(entry, wait_ms=0, stood_still_ms=entry.stood_still_ms + still)


def _by(arguments: Document) -> str:
    """Return who asks; commands of earlier versions do not say."""
    return str(arguments.get("by", ""))


async def _redrive(operations: Operations, arguments: Document) -> Document:
    return {"entries": await operations.redrive(arguments["entries"], _by(arguments))}


async def _drop(operations: Operations, arguments: Document) -> Document:
    statuses = [Status(one) for one in arguments.get("statuses", _WAITING) if one != Status.DELIVERED]
    return {"entries": await operations.drop(arguments["entries"], statuses, _by(arguments))}


async def _replay(operations: Operations, arguments: Document) -> Document:
    resends = [Resend(**one) for one in arguments["resends"]]
    return {"entries": await operations.replay(resends, new_ids=arguments["new_ids"], by=_by(arguments))}


async def _pause(operations: Operations, arguments: Document) -> Document:
    return {"condition": (await operations.pause(arguments["sink"], _by(arguments))).to_document()}


async def _resume(operations: Operations, arguments: Document) -> Document:
    return {"condition": (await operations.resume(arguments["sink"], _by(arguments))).to_document()}


OPERATIONS: Mapping[str, Callable[[Operations, Document], Awaitable[Document]]] = {
    "redrive": _redrive,
    "drop": _drop,
    "replay": _replay,
    "pause": _pause,
    "resume": _resume,
}
"""The operations by the names used in requests to the daemon."""
