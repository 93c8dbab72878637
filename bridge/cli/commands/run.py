"""``run``: the daemon."""

import asyncio

import click

from bridge.cli.command_help import new_command
from bridge.cli.common_options import config_option, settings_path, start_logs
from bridge.cli.startup_signals import stopped_at_once
from bridge.operations.configuration_loading import load_settings


@new_command("run")
@config_option
@click.pass_context
def command(ctx: click.Context, config: str | None) -> None:
    """Poll on schedule and deliver, until told to stop.

    A registry or a receiver that is down is waited for. SIGTERM (or Ctrl-C) lets the deliveries under
    way end (for at most 20 s), then exits 0. SIGHUP reads the configuration again, all of it or, where
    it has an error, nothing of it. SIGUSR1 asks for a full scan now.

    \b
    Examples:
      mlflow-bridge run
      mlflow-bridge run --config /etc/mlflow-bridge/config.toml
      mlflow-bridge --log-format json run
    """
    with stopped_at_once():
        start_logs(ctx, usual="info")
        from bridge.daemon import serve  # noqa: PLC0415 - brings in the scheduler

        path = settings_path(config)
        asyncio.run(serve(load_settings(path), lambda: load_settings(path)))
