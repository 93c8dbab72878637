"""The group of commands, each imported only when it is called."""

import importlib
import sys
from collections.abc import Mapping
from difflib import get_close_matches

import click

from bridge import __version__
from bridge.cli.exit_codes import ExitCode, code_of
from bridge.errors import BridgeError

_COMMANDS: Mapping[str, str] = {
    "run": "Poll on schedule and deliver, until told to stop.",
    "reload": "Have the running daemon take up its configuration.",
    "once": "Poll once, deliver what is due, and exit: for cron.",
    "check": "Validate the configuration.",
    "diff": "Show what the next poll would emit; change nothing.",
    "status": "Show the registry, the last poll and the sinks' backlog.",
    "events": "Show what was observed, and what the registry was like at an instant.",
    "sinks": "Show the sinks, and try one out.",
    "outbox": "Show what waits and what is dead; send it again, or drop it.",
    "replay": "Send recorded events again.",
    "state": "Rebaseline or rebind the state.",
    "demo": "See the main job end to end, with nothing to set up.",
}


class _LazyGroup(click.Group):
    """Knows its commands by name; a command that doesn't poll never pays for MLflow's import."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, _ctx: click.Context, name: str) -> click.Command | None:
        if name not in _COMMANDS:
            return None
        module = importlib.import_module(f"bridge.cli.commands.{name}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in _COMMANDS and not args[0].startswith("-"):
            close = get_close_matches(args[0], _COMMANDS, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            ctx.fail(f"No such command {args[0]!r}.{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="mlflow-bridge", message="%(prog)s %(version)s")
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
@click.pass_context
def cli(ctx: click.Context, log_level: str | None, log_format: str, verbose: int) -> None:
    """What happens in an MLflow model registry, as events that arrive.

    Logs go to stderr, results to stdout.

    \b
    Exit codes:
       0 done                     73 the state cannot be written
       1 anything not named here  74 (once) entries are still waiting
       2 wrong usage              75 another instance owns the state
      65 a poll is held           78 configuration error, or a state that
      69 registry unreachable        is foreign or from a newer version
    """
    ctx.obj = {"log_level": log_level, "log_format": log_format, "verbose": verbose}


def main() -> None:
    """Run the command line, and turn errors into one clear message and an exit code."""
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
        sys.stderr.close()
        sys.exit(ExitCode.FAILED)
    except Exception as error:
        if {"debug", "--log-level=debug", "-vv"} & set(sys.argv):
            raise
        _complain(f"unexpected {type(error).__name__}: {error} (a bug: --log-level debug shows where)")
        sys.exit(ExitCode.FAILED)
    sys.exit(code if isinstance(code, int) else ExitCode.DONE)


def _complain(message: str) -> None:
    click.echo(f"mlflow-bridge: {message}", err=True)
