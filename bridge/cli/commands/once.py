"""The ``once`` command: poll once and deliver the entries that are due."""

import asyncio

import click

from bridge.cli.command_help import new_command
from bridge.cli.common_options import (
    HOLD_ADVICE,
    complain,
    config_option,
    is_verbose,
    read_settings,
    start_logs,
)
from bridge.cli.exit_codes import ExitCode, code_of, first_of
from bridge.cli.progress_line import Scanned, scan_progress
from bridge.config import Settings, parse_duration
from bridge.errors import BridgeError, StateOwned
from bridge.events.display_text import count
from bridge.operations.daemon_requests import ask_to_poll
from bridge.operations.poll_requests import OnceResult, PollOrder
from bridge.operations.single_run import run_once


def _duration(_ctx: click.Context, _param: click.Parameter, value: str | None) -> int | None:
    if value is None:
        return None
    try:
        return parse_duration(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@new_command("once")
@config_option
@click.option(
    "--deadline",
    metavar="TIME",
    callback=_duration,
    help='End after this time, such as "60s"; the next run continues a full scan.',
)
@click.option("--full", is_flag=True, help="Scan the whole registry.")
@click.option("--accept-held", is_flag=True, help="Accept the poll that was held last.")
@click.pass_context
def command(
    ctx: click.Context, config: str | None, deadline: int | None, full: bool, accept_held: bool
) -> int:
    """Poll once, deliver what is due, and exit: for cron.

    Prints nothing on success, unless -v is given. Deliveries are made even if the poll
    failed. Entries that must be tried again wait in the state for the next run, and the
    exit code is 74 until they are settled.

    Beside a running daemon, --full and --accept-held have the daemon poll, after its current
    poll. The result is printed as usual; the daemon delivers the new entries, and those not
    delivered within 5 s count as still waiting. Without these options, once exits 75 there.

    \b
    Examples (the last is a line of a crontab):
      mlflow-bridge once -v
      mlflow-bridge once --full
      mlflow-bridge once --accept-held
      * * * * *  mlflow-bridge once -c /etc/mlflow-bridge/config.toml --deadline 50s
    """
    start_logs(ctx)
    with scan_progress(ctx) as scanned:
        result = _poll(read_settings(config), PollOrder(accept_held, full, deadline), scanned)
    for error in result.errors:
        complain(_error_text(error))
    if result.waiting:
        waiting = f"{count(result.waiting, 'entry')} {'is' if result.waiting == 1 else 'are'}"
        click.echo(f"mlflow-bridge: {waiting} still waiting (mlflow-bridge status shows why)", err=True)
    if is_verbose(ctx):
        click.echo(
            f"{count(result.new, 'new entry')}, {result.delivered} delivered, {result.waiting} waiting"
        )
    return _code(result)


def _poll(settings: Settings, order: PollOrder, scanned: Scanned | None) -> OnceResult:
    """Poll here, or if a daemon owns the state and the order asks for more than a plain poll, have the daemon poll."""
    try:
        return asyncio.run(run_once(settings, order, scanned))
    except StateOwned:
        if not (order.full or order.accept_held):
            raise
        return ask_to_poll(settings, order)


def _error_text(error: BridgeError) -> str:
    if code_of(error) is not ExitCode.HELD:
        return str(error)
    return f"the poll is held: {error}; {HOLD_ADVICE}"


def _code(result: OnceResult) -> ExitCode:
    codes = [code_of(error) for error in result.errors]
    return first_of([*codes, ExitCode.WAITING] if result.waiting else codes)
