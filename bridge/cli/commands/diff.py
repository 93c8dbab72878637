"""The ``diff`` command: show what the next poll would emit."""

import asyncio
from typing import Any

import click

from bridge.app import wire_poll
from bridge.cli.command_help import new_command
from bridge.cli.common_options import (
    complain,
    config_option,
    output_option,
    print_json,
    read_settings,
    start_logs,
)
from bridge.cli.exit_codes import ExitCode
from bridge.cli.progress_line import Scanned, scan_progress
from bridge.cli.text_tables import print_table
from bridge.config import Settings
from bridge.events.display_text import changed, count, instant
from bridge.events.event import Event
from bridge.pipeline.clocks import SystemClock
from bridge.pipeline.commit_plan import Plan
from bridge.pipeline.reading_result import Observation
from bridge.store.state_opening import check_binding, read_state


@new_command("diff")
@config_option
@output_option
@click.pass_context
def command(ctx: click.Context, config: str | None, output: str) -> int:
    """Show what the next poll would emit; change nothing.

    Reads the whole registry, as a full scan does, and shows which sinks would get each event. Works
    beside a running daemon. Exits 0 whether or not there is a difference.

    \b
    Examples:
      mlflow-bridge diff
      mlflow-bridge diff --output json
    """
    start_logs(ctx)
    settings = read_settings(config)
    with scan_progress(ctx) as scanned:
        seen = asyncio.run(_preview(settings, scanned))
    plan, is_first = seen.plan, seen.is_first
    if output == "json":
        held = [hold.message for hold in seen.accepted]
        print_json(
            {"first_poll": is_first, "held": held, "events": [_document(e, plan) for e in plan.events]}
        )
        return ExitCode.DONE
    if is_first and not plan.events:
        models, versions = plan.counted
        found = f"{count(models, 'model')}, {count(versions, 'version')}"
        click.echo(f"no baseline yet: the first poll records {found}, and emits nothing")
    elif not plan.events:
        click.echo("nothing: the registry is as it was last observed")
    print_table([_row(event, plan) for event in plan.events])
    for hold in seen.accepted:
        complain(f"a poll would hold some of this back: {hold.message}")
    return ExitCode.DONE


async def _preview(settings: Settings, scanned: Scanned | None) -> Observation:
    with read_state(settings) as state:
        check_binding(state, settings)
        return await wire_poll(settings, state, SystemClock(), scanned=scanned).preview()


def _sinks(event: Event, plan: Plan) -> list[str]:
    return [routed.sink for routed in plan.routed if routed.event.id == event.id]


def _document(event: Event, plan: Plan) -> dict[str, Any]:
    document = event.to_document()
    del document["lane"]
    return {**document, "sinks": _sinks(event, plan)}


def _row(event: Event, plan: Plan) -> dict[str, Any]:
    return {
        "TIME": instant(event.timestamp),
        "EVENT": event.type.value,
        "MODEL": event.model_name,
        "VERSION": event.model_version,
        "CHANGE": changed(event),
        "SINKS": ", ".join(_sinks(event, plan)),
    }
