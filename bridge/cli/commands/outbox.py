"""The ``outbox`` commands: list and show entries, redrive or drop them."""

import time
from typing import Any

import click

from bridge.cli.command_help import new_group
from bridge.cli.common_options import (
    complain,
    config_option,
    confirm,
    output_option,
    print_json,
    read_settings,
    start_logs,
)
from bridge.cli.entry_display import Waits, entry_row, print_entry
from bridge.cli.entry_selection import (
    Choice,
    by_sink,
    check_sinks,
    choice_of,
    entries_numbered,
    print_done,
    warn_of_overtaken,
)
from bridge.cli.exit_codes import ExitCode
from bridge.cli.option_types import EntryParam
from bridge.cli.shell_completion import entry_numbers, sink_names
from bridge.cli.text_tables import print_table
from bridge.config import Settings
from bridge.delivery.attempt_outcome import Reason
from bridge.delivery.outbox_entry import Entry, Status
from bridge.delivery.resend import Resend
from bridge.errors import NotFound
from bridge.operations.json_serialization import entry_document
from bridge.sinks.http.webhook_sink import with_webhooks
from bridge.store.state_opening import check_binding, read_state

_FEW = 50
_WAITING = (Status.PENDING, Status.DEAD)

_sinks = click.option(
    "--sink", "sinks", metavar="NAME", multiple=True, shell_complete=sink_names, help="Of this sink."
)
_models = click.option(
    "--model", "models", metavar="GLOB", multiple=True, help="Of models whose names match."
)
_yes = click.option("--yes", is_flag=True, help="Don't ask.")
_numbers = click.argument(
    "numbers", metavar="[ENTRY]...", type=EntryParam(), nargs=-1, shell_complete=entry_numbers
)
_all = click.option("--all", "everything", is_flag=True, help="All of them.")


@new_group("outbox")
def command() -> None:
    """Show pending and dead entries; send them again, or drop them.

    An entry is one event for one sink. It is pending until its receiver accepts it (delivered), rejects
    it, or cannot be reached for max_age (dead).

    \b
    Examples:
      mlflow-bridge outbox list --status dead
      mlflow-bridge outbox show 17
      mlflow-bridge outbox redrive --sink ci
    """


