"""The ``reload`` command: have the running daemon read its configuration again."""

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
    """Have the running daemon read its configuration again, and show its errors.

    A configuration with an error changes nothing: every error is shown, and the exit code
    is 78. The same holds for a change that needs a restart: of [registry], [state] or
    [server]. The command ends when the new configuration is in force; deliveries under way
    get 20 s. SIGHUP does the same, with the result in the log.

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
    """Return the settings; if they have faults, under systemd, signal the daemon so that its status shows the refusal.

    Raises:
        ConfigurationError: with every fault.
    """
    try:
        return read_settings(config)
    except ConfigurationError:
        daemon = os.environ.get("MAINPID", "")  # systemd sets it only for ExecReload=
        if daemon.isdecimal() and int(daemon) > 1:
            with suppress(OSError):
                os.kill(int(daemon), signal.SIGHUP)
        raise
