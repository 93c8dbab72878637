"""``state``: rebaseline, rebind."""

import asyncio
from dataclasses import replace

import click

from bridge.app import wire_poll
from bridge.cli.exit_codes import ExitCode
from bridge.cli.shared import config_option, read_settings, start_logs
from bridge.config import Settings
from bridge.errors import StateForeign
from bridge.pipeline.clock import SystemClock
from bridge.pipeline.plan import Plan
from bridge.pipeline.threads import in_thread
from bridge.registry.base import Deadline
from bridge.registry.mlflow_reader import MlflowRegistry
from bridge.states import any_owned_state, binding_of, owned_state


@click.group(name="state")
def command() -> None:
    """Rebaseline or rebind the state. Stop a running daemon first."""


@command.command()
@config_option
@click.pass_context
def rebaseline(ctx: click.Context, config: str | None) -> int:
    """Record the registry as it is, and emit nothing.

    What is waiting in the outbox stays there. For after a change so large that nobody
    should be told of it one by one.
    """
    start_logs(ctx)
    plan = asyncio.run(_rebaseline(read_settings(config)))
    models, versions = plan.counted
    click.echo(f"recorded {models} models, {versions} versions; emitted nothing")
    return ExitCode.DONE


async def _rebaseline(settings: Settings) -> Plan:
    with owned_state(settings) as state:
        return await wire_poll(settings, state, SystemClock()).rebaseline()


@command.command()
@config_option
@click.pass_context
def rebind(ctx: click.Context, config: str | None) -> int:
    """Bind the state to a registry that moved to another URL.

    The registry at the configured URL must be the one that the state was taken from: its
    database has to have the same fingerprint.
    """
    start_logs(ctx)
    click.echo(asyncio.run(_rebind(read_settings(config))))
    return ExitCode.DONE


async def _rebind(settings: Settings) -> str:
    wanted = binding_of(settings)
    with any_owned_state(settings) as state:
        head = state.head
        if head is None:
            return "nothing to bind: there is no baseline yet, and the first poll binds the state"
        if head.workspace != wanted.workspace:
            msg = (
                f"the state is of workspace {head.workspace or 'default'!r}, and the configuration names "
                f"{wanted.workspace or 'default'!r}: another workspace is another registry; choose a new "
                "folder in state.url"
            )
            raise StateForeign(msg)
        registry = MlflowRegistry(settings.registry)
        deadline = Deadline.after(settings.poll.deadline)
        fingerprint = await in_thread(lambda: registry.fingerprint(deadline))
        _compare(head.fingerprint, fingerprint, wanted.uri)
        state.write_head(replace(head, uri=wanted.uri))
    return f"the state is bound to {wanted.uri}"


def _compare(known: str | None, found: str | None, uri: str) -> None:
    if known is not None and known == found:
        return
    why = (
        "its database has another fingerprint"
        if known and found
        else "the fingerprint of its database cannot be read, so nothing shows that it is the same"
    )
    msg = f"{uri} is not the registry that the state was taken from: {why}; choose a new folder in state.url"
    raise StateForeign(msg)
