"""The ``completion`` command: print the completion script for a shell."""

import click
from click.shell_completion import ShellComplete, get_completion_class

from bridge.cli.command_help import new_command
from bridge.cli.exit_codes import ExitCode

_VARIABLE = "_MLFLOW_BRIDGE_COMPLETE"
"""The variable that tells click that a shell asks for completions; click derives it from the program's name."""


@new_command("completion")
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish")))
@click.pass_context
def command(ctx: click.Context, shell: str) -> int:
    """Print the completion script for bash, zsh or fish.

    It completes commands, options and their values. Sink names and entry numbers come from the configuration
    that the command line names, or else the default one. Bash must be 4.4 or later.

    \b
    Examples:
      mlflow-bridge completion bash > ~/.local/share/bash-completion/completions/mlflow-bridge
      mlflow-bridge completion fish > ~/.config/fish/completions/mlflow-bridge.fish
      source <(mlflow-bridge completion zsh)
    """
    kind = get_completion_class(shell)
    if kind is None:
        msg = f"this version of click completes nothing in {shell}"
        raise click.UsageError(msg)
    program = kind(ctx.find_root().command, {}, "mlflow-bridge", _VARIABLE)
    click.echo(
        ShellComplete.source(program)
    )  # the method of click's Bash class would start bash to ask for its version
    return ExitCode.DONE