@command.command(name="list")
@config_option
@output_option
@_sinks
@_models
@click.option(
    "--status",
    "statuses",
    type=click.Choice([status.value for status in Status]),
    multiple=True,
    help="With this status.  [default: pending and dead]",
)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    metavar="N",
    help=f"The newest N.  [default: {_FEW}; with --output json, all]",
)
def list_command(
    config: str | None,
    output: str,
    sinks: tuple[str, ...],
    models: tuple[str, ...],
    statuses: tuple[str, ...],
    limit: int | None,
) -> int:
    """List entries, oldest first.

    NEXT shows what a pending entry waits for: a time, an older entry of its model, a gate's verdict, or its sink. Works
    beside a running daemon.

    \b
    Examples:
      mlflow-bridge outbox list
      mlflow-bridge outbox list --status dead --sink ci
    """
    settings = read_settings(config)
    choice = Choice((), sinks, tuple(map(Status, statuses)) or _WAITING, models)
    with read_state(settings) as state:
        check_binding(state, settings)
        try:
            check_sinks(sinks, settings, state)
        except (
            NotFound
        ) as error:  # a removed sink is unknown once its last entry is gone: an empty list is then correct
            complain(str(error))
        found = choice.numbers_in(state)
        most = limit or (len(found) if output == "json" else _FEW)
        shown = [entry for number in found[-most:] if (entry := state.entry(number)) is not None]
        left_out = len(found) - len(shown)
        if output == "json":
            entries = [entry_document(one, state.event(one.event_id)) for one in shown]
            print_json({"entries": entries, "left_out": left_out})
            return ExitCode.DONE
        waits = Waits(state, time.time_ns() // 1_000_000)
        print_table([entry_row(one, state.event(one.event_id), waits) for one in shown])
    if not found:
        click.echo(
            "nothing waits, and nothing is dead" if not (sinks or models or statuses) else "no such entry"
        )
    if left_out:
        click.echo(f"({left_out} older: --limit {len(found)} shows all)")
    return ExitCode.DONE


@command.command()
@config_option
@output_option
@click.argument("number", metavar="ENTRY", type=EntryParam(), shell_complete=entry_numbers)
def show(config: str | None, output: str, number: int) -> int:
    """Show one entry with every recorded attempt (at most the last 51).

    Shows its event, what it waits for, the receiver's answers, and the link to what the delivery started.

    \b
    Examples:
      mlflow-bridge outbox show 17
      mlflow-bridge outbox show 17 --output json
    """
    settings = read_settings(config)
    with read_state(settings) as state:
        check_binding(state, settings)
        (entry,) = Choice((number,)).of(state)
        attempts = state.attempts(entry)
        if output == "json":
            document = entry_document(entry, state.event(entry.event_id))
            print_json({**document, "attempts_on_record": [one.to_document() for one in attempts]})
        else:
            print_entry(state, entry, attempts)
    return ExitCode.DONE


@command.command()
@config_option
@output_option
@_numbers
@_sinks
@_models
@_all
@_yes
@click.pass_context
def redrive(ctx: click.Context, /, config: str | None, output: str, **given: Any) -> int:
    """Send dead entries again, with the same ids: by number, sink or model, or all.

    They are sent outside the order of events: if a sink has since received a newer event of
    the same model, the command warns and asks first. An entry that is not delivered is dead
    again after max_age. A running daemon sends them at once; otherwise the next run does.

    \b
    Examples:
      mlflow-bridge outbox redrive 17 18
      mlflow-bridge outbox redrive --sink ci
      mlflow-bridge outbox redrive --all --yes
    """
    start_logs(ctx, "error")
    settings = read_settings(config)
    choice = choice_of(given, (Status.DEAD,))
    with read_state(settings) as state:
        check_binding(state, settings)
        check_sinks(choice.sinks, settings, state)
        known = {sink.name for sink in with_webhooks(settings, state.webhooks()).sinks}
        dead = [one for one in choice.of(state) if one.reason != Reason.ORPHANED or one.sink in known]
        resends = [Resend(one.event_id, one.sink, one.event_name) for one in dead]
        overtaken = warn_of_overtaken(state, resends)
    if dead and overtaken:
        confirm(f"Send {by_sink(one.sink for one in dead)} again?", yes=given["yes"])
    return print_done("redriven", _redrive(settings, dead), output)


def _redrive(settings: Settings, entries: list[Entry]) -> list[Entry]:
    from bridge.operations.outbox import redrive as carry_out  # noqa: PLC0415 - brings in the loops

    return entries_numbered(entries, carry_out(settings, [one.id for one in entries]) if entries else [])


@command.command()
@config_option
@output_option
@_numbers
@_sinks
@_models
@_all
@click.option(
    "--status",
    type=click.Choice(("dead", "pending")),
    default="dead",
    show_default=True,
    help="Drop dead entries, or pending ones.",
)
@_yes
@click.pass_context
def drop(ctx: click.Context, /, config: str | None, output: str, status: str, **given: Any) -> int:
    """Drop dead or pending entries for good: by number, sink or model, or all.

    Their events stay in the audit trail (events list), and can be replayed. An entry
    that is being sent at that moment is not dropped.

    \b
    Examples:
      mlflow-bridge outbox drop 17
      mlflow-bridge outbox drop --sink old-ci --status pending
      mlflow-bridge outbox drop --all --yes
    """
    start_logs(ctx, "error")
    settings = read_settings(config)
    choice = choice_of(given, (Status(status),) if not given["numbers"] else _WAITING)
    with read_state(settings) as state:
        check_binding(state, settings)
        check_sinks(choice.sinks, settings, state)
        unwanted = choice.of(state)
    if unwanted:
        confirm(f"Drop {by_sink(one.sink for one in unwanted)} for good?", yes=given["yes"])
    return print_done("dropped", _drop(settings, unwanted, choice.statuses), output)


def _drop(settings: Settings, entries: list[Entry], statuses: tuple[Status, ...]) -> list[Entry]:
    """Drop ``entries``, except those whose status has changed since: the confirmation may have taken long."""
    from bridge.operations.outbox import drop as carry_out  # noqa: PLC0415 - brings in the loops

    numbers = [one.id for one in entries]
    return entries_numbered(
        entries, carry_out(settings, numbers, [one.value for one in statuses]) if entries else []
    )
