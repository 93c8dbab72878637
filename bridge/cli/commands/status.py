"""``status``: how the bridge is doing, from its state."""

import time
from dataclasses import asdict
from typing import Any

import click

from bridge.cli.exit_codes import ExitCode
from bridge.cli.help import new_command
from bridge.cli.shared import (
    config_option,
    instant,
    output_option,
    print_json,
    read_settings,
    span,
)
from bridge.cli.tables import print_table
from bridge.cli.terminal import printable, show, status
from bridge.config import Settings
from bridge.delivery.condition import RUNNING, Condition
from bridge.delivery.watch import watch_of
from bridge.diff.abilities import Abilities
from bridge.loading import routes_of
from bridge.pipeline.cadence import Cadence, is_pressing
from bridge.states import binding_of, read_state
from bridge.store.state import State
from bridge.store.values import PollRecord, SinkSummary

_LET_THROUGH = "mlflow-bridge diff shows it, mlflow-bridge once --accept-held lets it through"


_CUT = "sinks ask for aliases, tags or descriptions of more models than are read at every poll: full scans find them"


@new_command("status")
@config_option
@output_option
def command(config: str | None, output: str) -> int:
    """Show the registry, the last poll and the sinks' backlog.

    Tells from the state alone when the registry was last read, and how that went; for each sink, what
    waits, what is dead, and why. Works beside a running daemon; asks neither the registry nor a sink.

    \b
    Examples:
      mlflow-bridge status
      mlflow-bridge status --output json
    """
    settings = read_settings(config)
    with read_state(settings) as state:
        document = _document(settings, state, time.time_ns() // 1_000_000)
    if output == "json":
        print_json(document)
    else:
        _print(document)
    return ExitCode.DONE


def _document(settings: Settings, state: State, now_ms: int) -> dict[str, Any]:
    head, poll = state.head, state.last_poll
    models, versions = state.count_models()
    wanted = binding_of(settings)
    return {
        "registry": {
            "uri": wanted.uri,
            "workspace": wanted.workspace,
            "fingerprint": head.fingerprint if head else None,
            "state_is_bound_to": head.uri if head else None,
            **_abilities(state.abilities),
        },
        "state": {
            "folder": settings.state.folder,
            "bytes": state.size(),
            "baseline_at": head.baseline_at if head else None,
        },
        "last_poll": poll.to_document() if poll else None,
        "full_scan": _full_scan(settings, state, now_ms),
        "watched": _watched(settings, state),
        "held": _held(poll),
        "snapshot": {"models": models, "versions": versions},
        "sinks": _sinks(settings, state, now_ms),
    }


def _abilities(abilities: Abilities | None) -> dict[str, Any]:
    if abilities is None:
        return {"server": None, "lacks": [], "abilities": None}
    facts = asdict(abilities)
    return {"server": facts.pop("server") or None, "lacks": abilities.lacks(), "abilities": facts}


def _full_scan(settings: Settings, state: State, now_ms: int) -> dict[str, Any] | None:
    """Return how the last full scan went, and when the next is due: a slow one comes less often."""
    last, head, poll, found = state.last_reconcile, state.head, state.last_poll, settings.poll
    if last is None or head is None:
        return None
    cadence = Cadence(found.reconcile_interval, found.reconcile_share)
    every_ms = cadence.spacing_ms(
        last, head.state_id, is_pressing=is_pressing(head, last, poll, state.abilities)
    )
    return {
        "at": last.at,
        "duration_ms": last.duration_ms,
        "went_well": last.went_well,
        "every_ms": every_ms,
        "next_in_ms": max(0, last.at + every_ms - now_ms),
        "is_slowed_by_share": every_ms > 1.2 * found.reconcile_interval,
    }


def _watched(settings: Settings, state: State) -> dict[str, Any]:
    """Return how many models are looked at by name, and whether sinks name more than that."""
    abilities = state.abilities or Abilities()
    watch = watch_of(routes_of(settings), state.known(), has_names=abilities.has_names)
    return {"models": len(watch.rows), "versions_of": len(watch.versions), "is_cut": watch.is_cut}


def _held(poll: PollRecord | None) -> dict[str, str] | None:
    return {"why": poll.held, "digest": poll.held_digest} if poll and poll.held_digest else None


def _sinks(settings: Settings, state: State, now_ms: int) -> list[dict[str, Any]]:
    summaries, conditions = state.summaries(), state.conditions()
    configured = {sink.name: sink for sink in settings.sinks}
    rows: list[dict[str, Any]] = []
    for name in [*configured, *sorted(summaries.keys() - configured.keys())]:
        sink = configured.get(name)
        summary = summaries.get(name) or SinkSummary(name)
        rows.append(
            {
                "name": name,
                "type": sink.type if sink else None,
                "to": sink.origin() if sink else None,
                "condition": conditions.get(name, RUNNING).word if sink else "orphaned",
                **_standing(conditions.get(name)),
                **_backlog(summary, now_ms),
            }
        )
    return rows


def _standing(condition: Condition | None) -> dict[str, Any]:
    return {
        "condition_since": condition.since if condition else None,
        "condition_why": condition.why or None if condition else None,
    }


def _backlog(summary: SinkSummary, now_ms: int) -> dict[str, Any]:
    oldest = summary.oldest_pending_at
    return {
        "pending": summary.pending,
        "dead": summary.dead,
        "delivered": summary.delivered,
        "oldest_age_seconds": None if oldest is None else max(0, now_ms - oldest) // 1000,
        "last_outcome": summary.last_reason or None,
        "last_http_status": summary.last_status,
        "last_detail": summary.last_detail or None,
        "last_attempt_at": summary.last_attempt_at,
    }


def _print(document: dict[str, Any]) -> None:
    registry, state, poll = document["registry"], document["state"], document["last_poll"]
    workspace = f" (workspace {registry['workspace']})" if registry["workspace"] else ""
    bound = registry["state_is_bound_to"]
    if bound not in (None, registry["uri"]):
        workspace += f" (but the state is bound to {bound}: see mlflow-bridge state rebind --help)"
    facts = [
        ("registry", registry["uri"] + workspace),
        ("server", _server(registry)),
        ("state", f"{state['folder']} ({state['bytes'] / 1e6:.1f} MB)"),
        ("baseline", instant(state["baseline_at"]) or "none yet: the first poll takes it"),
        ("snapshot", "{models} models, {versions} versions".format(**document["snapshot"])),
        ("last poll", _poll(poll)),
        ("full scan", _scan(document["full_scan"])),
    ]
    if document["watched"]["is_cut"]:
        facts.append(("watched", _CUT))
    if document["held"]:
        facts.append(("held", f"{document['held']['why']}; {_LET_THROUGH}"))
    for name, value in facts:
        word, comma, rest = printable(value).partition(",")
        show(f"{name:<10} {status(word)}{comma}{rest}")
    if document["sinks"]:
        click.echo()
    print_table([_row(sink) for sink in document["sinks"]])
    for sink in document["sinks"]:
        if sink["condition_why"]:
            since = instant(sink["condition_since"])
            click.echo(
                f"\n{sink['name']}: {sink['condition']} since {since}: {printable(sink['condition_why'])}"
            )
        if (sink["pending"] or sink["dead"]) and sink["last_detail"]:
            click.echo(f"\n{sink['name']}: {printable(sink['last_detail'])}")


def _poll(poll: dict[str, Any] | None) -> str:
    if poll is None:
        return "none yet"
    ago = span(time.time_ns() // 1_000_000 - poll["attempted_at"])
    text = f"{poll['outcome']}, {ago} ago, at {instant(poll['attempted_at'])}"
    if poll["outcome"] != "failed":
        return f"{text}, {poll['kind']}, took {poll['duration_ms']} ms"
    since = instant(poll["succeeded_at"]) or "never"
    return f"{text}: {poll['error']} (last success: {since})"


def _scan(scan: dict[str, Any] | None) -> str:
    if scan is None:
        return "none yet"
    went = "ok" if scan["went_well"] else "failed"
    slowed = ", for its share of the registry's time" if scan["is_slowed_by_share"] else ""
    return (
        f"{went}, at {instant(scan['at'])}, took {scan['duration_ms'] / 1000:.1f} s; "
        f"every {span(scan['every_ms'])}{slowed}"
    )


def _server(registry: dict[str, Any]) -> str | None:
    if registry["abilities"] is None:
        return "not asked yet"
    told = registry["server"] or "does not tell its version"
    return f"{told}; lacks {', '.join(registry['lacks'])}" if registry["lacks"] else told


def _row(sink: dict[str, Any]) -> dict[str, Any]:
    age = sink["oldest_age_seconds"]
    return {
        "SINK": sink["name"],
        "TYPE": sink["type"],
        "CONDITION": sink["condition"],
        "TO": sink["to"],
        "PENDING": sink["pending"],
        "DEAD": sink["dead"],
        "OLDEST": None if age is None else span(age * 1000),
        "LAST OUTCOME": sink["last_outcome"],
    }
