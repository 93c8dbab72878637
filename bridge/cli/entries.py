"""Outbox entries, as they are shown."""

import time
from collections.abc import Sequence
from typing import Any

import click

from bridge.cli.shared import changed, instant, print_table, printable, span
from bridge.delivery.entry import Entry, Status, remaining_ms
from bridge.events.event import Event
from bridge.store.state import State
from bridge.store.values import AttemptRecord


def entry_document(entry: Entry, event: Event | None) -> dict[str, Any]:
    """Return an entry, and what it tells of, for programs."""
    facts = entry.facts()
    del facts["lane"]
    told = event.to_document() if event else None
    if told:
        del told["lane"]
    return {**facts, "event": told}


def entry_row(entry: Entry, event: Event | None, now_ms: int) -> dict[str, Any]:
    """Return a row of a table of entries."""
    return {
        "ENTRY": entry.id,
        "SINK": entry.sink,
        "STATUS": entry.status.value,
        "EVENT": entry.event_name,
        "MODEL": event.model_name if event else None,
        "VERSION": event.model_version if event else None,
        "CHANGE": changed(event) if event else None,
        "ATTEMPTS": entry.attempts,
        "NEXT": _next(entry, now_ms),
        "LAST REASON": entry.reason,
    }


def _next(entry: Entry, now_ms: int) -> str | None:
    if entry.status is not Status.PENDING:
        return None
    wait = remaining_ms(entry, now_ms)
    return f"in {span(wait)}" if wait else "due"


def print_entry(state: State, entry: Entry, attempts: Sequence[AttemptRecord]) -> None:
    """Print an entry and its attempts for people."""
    row = entry_row(entry, state.event(entry.event_id), time.time_ns() // 1_000_000)
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
