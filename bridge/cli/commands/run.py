"""The ``run`` command: run the daemon."""

import asyncio

import click

from bridge.cli.command_help import new_command
from bridge.cli.common_options import config_option, settings_path, start_logs
from bridge.cli.startup_signals import exit_on_stop_signals
from bridge.operations.verified_configuration import load_settings


@new_command("run")
@config_option
@click.pass_context
def command(ctx: click.Context, config: str | None) -> None:
    """Poll on schedule and deliver, until stopped.

    If the registry or a receiver is down, the daemon keeps trying. On SIGTERM (or Ctrl-C), it finishes the
    deliveries under way (for at most 20 s) and exits 0. On SIGHUP, it reads the configuration again; if
    that has an error, nothing changes. On SIGUSR1, it makes a full scan at once.

    \b
    Examples:
      mlflow-bridge run
      mlflow-bridge run --config /etc/mlflow-bridge/config.toml
      mlflow-bridge --log-format json run
    """
    with exit_on_stop_signals():
        start_logs(ctx, usual="info")
        from bridge.daemon import serve  # noqa: PLC0415 - brings in the scheduler

        path = settings_path(config)
        asyncio.run(serve(load_settings(path), lambda: load_settings(path)))
