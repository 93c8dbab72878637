"""``diff``: a dry run of the next poll."""

import asyncio
from typing import Any

import click

from bridge.app import wire_poll
from bridge.cli.exit_codes import ExitCode
from bridge.cli.shared import (
    config_option,
    output_option,
    print_json,
    print_table,
    read_settings,
    start_logs,
)
from bridge.config import Settings
from bridge.events.event import Event
from bridge.pipeline.clock import SystemClock
from bridge.pipeline.observation import Observation
from bridge.pipeline.plan import Plan
from bridge.states import check_binding, read_state
from bridge.wording import changed, instant


@click.command(name="diff")
@config_option
@output_option
@click.pass_context
def command(ctx: click.Context, config: str | None, output: str) -> int:
    """Show what the next poll would emit; change nothing.

    Works beside a running daemon. Exits 0 whether or not there is a difference.

    \b
    Examples:
      mlflow-bridge diff
      mlflow-bridge diff --output json
    """
    start_logs(ctx)
    seen = asyncio.run(_preview(read_settings(config)))
    plan, is_first = seen.plan, seen.is_first
    if output == "json":
        held = [hold.message for hold in seen.accepted]
        print_json(
            {"first_poll": is_first, "held": held, "events": [_document(e, plan) for e in plan.events]}
        )
        return ExitCode.DONE
    if is_first and not plan.events:
        models, versions = plan.counted
        click.echo(
            f"no baseline yet: the first poll records {models} models, {versions} versions, and emits nothing"
        )
    elif not plan.events:
        click.echo("nothing: the registry is as it was last observed")
    print_table([_row(event, plan) for event in plan.events])
    for hold in seen.accepted:
        click.echo(f"mlflow-bridge: a poll would hold some of this back: {hold.message}", err=True)
    return ExitCode.DONE


async def _preview(settings: Settings) -> Observation:
    with read_state(settings) as state:
        check_binding(state, settings)
        return await wire_poll(settings, state, SystemClock()).preview()


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
