"""``state``: rebaseline, rebind."""

import asyncio

import click

from bridge.app import wire_poll
from bridge.asking import ask_to_rebaseline, ask_to_rebind
from bridge.cli.exit_codes import ExitCode
from bridge.cli.help import new_group
from bridge.cli.progress import Scanned, shown
from bridge.cli.shared import config_option, read_settings, start_logs
from bridge.config import Settings
from bridge.errors import StateOwned
from bridge.pipeline.clock import SystemClock
from bridge.rebind import rebind as rebind_state
from bridge.states import any_owned_state, owned_state


@new_group("state")
def command() -> None:
    """Rebaseline or rebind the state; beside a running daemon, the daemon does it.

    The state is the folder that state.url names: what was last observed, and what is still to be
    delivered. It belongs to one registry.

    \b
    Examples:
      mlflow-bridge state rebaseline
      mlflow-bridge state rebind
    """


@command.command()
@config_option
@click.pass_context
def rebaseline(ctx: click.Context, config: str | None) -> int:
    """Record the registry as it is, and emit nothing.

    What is waiting in the outbox stays there. For after a change so large that nobody
    should be told of it one by one. A running daemon does it between two polls.

    \b
    Examples:
      mlflow-bridge diff
      mlflow-bridge state rebaseline
    """
    start_logs(ctx)
    settings = read_settings(config)
    try:
        with shown(ctx) as scanned:
            models, versions = asyncio.run(_rebaseline(settings, scanned))
    except StateOwned:
        models, versions = ask_to_rebaseline(settings)
    click.echo(f"recorded {models} models, {versions} versions; emitted nothing")
    return ExitCode.DONE


async def _rebaseline(settings: Settings, scanned: Scanned | None) -> tuple[int, int]:
    with owned_state(settings) as state:
        return (await wire_poll(settings, state, SystemClock(), scanned=scanned).rebaseline()).counted


@command.command()
@config_option
@click.pass_context
def rebind(ctx: click.Context, config: str | None) -> int:
    """Bind the state to a registry that moved to another URL.

    The registry at the configured URL must be the one that the state was taken from: its
    database has to have the same fingerprint. A running daemon reads its configuration
    again, binds its state, and goes on with the registry at its new URL.

    \b
    Examples:
      mlflow-bridge check --connect
      mlflow-bridge state rebind
    """
    start_logs(ctx)
    settings = read_settings(config)
    try:
        done = asyncio.run(_rebind(settings))
    except StateOwned:
        done = ask_to_rebind(settings)
    click.echo(done)
    return ExitCode.DONE


async def _rebind(settings: Settings) -> str:
    with any_owned_state(settings) as state:
        return await rebind_state(state, settings)
