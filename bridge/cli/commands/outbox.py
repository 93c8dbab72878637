"""``outbox``: what waits, what is dead, and what to do about it."""

import time
from typing import Any

import click

from bridge.cli.chosen import Choice, by_sink, warn_of_overtaken
from bridge.cli.entries import Waits, entry_document, entry_row, print_entry
from bridge.cli.exit_codes import ExitCode
from bridge.cli.shared import (
    config_option,
    confirm,
    count,
    output_option,
    print_json,
    print_table,
    read_settings,
    start_logs,
)
from bridge.config import Settings
from bridge.delivery.again import Resend
from bridge.delivery.entry import Entry, Status
from bridge.delivery.outcome import Reason
from bridge.states import check_binding, read_state

_FEW = 50
_WAITING = (Status.PENDING, Status.DEAD)

_sinks = click.option("--sink", "sinks", metavar="NAME", multiple=True, help="Of this sink.")
_models = click.option("--model", "models", metavar="GLOB", multiple=True, help="Of such models.")
_yes = click.option("--yes", is_flag=True, help="Don't ask.")
_numbers = click.argument("numbers", metavar="[ENTRY]...", type=click.IntRange(min=1), nargs=-1)
_all = click.option("--all", "everything", is_flag=True, help="All of them.")


@click.group(name="outbox")
def command() -> None:
    """Show what waits and what is dead; send it again, or drop it."""


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
    """List entries, oldest first: one event for one sink each.

    Works beside a running daemon.

    \b
    Examples:
      mlflow-bridge outbox list
      mlflow-bridge outbox list --status dead --sink ci
    """
    settings = read_settings(config)
    choice = Choice((), sinks, tuple(map(Status, statuses)) or _WAITING, models)
    with read_state(settings) as state:
        check_binding(state, settings)
        found = choice.of(state)
        shown = found[-limit:] if limit else found if output == "json" else found[-_FEW:]
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
@click.argument("number", metavar="ENTRY", type=click.IntRange(min=1))
def show(config: str | None, output: str, number: int) -> int:
    """Show one entry with every attempt that is on record (the last 51).

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

    They stand outside the order: where a sink has since got something newer of the same
    model, this says so, and asks first. What nobody takes is dead again after max_age.
    A running daemon sends them at once, the next run otherwise.

    \b
    Examples:
      mlflow-bridge outbox redrive 17 18
      mlflow-bridge outbox redrive --sink ci
      mlflow-bridge outbox redrive --all --yes
    """
    start_logs(ctx, "error")
    settings = read_settings(config)
    choice = _choice(given, (Status.DEAD,))
    with read_state(settings) as state:
        check_binding(state, settings)
        dead = [one for one in choice.of(state) if one.reason != Reason.ORPHANED or _is_known(one, settings)]
        resends = [Resend(one.event_id, one.sink, one.event_name) for one in dead]
        overtaken = warn_of_overtaken(state, resends)
    if dead and overtaken:
        confirm(f"Send {by_sink(one.sink for one in dead)} again?", yes=given["yes"])
    return _done("redriven", _redrive(settings, dead), output)


def _is_known(entry: Entry, settings: Settings) -> bool:
    return entry.sink in {sink.name for sink in settings.sinks}


def _redrive(settings: Settings, entries: list[Entry]) -> list[Entry]:
    from bridge.operating import redrive as carry_out  # noqa: PLC0415 - brings in the loops

    return _of(entries, carry_out(settings, [one.id for one in entries]) if entries else [])


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
    help="Drop what is dead, or what still waits.",
)
@_yes
@click.pass_context
def drop(ctx: click.Context, /, config: str | None, output: str, status: str, **given: Any) -> int:
    """Forget dead entries for good, or entries that wait: by number, sink or model, or all.

    Their events stay in the audit trail (events list), and can be replayed. An entry
    that is just being sent is not dropped.

    \b
    Examples:
      mlflow-bridge outbox drop 17
      mlflow-bridge outbox drop --sink old-ci --status pending
      mlflow-bridge outbox drop --all --yes
    """
    start_logs(ctx, "error")
    settings = read_settings(config)
    choice = _choice(given, (Status(status),) if not given["numbers"] else _WAITING)
    with read_state(settings) as state:
        check_binding(state, settings)
        unwanted = choice.of(state)
    if unwanted:
        confirm(f"Drop {by_sink(one.sink for one in unwanted)} for good?", yes=given["yes"])
    return _done("dropped", _drop(settings, unwanted, choice.statuses), output)


def _drop(settings: Settings, entries: list[Entry], statuses: tuple[Status, ...]) -> list[Entry]:
    """Drop ``entries``, but for those that stand otherwise by now: the question may have stood for long."""
    from bridge.operating import drop as carry_out  # noqa: PLC0415 - brings in the loops

    numbers = [one.id for one in entries]
    return _of(entries, carry_out(settings, numbers, [one.value for one in statuses]) if entries else [])


def _choice(given: dict[str, Any], statuses: tuple[Status, ...]) -> Choice:
    """Return what is meant; nothing at all is no choice.

    Raises:
        click.UsageError: it is not said which, or said twice.
    """
    named = given["numbers"] or given["sinks"] or given["models"]
    if not named and not given["everything"]:
        msg = "which? Give numbers (mlflow-bridge outbox list shows them), --sink, --model or --all"
        raise click.UsageError(msg)
    if named and given["everything"]:
        msg = "--all means all: give it alone"
        raise click.UsageError(msg)
    return Choice(given["numbers"], given["sinks"], statuses, given["models"])


def _of(entries: list[Entry], numbers: list[int]) -> list[Entry]:
    done = set(numbers)
    return [entry for entry in entries if entry.id in done]


def _done(what: str, entries: list[Entry], output: str) -> int:
    if output == "json":
        print_json({what: [entry.id for entry in entries]})
    elif entries:
        click.echo(f"{what}: {by_sink(entry.sink for entry in entries)}")
    else:
        click.echo(f"{what}: {count(0, 'entry')}")
    return ExitCode.DONE
