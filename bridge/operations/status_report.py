"""Collect the facts for `status` and the status page from the state: registry, polls, holds, sinks."""

from dataclasses import asdict
from typing import Any

from bridge.config import Settings, SinkSettings, routes_of
from bridge.delivery.attempt_outcome import Reason
from bridge.delivery.outbox_entry import remaining_ms
from bridge.delivery.sink_state import RUNNING, Condition
from bridge.delivery.sink_state import remaining_ms as rest_of
from bridge.diff.registry_abilities import Abilities
from bridge.pipeline.full_scan_interval import Cadence, is_pressing
from bridge.pipeline.watched_models import watch_of
from bridge.sinks.http.webhook_sink import with_webhooks
from bridge.store.state_metadata import PollRecord, SinkSummary
from bridge.store.state_opening import binding_of
from bridge.store.state_reader import StateReader


def status_document(settings: Settings, state: StateReader, now_ms: int) -> dict[str, Any]:
    """Return the JSON document of `status`: the registry, the last poll, and the sinks' backlog."""
    head, poll = state.head, state.last_poll
    models, versions = state.count_models()
    return {
        "registry": registry_facts(settings, state),
        "state": {
            "folder": settings.state.place,
            "bytes": state.size(),
            "baseline_at": head.baseline_at if head else None,
        },
        "last_poll": poll.to_document() if poll else None,
        "full_scan": full_scan(settings, state, now_ms),
        "watched": _watched(settings, state),
        "held": hold(poll),
        "doubted": list(poll.doubted) if poll else [],
        "left_aside": [asdict(row) for row in poll.odd_rows] if poll else [],
        "snapshot": {"models": models, "versions": versions},
        "governance": _governance(state),
        "sinks": sink_rows(settings, state, now_ms),
    }


def _governance(state: StateReader) -> dict[str, Any]:
    """Return how many requests and direct transitions have each status, and since when a request waits."""
    found = state.governance()
    return {
        "requests": dict(found.requests),
        "direct_transitions": dict(found.direct),
        "oldest_pending_at": found.oldest_pending_at,
    }


def registry_facts(settings: Settings, state: StateReader) -> dict[str, Any]:
    """Return the registry's identity and its abilities."""
    head, wanted = state.head, binding_of(settings)
    return {
        "uri": wanted.uri,
        "workspace": wanted.workspace,
        "fingerprint": head.fingerprint if head else None,
        "state_is_bound_to": head.uri if head else None,
        **_abilities(state.abilities),
    }


def _abilities(abilities: Abilities | None) -> dict[str, Any]:
    if abilities is None:
        return {"server": None, "lacks": [], "abilities": None}
    facts = asdict(abilities)
    return {"server": facts.pop("server") or None, "lacks": abilities.lacks(), "abilities": facts}


def full_scan(settings: Settings, state: StateReader, now_ms: int) -> dict[str, Any] | None:
    """Return the result of the last full scan, and when the next is due; slow scans are made less often.

    ``model_scan`` is the last scan of the models' rows between two of them, None where there are none.
    """
    last, head, poll, found = state.last_reconcile, state.head, state.last_poll, settings.poll
    if last is None or head is None:
        return None
    cadence = Cadence(found.reconcile_interval, found.reconcile_share)
    lists_models = cadence.has_model_scans(last, poll, now_ms)
    every_ms = cadence.spacing_ms(
        last,
        head.state_id,
        is_pressing=is_pressing(head, last, poll, state.abilities),
        has_model_scans=lists_models,
    )
    return {
        "at": last.at,
        "duration_ms": last.duration_ms,
        "went_well": last.went_well or last.unfinished,
        "is_over": not last.unfinished,
        "every_ms": every_ms,
        "next_in_ms": 0 if last.unfinished else max(0, last.at + every_ms - now_ms),
        "is_slowed_by_share": every_ms > 1.2 * found.reconcile_interval,
        "model_scan": {
            "at": poll.models_listed_at,
            "duration_ms": poll.models_listed_in_ms,
            "every_ms": cadence.model_scan_spacing_ms(last, poll),
        }
        if poll is not None and lists_models
        else None,
    }


def _watched(settings: Settings, state: StateReader) -> dict[str, Any]:
    """Return how many models are read by name at every poll, and whether sinks name more than the limit."""
    abilities = state.abilities or Abilities()
    routes = routes_of(with_webhooks(settings, state.webhooks()))
    watch = watch_of(routes, state.known(), has_names=abilities.has_names)
    return {"models": len(watch.rows), "versions_of": len(watch.versions), "is_cut": watch.is_cut}


def hold(poll: PollRecord | None) -> dict[str, str] | None:
    """Return the hold that waits for an operator, with its reason and digest; None if there is none."""
    return {"why": poll.held, "digest": poll.held_digest} if poll and poll.held_digest else None


def sink_rows(settings: Settings, state: StateReader, now_ms: int) -> list[dict[str, Any]]:
    """Return the state and the backlog of each sink; sinks that are no longer configured come last."""
    summaries, conditions = state.summaries(), state.conditions()
    configured = {sink.name: sink for sink in with_webhooks(settings, state.webhooks()).sinks}
    rows: list[dict[str, Any]] = []
    for name in [*configured, *sorted(summaries.keys() - configured.keys())]:
        sink = configured.get(name)
        summary = summaries.get(name) or SinkSummary(name)
        rows.append(
            {
                "name": name,
                "type": sink.type if sink else None,
                "to": sink.origin() if sink else None,
                "condition": condition_word(sink, conditions.get(name, RUNNING)),
                **_standing(conditions.get(name)),
                **_backlog(summary, now_ms),
                "oldest_entry": summary.oldest_pending,
                "next_attempt_seconds": _next_attempt(state, summary, conditions.get(name, RUNNING), now_ms)
                if sink and sink.gets_events
                else None,
            }
        )
    return rows


def condition_word(sink: SinkSettings | None, condition: Condition) -> str:
    """Return the state of a sink in one word; ``sink`` is None if it is not configured any more."""
    if sink is None:
        return "orphaned"
    return condition.word if sink.gets_events else "disabled"


def _standing(condition: Condition | None) -> dict[str, Any]:
    return {
        "condition_since": condition.since if condition else None,
        "condition_why": condition.why or None if condition else None,
    }


def _next_attempt(state: StateReader, summary: SinkSummary, stands: Condition, now_ms: int) -> int | None:
    """Return in how many seconds the oldest pending entry can be attempted; None if there is none, or the sink does not run."""
    oldest = state.entry(summary.oldest_pending) if summary.oldest_pending is not None else None
    if oldest is None or not stands.is_running:
        return None
    return max(remaining_ms(oldest, now_ms), rest_of(stands, now_ms)) // 1000


def _backlog(summary: SinkSummary, now_ms: int) -> dict[str, Any]:
    oldest = summary.oldest_pending_at
    return {
        "pending": summary.pending,
        "dead": summary.dead,
        "delivered": summary.delivered,
        "oldest_age_seconds": None if oldest is None else max(0, now_ms - oldest) // 1000,
        "last_outcome": summary.last_reason or None,
        "last_http_status": summary.last_status,
        "last_detail": (summary.last_reason != Reason.OK and summary.last_detail) or None,
        "last_attempt_at": summary.last_attempt_at,
    }
