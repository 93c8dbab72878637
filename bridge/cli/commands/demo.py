"""``demo``: the main job end to end."""

import click

from bridge.cli.command_help import new_command
from bridge.cli.exit_codes import ExitCode
from bridge.cli.log_setup import configure


@new_command("demo")
def command() -> int:
    """See the main job end to end, with nothing to set up.

    On this machine: a real MLflow registry in a temporary folder, a real HTTP receiver, stage
    transitions, polls, and signed deliveries, shown as they happen. Takes a few seconds, and leaves nothing behind.

    \b
    Examples:
      mlflow-bridge demo
      pip install 'mlflow-bridge[demo]' && mlflow-bridge demo
    """
    configure("error", "console")
    from bridge.demo import tell  # noqa: PLC0415 - nothing else needs it

    tell(click.echo)
    return ExitCode.DONE
