"""Find one event by the beginning of its id, and format it with its deliveries."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import click

from bridge.cli.text_tables import print_table
from bridge.delivery.outbox_entry import Entry
from bridge.errors import NotFound
from bridge.events.display_text import count, instant, printable
from bridge.events.event import Event
from bridge.events.event_details import PARTS
from bridge.store.state_reader import StateReader

_MOST_CANDIDATES = 10
_LONGEST_PART = 200


def find_event(state: StateReader, given: str) -> Event:
    """Return the event whose id is ``given``, or the only one whose id begins with it.

    An event that was sent again under a new id is also found by the new id.

    Raises:
        NotFound: no event matches, or several do; the message lists them.
    """
    event = state.event(given)
    if event is not None:
        return event
    start = given.lower()
    again = {entry.event_id for entry in state.entries() if entry.sent_as.startswith(start)}
    fitting = [one for one in state.events() if one.id.startswith(start) or one.id in again]
    if not fitting:
        why = "mlflow-bridge events list shows them" if state.head else "there is no state yet"
        raise NotFound(f"no event has an id that begins with {given!r}: {why}")
    if len(fitting) > 1:
        raise NotFound(_ambiguous(given, fitting))
    return fitting[0]


def _ambiguous(given: str, fitting: Sequence[Event]) -> str:
    lines = [f"{len(fitting)} events have an id that begins with {given!r}:"]
    shown = fitting[-_MOST_CANDIDATES:]
    if len(fitting) > len(shown):
        lines.append(f"  … {count(len(fitting) - len(shown), 'older one')}")
    return "\n".join(
        [*lines, *(f"  {one.id}  {one.type.value}  {printable(one.model_name)}" for one in shown)]
    )


def print_event(event: Event, entries: Sequence[Entry], details: Mapping[str, Any]) -> None:
    """Print an event and its deliveries as text."""
    facts = [
        ("id", event.id),
        ("type", event.type.value),
        ("model", event.model_name),
        ("version", event.model_version),
        *event.changed.items(),
        ("user", event.user_id),
        ("timestamp", f"{instant(event.timestamp)} ({event.timestamp})"),
        ("observed", f"{instant(event.observed_at)} ({event.observed_at})"),
        ("lane", event.lane),
        ("flags", ", ".join(event.flags)),
        *((f"details.{part}", _brief(details[part])) for part in PARTS if part in details),
    ]
    width = max(len(name) for name, _ in facts)
    for name, value in facts:
        click.echo(f"{name:<{width}}  {printable(value)}")
    click.echo("" if entries else "\nno sink asked for it")
    print_table([_row(entry) for entry in entries])
    for entry in entries:
        if entry.detail:
            click.echo(f"\n{printable(entry.sink)}: {printable(entry.detail)}")


def _brief(part: object) -> str:
    """Return a part of the details, shortened to one line; ``--output json`` shows it in full."""
    text = "nothing" if part is None else json.dumps(part, ensure_ascii=False)
    return text if len(text) <= _LONGEST_PART else f"{text[:_LONGEST_PART]}… (--output json shows all)"


def _row(entry: Entry) -> dict[str, Any]:
    return {
        "ENTRY": entry.id,
        "SINK": entry.sink,
        "STATUS": entry.status.value,
        "ATTEMPTS": entry.attempts,
        "LAST REASON": entry.reason,
        "HTTP": entry.http_status,
        "LAST ATTEMPT": instant(entry.last_attempt_at),
    }
