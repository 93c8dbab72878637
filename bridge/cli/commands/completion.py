"""``completion``: what makes a shell complete our commands."""

import click
from click.shell_completion import ShellComplete, get_completion_class

from bridge.cli.command_help import new_command
from bridge.cli.exit_codes import ExitCode

_VARIABLE = "_MLFLOW_BRIDGE_COMPLETE"
"""Where click looks for what a shell asks: made of the program's name."""


@new_command("completion")
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish")))
@click.pass_context
def command(ctx: click.Context, shell: str) -> int:
    """Print what completes commands in bash, zsh or fish.

    Commands, options and their values are completed. Names of sinks and numbers of entries are looked up in
    the configuration that the command line names, or the usual one. Bash has to be 4.4 or later.

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
    click.echo(ShellComplete.source(program))  # bash's own would start bash, to ask for its version
    return ExitCode.DONE
