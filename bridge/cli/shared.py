"""What commands have in common: options, settings, logs, and ways to print."""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from bridge.config import Settings, find
from bridge.loading import load_settings
from bridge.wording import printable

F = TypeVar("F", bound=Callable[..., Any])


def _globally(name: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    """Return a callback that takes an option after the command as if it stood before it."""

    def take(ctx: click.Context, _param: click.Parameter, value: Any) -> None:
        if value:
            ctx.find_root().obj[name] = value

    return take


def config_option(function: F) -> F:
    """Add ``-c/--config FILE``, and the global options, which people write here as well."""
    for names, key, kind in (
        (("--log-level",), "log_level", {"type": click.Choice(("debug", "info", "warning", "error"))}),
        (("--log-format",), "log_format", {"type": click.Choice(("console", "json"))}),
        (("-v", "--verbose"), "verbose", {"count": True}),
    ):
        hidden: dict[str, Any] = {"hidden": True, "expose_value": False, "callback": _globally(key)}
        function = click.option(*names, **kind, **hidden)(function)
    return click.option(
        "-c",
        "--config",
        metavar="FILE",
        help="The configuration.  [default: $MLFLOW_BRIDGE_CONFIG, ./config.toml, "
        "/etc/mlflow-bridge/config.toml]",
    )(function)


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
    from bridge.cli.logs import LEVELS, configure  # noqa: PLC0415 - quick commands log nothing

    options = ctx.find_root().obj
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


def count(number: int, noun: str) -> str:
    """Return ``number`` with its noun: *1 entry*, *2 entries*."""
    plural = noun[:-1] + "ies" if noun.endswith("y") else noun + "s"
    return f"{number} {noun if number == 1 else plural}"


def print_json(value: Any) -> None:
    """Print ``value`` as JSON."""
    click.echo(json.dumps(value, indent=2))


def print_table(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print rows under their keys, in columns as wide as they need to be."""
    if not rows:
        return
    columns = list(rows[0])
    cells = [columns, *([printable(row[column]) for column in columns] for row in rows)]
    widths = [max(len(line[index]) for line in cells) for index in range(len(columns))]
    for line in cells:
        padded = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        click.echo("  ".join(padded).rstrip())
