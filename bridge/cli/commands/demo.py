"""The ``demo`` command: run the bridge once against a temporary registry and receiver."""

import click

from bridge.cli.command_help import new_command
from bridge.cli.exit_codes import ExitCode
from bridge.cli.log_setup import configure


@new_command("demo")
def command() -> int:
    """See the main job end to end, with nothing to set up.

    Runs on this machine: a real MLflow registry in a temporary folder, a real HTTP receiver, stage
    transitions, polls and signed deliveries, printed as they happen. Takes a few seconds, and removes its files.

    \b
    Examples:
      mlflow-bridge demo
      pip install 'mlflow-bridge[demo]' && mlflow-bridge demo
    """
    configure("error", "console")
    from bridge.demo import run_demo  # noqa: PLC0415 - only this command needs it

    run_demo(click.echo)
    return ExitCode.DONE
