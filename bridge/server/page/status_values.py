"""The values of the status page's template: registry, polls, sinks, dead letters, what changed lately. Pure."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from bridge.delivery.attempt_outcome import Reason
from bridge.delivery.outbox_entry import Entry, Status
from bridge.events.display_text import changed, count, span
from bridge.events.event import Event
from bridge.server.page.problem_advice import Finding, Level
from bridge.server.page.status_page_data import DeadLetter, Facts, View
from bridge.store.state_metadata import AttemptRecord

NOTHING = "-"
"""The text for a missing value."""

_USERINFO = re.compile(r"//[^/?#]*@")
_CONDITIONS = {"running": "good", "failing": "bad", "stopped": "bad"}
_SECONDS_FROM_MS = 10_000
_COMMANDS = "mlflow-bridge status, events list, outbox list and sinks list tell more, and all of it as JSON."

Values = dict[str, Any]
Deliveries = Mapping[str, Mapping[str, Entry]]
"""The newest entry for each event id and sink."""


def status_values(view: View, found: Sequence[Finding]) -> Values:
    """Return the values of the whole page."""
    is_urgent = any(one.level is Level.ACT for one in found)
    waiting = sum(sink["pending"] for sink in view.sinks)
    return {
        "now_ms": view.now_ms,
        "sentence": sentence(found),
        "kind": "bad" if is_urgent else "warn" if found else "good",
        "found": found,
        "read_at": view.poll.succeeded_at if view.poll else None,
        "waiting": f"{waiting:,} on their way." if waiting else "nothing waits.",
        **_registry(view),
        "polls": [one for one in (_last_poll(view), _last_scan(view)) if one],
        "sinks": list(map(_sink, view.sinks)),
        **_dead_letters(view),
        **_timeline(view),
        "commands": _COMMANDS,
    }


def sentence(found: Sequence[Finding]) -> str:
    """Return the overall health as a short sentence."""
    to_do = sum(one.level is Level.ACT for one in found)
    if to_do:
        return "1 thing needs you" if to_do == 1 else f"{to_do} things need you"
    return "Running, with something to know" if found else "All is well"


def _registry(view: View) -> Values:
    told, poll = view.registry, view.poll
    place = _USERINFO.sub("//***@", told["uri"].partition("?")[0])
    known = [("Place", place), *([("Workspace", told["workspace"])] if told["workspace"] else [])]
    holds = ""
    if poll is not None and poll.succeeded_at is not None:
        holds = f"{count(poll.models, 'model', ',')}, {count(poll.versions, 'version', ',')}"
    return {"registry": known, "reached": _reached(view), "server": _server(told), "holds": holds}


def _reached(view: View) -> Values:
    if view.poll is None:
        return {"kind": "calm", "word": "not asked yet", "told": "", "has_time": False}
    if view.poll.outcome == "failed":
        return {"kind": "bad", "word": "not now", "told": " last read ", "has_time": True}
    return {"kind": "good", "word": "yes", "told": " ", "has_time": True}


def _server(told: Facts) -> Values:
    if told["abilities"] is None:
        return {"told": "not asked yet", "is_named": False, "lacks": ""}
    lacks = f"; lacks {', '.join(told['lacks'])}" if told["lacks"] else ""
    return {
        "told": told["server"] or "does not tell its version",
        "is_named": bool(told["server"]),
        "lacks": lacks,
    }


def _last_poll(view: View) -> Values:
    poll, pulse = view.poll, view.pulse
    if pulse.polling_for is not None:
        soon = f"under way for {span(pulse.polling_for)}"
    else:
        soon = "not planned" if pulse.next_poll_in is None else f"in {span(pulse.next_poll_in)}"
    if poll is None:
        row = {
            "name": "Last poll",
            "is_made": False,
            "at": None,
            "took": "",
            "kind": "calm",
            "outcome": "starting",
        }
        return {**row, "soon": soon}
    name = f"Last poll ({poll.kind})" if poll.kind else "Last poll"
    return {
        "name": name,
        "is_made": True,
        "at": poll.attempted_at,
        "took": took(poll.duration_ms),
        **_outcome(poll.outcome),
        "soon": soon,
    }


def _last_scan(view: View) -> Values | None:
    scan = view.scan
    if scan is None:
        return None
    soon = f"in {span(scan['next_in_ms'])}"
    if scan["is_slowed_by_share"]:
        soon += ", slowed: it may keep the registry busy for a small share of the time"
    return {
        "name": "Last full scan",
        "is_made": True,
        "at": scan["at"],
        "took": took(scan["duration_ms"]),
        **_outcome(("ok" if scan["is_over"] else "goes on") if scan["went_well"] else "failed"),
        "soon": soon,
    }


def _outcome(outcome: str) -> Values:
    return {"kind": {"ok": "good", "failed": "bad"}.get(outcome, "warn"), "outcome": outcome}


def took(milliseconds: int) -> str:
    """Return a duration as text, in milliseconds or seconds."""
    is_short = milliseconds < _SECONDS_FROM_MS
    return f"{milliseconds} ms" if is_short else f"{milliseconds / 1000:.1f} s"


def _sink(sink: Facts) -> Values:
    age = span((sink["oldest_age_seconds"] or 0) * 1000)
    left = sink["next_attempt_seconds"]
    is_ok = sink["last_outcome"] == Reason.OK
    return {
        "name": sink["name"],
        "type": sink["type"] or "no such sink in the configuration",
        "condition": sink["condition"],
        "kind": _CONDITIONS.get(sink["condition"], "warn"),
        "since": sink["condition_since"],
        "to": sink["to"] or NOTHING,
        "pending": f"{sink['pending']:,}" if sink["pending"] else "",
        "age": f"oldest {age}" + (f", tried again in {span(left * 1000)}" if left else ""),
        "dead": f"{sink['dead']:,}" if sink["dead"] else "",
        "delivered": f"{sink['delivered']:,}",
        "outcome": "delivered" if is_ok else sink["last_outcome"] or "",
        "outcome_kind": "good" if is_ok else "bad",
        "attempt_at": sink["last_attempt_at"],
    }


def _dead_letters(view: View) -> Values:
    more = sum(sink["dead"] for sink in view.sinks) - len(view.dead)
    return {"dead": list(map(_letter, view.dead)), "older_dead": f"{more:,}" if more > 0 else ""}


def _letter(dead: DeadLetter) -> Values:
    entry, event = dead.entry, dead.event
    first = entry.attempts - len(dead.attempts) + 1
    return {
        "id": entry.id,
        "sink": entry.sink,
        "model": event.model_name if event else None,
        "version": f" version {event.model_version}" if event and event.model_version else "",
        "event_name": entry.event_name,
        "change": changed(event) if event else "",
        "died_at": entry.last_attempt_at or entry.created_at,
        "reason": entry.reason,
        "detail": entry.detail,
        "made": count(entry.attempts, "attempt"),
        "attempts": [_attempt(number, one) for number, one in enumerate(dead.attempts, start=first)],
    }


def _attempt(number: int, one: AttemptRecord) -> Values:
    return {
        "number": number,
        "at": one.at,
        "took": took(one.duration_ms),
        "status": NOTHING if one.status is None else str(one.status),
        "reason": one.reason,
        "detail": one.detail or NOTHING,
    }


def _timeline(view: View) -> Values:
    found, known_from = _deliveries(view)
    events = count(len(view.events), "event")
    none = "Nothing has changed since the baseline was taken." if view.poll else "Nothing was observed yet."
    return {
        "nothing_changed": none,
        "reach": f"The last {events}; mlflow-bridge events list has all of them" if view.is_full else events,
        "groups": [
            {
                "model": group[0].model_name,
                "events": [_event(one, found.get(one.id, {}), known_from) for one in group],
            }
            for group in _by_lane(view.events)
        ],
    }


def _by_lane(events: Sequence[Event]) -> list[list[Event]]:
    """Return the events by model; the model with the newest event comes first."""
    groups: dict[str, list[Event]] = {}
    for event in events:
        groups.setdefault(event.lane, []).append(event)
    return list(groups.values())


def _deliveries(view: View) -> tuple[Deliveries, int]:
    """Return the entries by event and sink, and the time since which they are complete (0: all are known)."""
    found: dict[str, dict[str, Entry]] = {}
    oldest = 0
    for entry in view.entries:
        found.setdefault(entry.event_id, {}).setdefault(entry.sink, entry)
        oldest = entry.created_at
    return found, 0 if view.has_all_entries else oldest


def _event(event: Event, deliveries: Mapping[str, Entry], known_from: int) -> Values:
    is_known = event.observed_at > known_from
    return {
        "observed_at": event.observed_at,
        "type": event.type.value,
        "version": event.model_version or NOTHING,
        "change": changed(event) or NOTHING,
        "flags": event.flags,
        "deliveries": [_delivery(deliveries[sink]) for sink in sorted(deliveries)],
        "undelivered": "no sink asked for it" if is_known else "longer ago than shown here",
    }


def _delivery(entry: Entry) -> Values:
    if entry.status is Status.DELIVERED:
        return {"kind": "good", "told": f"{entry.sink} delivered", "link": entry.link}
    if entry.status is Status.DEAD:
        return {"kind": "bad", "told": f"{entry.sink} dead: {entry.reason}", "link": ""}
    why = f": {entry.reason}" if entry.attempts else ""
    return {"kind": "warn" if entry.attempts else "calm", "told": f"{entry.sink} pending{why}", "link": ""}
