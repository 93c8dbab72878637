"""Format outbox entries as table rows, JSON documents or a full listing with their attempts."""

import time
from collections.abc import Sequence
from typing import Any

import click

from bridge.cli.text_tables import print_table
from bridge.delivery.outbox_entry import Entry, Status, remaining_ms
from bridge.delivery.sink_state import RUNNING
from bridge.delivery.sink_state import remaining_ms as rest_of
from bridge.events.display_text import changed, instant, printable, span
from bridge.events.event import Event
from bridge.store.state_metadata import AttemptRecord
from bridge.store.state_reader import StateReader


def entry_row(entry: Entry, event: Event | None, waits: "Waits") -> dict[str, Any]:
    """Return the table row of an entry."""
    return {
        "ENTRY": entry.id,
        "SINK": entry.sink,
        "STATUS": entry.status.value,
        "EVENT": entry.event_name,
        "MODEL": event.model_name if event else None,
        "VERSION": event.model_version if event else None,
        "CHANGE": changed(event) if event else None,
        "ATTEMPTS": entry.attempts,
        "NEXT": waits.of(entry),
        "LAST REASON": entry.reason,
    }


class Waits:
    """Tells what each pending entry waits for: an older entry, the verdict of a gate, its sink, or a time."""

    def __init__(self, state: StateReader, now_ms: int) -> None:
        """Read the pending entries and the sink states from ``state``."""
        self._now_ms = now_ms
        self._conditions = state.conditions()
        self._heads: dict[tuple[str, str], int] = {}
        for header in state.entry_headers():
            if header.status is Status.PENDING:
                lane = header.sink, header.lane
                self._heads[lane] = min(header.id, self._heads.get(lane, header.id))

    def of(self, entry: Entry) -> str | None:
        """Return a short text about what ``entry`` waits for; None if it is not pending."""
        if entry.status is not Status.PENDING:
            return None
        head = self._heads[entry.sink, entry.lane]
        if head != entry.id:
            return f"after {head}"
        if entry.waits_for:
            return "verdict"
        condition = self._conditions.get(entry.sink, RUNNING)
        if not condition.is_running:
            return condition.word
        wait = max(remaining_ms(entry, self._now_ms), rest_of(condition, self._now_ms))
        return f"in {span(wait)}" if wait else "due"


def print_entry(state: StateReader, entry: Entry, attempts: Sequence[AttemptRecord]) -> None:
    """Print an entry and its attempts as text."""
    waits = Waits(state, time.time_ns() // 1_000_000)
    row = entry_row(entry, state.event(entry.event_id), waits)
    facts = {
        **row,
        "EVENT ID": entry.event_id,
        "SENT AS": entry.sent_as,
        "LINK": entry.link,
        "COMMITTED": instant(entry.created_at),
    }
    for name, value in facts.items():
        if value not in {None, ""}:
            click.echo(f"{name.lower():<12} {printable(value)}")
    if attempts:
        click.echo()
    first = entry.attempts - len(attempts) + 1
    print_table([_attempt_row(number, one) for number, one in enumerate(attempts, start=first)])


def _attempt_row(number: int, attempt: AttemptRecord) -> dict[str, Any]:
    return {
        "#": number,
        "BEGAN": instant(attempt.at),
        "TOOK": f"{attempt.duration_ms} ms",
        "HTTP": attempt.status,
        "REASON": attempt.reason,
        "DETAIL": attempt.detail,
    }
