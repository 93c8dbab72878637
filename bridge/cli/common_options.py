"""Options that several commands share, and functions to load settings, start logging, confirm and print."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from bridge.cli.shell_completion import config_files
from bridge.cli.terminal_output import printable_lines
from bridge.config import Settings, find
from bridge.operations.verified_configuration import load_settings

HOLD_ADVICE = (
    "mlflow-bridge diff shows it; where the registry is at fault, mend it, and the hold lifts by itself; "
    "where it is the truth, mlflow-bridge once --accept-held lets it through"
)

F = TypeVar("F", bound=Callable[..., Any])


def _globally(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    """Store an option that is given after the command as if it were given before it."""
    if value:
        ctx.find_root().obj[param.human_readable_name] = value


def _config_named(ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    """Return the configuration file that is given after the command, or else before it."""
    named = value if value is not None else (ctx.find_root().obj or {}).get("config")
    if named == "":
        msg = "it names no file: it is empty"
        raise click.BadParameter(msg)
    return named


def log_options(function: F) -> F:
    """Add the global logging options, so that they can also be given after the command."""
    for names, kind in (
        (
            ("--log-level",),
            {"type": click.Choice(("debug", "info", "warning", "error"), case_sensitive=False)},
        ),
        (("--log-format",), {"type": click.Choice(("console", "json"))}),
        (("-v", "--verbose"), {"count": True}),
        (("-q", "--quiet"), {"is_flag": True}),
    ):
        hidden: dict[str, Any] = {"hidden": True, "expose_value": False, "callback": _globally}
        function = click.option(*names, **kind, **hidden)(function)
    return function


def config_option(function: F) -> F:
    """Add ``-c/--config FILE``, and the global options."""
    return click.option(
        "-c",
        "--config",
        metavar="FILE",
        callback=_config_named,
        shell_complete=config_files,
        help="The configuration.  [default: $MLFLOW_BRIDGE_CONFIG, ./config.toml, "
        "/etc/mlflow-bridge/config.toml]",
    )(log_options(function))


def output_option(function: F) -> F:
    """Add ``--output table|json``."""
    return click.option(
        "--output",
        type=click.Choice(("table", "json")),
        default="table",
        show_default=True,
        help="For people, or for programs.",
    )(function)


def start_logs(ctx: click.Context, usual: str = "warning") -> None:
    """Configure logging from the global options; ``usual`` is the command's default level."""
    from bridge.cli.log_setup import LEVELS, configure  # noqa: PLC0415 - commands that do not log start faster without it

    options = ctx.find_root().obj
    usual = "error" if options["quiet"] else usual
    level = options["log_level"] or LEVELS[max(0, LEVELS.index(usual) - options["verbose"])]
    configure(level, options["log_format"])


def is_verbose(ctx: click.Context) -> bool:
    """Whether ``-v`` was given."""
    return bool(ctx.find_root().obj["verbose"])


def settings_path(config: str | None) -> Path:
    """Return the configuration file to use.

    Raises:
        ConfigurationError: there is none.
    """
    return find(config)


def read_settings(config: str | None) -> Settings:
    """Load the settings.

    Raises:
        ConfigurationError: with every fault.
    """
    return load_settings(settings_path(config))


def confirm(question: str, *, yes: bool) -> None:
    """Ask for a confirmation, unless ``--yes`` was given.

    Raises:
        click.UsageError: stdin is not a terminal, so nobody can answer.
        click.Abort: the answer is no.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        msg = f"{question} There is nobody to ask: add --yes"
        raise click.UsageError(msg)
    click.confirm(question, abort=True, err=True)


def complain(message: str) -> None:
    """Print an error or a warning on stderr; control characters, which servers may send, are replaced."""
    click.echo(f"mlflow-bridge: {printable_lines(message)}", err=True)


def print_json(value: Any) -> None:
    """Print ``value`` as JSON."""
    click.echo(json.dumps(value, indent=2))
