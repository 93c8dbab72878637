"""What the page of a model shows: a picture of who held which stage and alias when, its events, their deliveries. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

from bridge.delivery.outbox_entry import Entry, Status
from bridge.diff.snapshot import RegisteredModel
from bridge.events.display_text import changed, instant
from bridge.events.event import Event
from bridge.events.stage_and_alias_spans import Span, spans_of

_LEFT, _WIDTH, _ROW = 190, 800, 32
"""The picture in its own units: where the spans begin, how wide all of them are, how high a row is."""

_DAY_MS = 86_400_000
_MOST_SPANS = 60
_KINDS = {Status.DELIVERED: "good", Status.DEAD: "bad", Status.PENDING: "warn"}


def model_values(
    name: str,
    model: RegisteredModel | None,
    events: Sequence[Event],
    entries: Iterable[Entry],
    now_ms: int,
) -> dict[str, Any]:
    """Return the values of the page's template.

    Args:
        name: the name that was asked for.
        model: the model as it is now, or None.
        events: those of the model that are shown, newest first.
        entries: the newest entries of the outbox.
        now_ms: the present time, ms since the epoch.
    """
    begin = min((min(one.timestamp, one.observed_at) for one in events), default=now_ms - _DAY_MS)
    begin = min(begin, now_ms - 1)
    spans = spans_of(model, events[::-1], begin, now_ms)[:_MOST_SPANS]
    rows = [
        _row(number, holder, list(group), begin, now_ms)
        for number, (holder, group) in enumerate(_rows(spans))
    ]
    deliveries = _by_event(entries)
    return {
        "name": name,
        "known": model is not None,
        "begin": begin,
        "end": now_ms,
        "spans": spans,
        "rows": rows,
        "height": (len(rows) + 1) * _ROW,
        "marks": [
            _mark(event, entry, begin, now_ms) for event in events for entry in deliveries.get(event.id, ())
        ],
        "events": [event_values(one, deliveries.get(one.id, ())) for one in events],
    }


def _rows(spans: Sequence[Span]) -> Iterable[tuple[str, Iterable[Span]]]:
    """Return the spans by their rows: an alias has one, a stage one for each version, as several may be in it."""
    return groupby(
        sorted(spans, key=lambda one: (one.holder.startswith("@"), spans.index(one))),
        key=lambda one: one.holder if one.holder.startswith("@") else f"{one.holder} {one.version}",
    )


def _row(number: int, label: str, spans: Sequence[Span], begin: int, end: int) -> dict[str, Any]:
    return {"label": label, "y": number * _ROW, "spans": [_span(one, begin, end) for one in spans]}


def _span(span: Span, begin: int, end: int) -> dict[str, Any]:
    left, right = _x(span.begin, begin, end), _x(span.end, begin, end)
    since = "earlier" if span.is_earlier else instant(span.begin)
    until = "now" if span.is_now else instant(span.end)
    kind = "alias" if span.holder.startswith("@") else span.holder.lower()
    return {
        "x": left,
        "width": max(3, right - left),
        "version": span.version,
        "kind": kind if kind in {"alias", "production", "staging"} else "other",
        "told": f"version {span.version}, {span.holder}, from {since} to {until}",
    }


def _mark(event: Event, entry: Entry, begin: int, end: int) -> dict[str, Any]:
    told = f"{event.type.value} to {entry.sink}: {entry.status.value}, {instant(event.observed_at)}"
    return {"x": _x(event.observed_at, begin, end), "kind": _KINDS[entry.status], "told": told}


def _x(at: int, begin: int, end: int) -> int:
    return _LEFT + round(_WIDTH * (min(max(at, begin), end) - begin) / (end - begin))


def _by_event(entries: Iterable[Entry]) -> Mapping[str, list[Entry]]:
    found: dict[str, list[Entry]] = {}
    for entry in entries:
        found.setdefault(entry.event_id, []).append(entry)
    return found


def event_values(event: Event, entries: Sequence[Entry]) -> dict[str, Any]:
    """Return what the pages show of an event, with those of its entries that are at hand."""
    return {
        "observed_at": event.observed_at,
        "type": event.type.value,
        "model_name": event.model_name,
        "user_id": event.user_id,
        "version": event.model_version,
        "change": changed(event),
        "deliveries": [
            {"sink": one.sink, "status": one.status.value, "kind": _KINDS[one.status]} for one in entries
        ],
    }
