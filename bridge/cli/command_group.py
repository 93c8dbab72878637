"""The top-level command group, which imports each command only when it is called, and turns errors into exit codes."""

import gc
import importlib
import sys
from collections.abc import Mapping

import click
from click.shell_completion import CompletionItem

from bridge import __version__
from bridge.cli.command_help import WIDEST, Group
from bridge.cli.exit_codes import ExitCode, code_of
from bridge.cli.home_directory_fallback import provide_home
from bridge.cli.shell_completion import config_files
from bridge.cli.standard_streams import prepare_streams
from bridge.cli.startup_signals import release_signals
from bridge.cli.terminal_output import printable_lines
from bridge.errors import BridgeError

SECTIONS: Mapping[str, Mapping[str, str]] = {
    "Run it": {
        "run": "Poll on schedule and deliver, until stopped.",
        "once": "Poll once, deliver what is due, and exit: for cron.",
    },
    "Look": {
        "status": "Show the registry, the last poll and the sinks' backlog.",
        "diff": "Show what the next poll would emit; change nothing.",
        "events": "Show observed events, and the state of the registry at an instant.",
    },
    "Act": {
        "sinks": "Show the sinks, test one, pause and resume them.",
        "webhooks": "Create, change, test and delete webhooks.",
        "requests": "Ask for transitions of stages and aliases, and decide on them.",
        "gates": "List the gates of the configuration, and try them on a version.",
        "outbox": "Show pending and dead entries; send them again, or drop them.",
        "replay": "Send recorded events again, to the sinks that ask for them now.",
        "state": "Rebaseline, rebind or copy the state; a running daemon rebaselines and rebinds it.",
        "reload": "Have the running daemon read its configuration again, and show its errors.",
    },
    "Set up": {
        "init": "Write a configuration for a first sink, and try the connection.",
        "check": "Validate the configuration: every error at once, each with its key.",
        "completion": "Print the completion script for bash, zsh or fish.",
        "demo": "See the main job end to end, with nothing to set up.",
    },
}
"""The commands by section of the help, each with its summary."""

_COMMANDS = {name: summary for section in SECTIONS.values() for name, summary in section.items()}


class _LazyGroup(Group):
    """Imports a command's module only when that command is called: most commands do not need MLflow's slow import."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, _ctx: click.Context, name: str) -> click.Command | None:
        if name not in _COMMANDS:
            return None
        module = importlib.import_module(f"bridge.cli.commands.{name}")
        command: click.Command = module.command
        return command

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        widest = max(map(len, _COMMANDS))
        for title, commands in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(widest), summary) for name, summary in commands.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete command names from the table, without importing the commands."""
        found = [
            CompletionItem(name, help=told) for name, told in _COMMANDS.items() if name.startswith(incomplete)
        ]
        return [*found, *click.Command.shell_complete(self, ctx, incomplete)]


@click.group(
    cls=_LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": WIDEST},
)
@click.version_option(__version__, prog_name="mlflow-bridge", message="%(prog)s %(version)s")
@click.option(
    "-c",
    "--config",
    metavar="FILE",
    shell_complete=config_files,
    help="The configuration; it can stand after the command as well.",
)
@click.option(
    "--log-level",
    type=click.Choice(("debug", "info", "warning", "error"), case_sensitive=False),
    help="Log this and above.  [default: info for run, warning for the others]",
)
@click.option(
    "--log-format",
    type=click.Choice(("console", "json")),
    default="console",
    show_default=True,
    help="How log lines look on stderr.",
)
@click.option("-v", "--verbose", count=True, help="Say more; twice for debugging.")
@click.option("-q", "--quiet", is_flag=True, help="Log errors only, and show no progress.")
@click.pass_context
def cli(ctx: click.Context, /, **given: object) -> None:
    """Deliver the changes of an MLflow model registry as events.

    Logs, errors and progress go to stderr, results to stdout. Colours are for terminals, and honour
    NO_COLOR. Options for logs and the configuration can stand after the command as well.

    \b
    Examples:
      mlflow-bridge init
      mlflow-bridge check --connect
      mlflow-bridge run
      mlflow-bridge COMMAND --help
    """
    ctx.obj = given
    gc.freeze()
    gc.enable()
    if ctx.invoked_subcommand != "run":
        release_signals()


def main() -> None:
    """Run the command line; print an error as one message and exit with its code."""
    prepare_streams()
    provide_home()
    try:
        code = cli.main(prog_name="mlflow-bridge", standalone_mode=False)
    except (click.exceptions.Abort, KeyboardInterrupt):
        _complain("interrupted")
        sys.exit(ExitCode.FAILED)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except BridgeError as error:
        _complain(str(error))
        sys.exit(code_of(error))
    except BrokenPipeError:
        sys.exit(ExitCode.FAILED)
    except Exception as error:
        if {"debug", "--log-level=debug", "-vv"} & set(sys.argv):
            raise
        _complain(f"unexpected {type(error).__name__}: {error} (a bug: --log-level debug shows where)")
        sys.exit(ExitCode.FAILED)
    sys.exit(code if isinstance(code, int) else ExitCode.DONE)


def _complain(message: str) -> None:
    click.echo(f"mlflow-bridge: {printable_lines(message)}", err=True)
