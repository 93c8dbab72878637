"""The ``state`` commands: record a new baseline, bind the state to a moved registry, or copy it to another place."""

import asyncio
from pathlib import Path

import click
from pydantic import ValidationError

from bridge.app import wire_poll
from bridge.cli.command_help import new_group
from bridge.cli.common_options import config_option, read_settings, start_logs
from bridge.cli.exit_codes import ExitCode
from bridge.cli.progress_line import Scanned, scan_progress
from bridge.config import Settings, StateSettings
from bridge.errors import ConfigurationError, StateOwned
from bridge.events.display_text import count
from bridge.operations.command_user import command_user
from bridge.operations.daemon_requests import ask_to_rebaseline, ask_to_rebind
from bridge.operations.registry_rebinding import rebind as rebind_state
from bridge.operations.state_copy import copy_state
from bridge.pipeline.clocks import SystemClock
from bridge.pipeline.hold_decisions import report_note
from bridge.store.state_metadata import Note
from bridge.store.state_opening import any_owned_state, make_tables, owned_state


@new_group("state")
def command() -> None:
    """Rebaseline, rebind or copy the state; a running daemon rebaselines and rebinds it.

    The state is what state.url names: a folder, or a database. It holds the last observed snapshot and the outbox,
    and belongs to one registry.

    \b
    Examples:
      mlflow-bridge state rebaseline
      mlflow-bridge state rebind
      mlflow-bridge state copy tinydb:./state postgresql://bridge@db.example.com/bridge
    """


@command.command()
@config_option
@click.pass_context
def rebaseline(ctx: click.Context, config: str | None) -> int:
    """Record the registry as it is, and emit nothing.

    Entries that wait in the outbox stay there. Use it after a change so large that
    receivers should not get single events for it. A running daemon does it between two polls.

    \b
    Examples:
      mlflow-bridge diff
      mlflow-bridge state rebaseline
    """
    start_logs(ctx)
    settings = read_settings(config)
    try:
        with scan_progress(ctx) as scanned:
            models, versions = asyncio.run(_rebaseline(settings, scanned))
    except StateOwned:
        models, versions = ask_to_rebaseline(settings)
    click.echo(f"recorded {count(models, 'model')}, {count(versions, 'version')}; emitted nothing")
    return ExitCode.DONE


async def _rebaseline(settings: Settings, scanned: Scanned | None) -> tuple[int, int]:
    async with owned_state(settings) as state:
        return (await wire_poll(settings, state, SystemClock(), scanned=scanned).rebaseline()).counted


@command.command()
@config_option
@click.option(
    "--accept",
    is_flag=True,
    help="Bind it even if the fingerprint differs; show what is the same and what differs.",
)
@click.pass_context
def rebind(ctx: click.Context, config: str | None, accept: bool) -> int:
    """Bind the state to a registry that moved to another URL.

    The registry at the configured URL must be the one that the state was taken from: its
    database must have the same fingerprint, and models that the state knows must be there.
    A running daemon reads its configuration again, binds its state, and continues with the
    registry at its new URL.

    A fingerprint changes if the Default experiment is purged (mlflow gc), or if the
    experiments move to a new database while the registry keeps its own. Without --accept,
    the command shows what is the same and what differs, and changes nothing. If nothing is
    the same, it is another registry, and --accept does not help.

    \b
    Examples:
      mlflow-bridge check --connect
      mlflow-bridge state rebind
      mlflow-bridge state rebind --accept
    """
    start_logs(ctx)
    settings = read_settings(config)
    try:
        done = asyncio.run(_rebind(settings, accept=accept))
    except StateOwned:
        done = ask_to_rebind(settings, accept=accept)
    click.echo(done)
    return ExitCode.DONE


async def _rebind(settings: Settings, *, accept: bool) -> str:
    async with any_owned_state(settings) as state:
        return await rebind_state(state, settings, accept=accept)


@command.command()
@config_option
@click.pass_context
def migrate(ctx: click.Context, config: str | None) -> int:
    """Make the tables of a state in PostgreSQL, if they are not there yet.

    A bridge does this itself when it starts, if its role may. Where the role of the service may not, give this command
    once with a configuration whose state.url names a role that may.

    \b
    Examples:
      mlflow-bridge state migrate
      mlflow-bridge state migrate --config as-owner.toml
    """
    start_logs(ctx)
    settings = read_settings(config)
    if not settings.state.is_database:
        raise ConfigurationError(["state.url: names a folder, which needs no tables"])
    asyncio.run(make_tables(settings))
    click.echo(f"the tables are there: {settings.state.place}")
    return ExitCode.DONE


@command.command()
@config_option
@click.pass_context
def restored(ctx: click.Context, config: str | None) -> int:
    """Say that the state was restored from a backup, before the bridge starts on it.

    From then on, no event gets an id that was given after the backup, and no delivery a number. What happened after
    the backup and still shows is announced again, under new ids. Without this command, the first change of each model
    has its old id, and a later one may have an id that stood for something else.

    \b
    Examples:
      mlflow-bridge diff
      mlflow-bridge state restored
    """
    start_logs(ctx)
    asyncio.run(_restored(read_settings(config)))
    click.echo("no id and no number of a delivery from before the restore is given again")
    return ExitCode.DONE


async def _restored(settings: Settings) -> None:
    async with owned_state(settings) as state:
        now_ms = SystemClock().now_ms()
        note = Note(now_ms, "restored", by=command_user())
        await state.lift_numbers(now_ms, note)
        report_note(note)


@command.command()
@config_option
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@click.pass_context
def copy(ctx: click.Context, config: str | None, source: str, target: str) -> int:
    """Copy the state FROM one place TO another, as state.url names them.

    TO has to be empty. Nothing may run on either of them. The copy is read back and compared; then FROM is marked
    as moved, and no bridge uses it any more, so that nothing is delivered twice. A folder is relative to the working
    directory. What else a database needs (password, sslmode, schema) is taken from the configuration.

    \b
    Examples:
      mlflow-bridge state copy tinydb:./state postgresql://bridge@db.example.com/bridge
      mlflow-bridge state copy postgresql://bridge@db.example.com/bridge tinydb:./state-2
    """
    start_logs(ctx)
    settings = read_settings(config)
    places = [_at(settings, url, name) for url, name in ((source, "FROM"), (target, "TO"))]
    copied = asyncio.run(copy_state(*places))
    number = count(sum(copied.counts.values()), "document")
    click.echo(f"copied {number} (sha256 {copied.digest[:16]}), compared, and marked the old state as moved")
    click.echo(f'now set [state] url = "{places[1].state.url}", and start the bridge')
    return ExitCode.DONE


def _at(settings: Settings, url: str, name: str) -> Settings:
    """Return ``settings`` with the state at another place; a password counts only for a database."""
    try:
        place = StateSettings.model_validate({"url": url})
    except ValidationError as error:
        problem = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise click.UsageError(f"{name}: {problem}") from None
    more = {} if place.is_database else {"password": None, "sslmode": None}
    where = place.url if place.is_database else f"tinydb:{Path(place.folder).absolute()}"
    update = {"url": where, "lease": _LEASE_MS, **more}
    return settings.model_copy(update={"state": settings.state.model_copy(update=update)})


_LEASE_MS = 300_000
"""A large state is written as one commit, which may take longer than the usual lease."""
