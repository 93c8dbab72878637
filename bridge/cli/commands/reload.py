"""``reload``: have the running daemon take up its configuration."""

import os
import signal
from contextlib import suppress

import click

from bridge.cli.command_help import new_command
from bridge.cli.common_options import config_option, read_settings, settings_path
from bridge.cli.exit_codes import ExitCode
from bridge.config import Settings
from bridge.errors import ConfigurationError
from bridge.operations.daemon_requests import ask_to_reload


@new_command("reload")
@config_option
def command(config: str | None) -> int:
    """Have the running daemon take up its configuration, and tell what is wrong with it.

    All of it or nothing: a configuration with an error changes nothing, is told with every
    error, and exits 78. So does one that needs a restart: a change of [registry], [state] or
    [server]. Ends when the new configuration is in force; deliveries under way get 20 s.
    SIGHUP asks for the same, and the answer is in the log.

    \b
    Examples:
      mlflow-bridge reload
      mlflow-bridge check && mlflow-bridge reload
    """
    answer = ask_to_reload(_read(config))
    sinks = ", ".join(answer["sinks"]) or "none"
    what = "in force" if answer["changed"] else "unchanged"
    click.echo(f"{settings_path(config)}: {what}; sinks: {sinks}")
    return ExitCode.DONE


def _read(config: str | None) -> Settings:
    """Return the settings; under systemd, have the daemon say in its status that it refuses those with faults.

    Raises:
        ConfigurationError: with every fault.
    """
    try:
        return read_settings(config)
    except ConfigurationError:
        daemon = os.environ.get("MAINPID", "")  # which systemd tells an ExecReload= alone
        if daemon.isdecimal() and int(daemon) > 1:
            with suppress(OSError):
                os.kill(int(daemon), signal.SIGHUP)
        raise
