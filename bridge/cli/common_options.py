"""What commands have in common: options, settings, logs, and ways to print."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from bridge.cli.shell_completion import config_files
from bridge.cli.terminal_output import printable_lines
from bridge.config import Settings, find
from bridge.operations.configuration_loading import load_settings

HOLD_ADVICE = (
    "mlflow-bridge diff shows it; where the registry is at fault, mend it, and the hold lifts by itself; "
    "where it is the truth, mlflow-bridge once --accept-held lets it through"
)

F = TypeVar("F", bound=Callable[..., Any])


def _globally(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    """Take an option after the command as if it stood before it."""
    if value:
        ctx.find_root().obj[param.human_readable_name] = value


def _config_named(ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    """Return the configuration that is named, after the command or before it."""
    named = value if value is not None else (ctx.find_root().obj or {}).get("config")
    if named == "":
        msg = "it names no file: it is empty"
        raise click.BadParameter(msg)
    return named


def log_options(function: F) -> F:
    """Add the global options about what is said, which people write after the command as well."""
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
    """Begin to log as the global options say; ``usual`` is the command's own level."""
    from bridge.cli.log_setup import LEVELS, configure  # noqa: PLC0415 - quick commands log nothing

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
    """Return the settings to work with.

    Raises:
        ConfigurationError: with every fault.
    """
    return load_settings(settings_path(config))


def confirm(question: str, *, yes: bool) -> None:
    """Ask, unless the answer was given with ``--yes``.

    Raises:
        click.UsageError: there is nobody to ask.
        click.Abort: the answer is no.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        msg = f"{question} There is nobody to ask: add --yes"
        raise click.UsageError(msg)
    click.confirm(question, abort=True, err=True)


def complain(message: str) -> None:
    """Say on stderr what is wrong, or to be known; answers of servers in it cannot steer the terminal."""
    click.echo(f"mlflow-bridge: {printable_lines(message)}", err=True)


def count(number: int, noun: str) -> str:
    """Return ``number`` with its noun: *1 entry*, *2 entries*."""
    plural = noun[:-1] + "ies" if noun.endswith("y") else noun + "s"
    return f"{number} {noun if number == 1 else plural}"


def print_json(value: Any) -> None:
    """Print ``value`` as JSON."""
    click.echo(json.dumps(value, indent=2))
