"""The ``check`` command: validate the configuration."""

from pathlib import Path

import click

from bridge.cli.command_help import new_command
from bridge.cli.common_options import complain, config_option, output_option, print_json, settings_path
from bridge.cli.configuration_checks import CheckResult, check_connections, check_settings
from bridge.cli.exit_codes import ExitCode
from bridge.cli.progress_line import scan_progress
from bridge.cli.proxy_table import print_ways
from bridge.config import Settings
from bridge.errors import ConfigurationError
from bridge.events.display_text import count
from bridge.operations.verified_configuration import load_settings


@new_command("check")
@config_option
@output_option
@click.option("--connect", is_flag=True, help="Also read the registry, and resolve every secret.")
@click.pass_context
def command(ctx: click.Context, config: str | None, output: str, connect: bool) -> int:
    """Validate the configuration: every error at once, each with its key.

    Shows how the registry is reached, and where each connection setting comes from: the
    configuration, the environment, or a file that MLflow's client reads. If the environment
    names proxies, shows which one leads to the registry and to each sink.

    Nothing is changed or sent. With --connect, the registry is read as in a full scan, the proxies must let
    connections to the sinks through, the state folder must be writable, and every secret must be readable.
    Sinks get no request: sinks test sends one.

    \b
    Examples:
      mlflow-bridge check
      mlflow-bridge check --connect -c /etc/mlflow-bridge/config.toml
      mlflow-bridge check --output json
    """
    try:
        path = settings_path(config)
        settings = load_settings(path)
    except ConfigurationError as error:
        if output != "json":
            raise
        print_json(CheckResult([error]).to_document(error.source or None, None))
        return ExitCode.CONFIGURATION
    with scan_progress(ctx) as scanned:
        found = check_connections(settings, scanned) if connect else check_settings(settings)
    if output == "json":
        print_json(found.to_document(str(path), settings))
    else:
        _print(found, path, settings, asked=connect)
    return found.code


def _print(found: CheckResult, path: Path, settings: Settings, *, asked: bool) -> None:
    for part in found.sources_to_show:
        click.echo(str(part))
    if found.answer is not None:
        click.echo(f"{settings.registry.shown_uri}: {found.answer}")
    if found.database is not None:
        click.echo(f"{settings.state.place}: {found.database}")
    for kind, package in found.packages.items():
        click.echo(f"{kind}: from {package}")
    print_ways(found.ways)
    for warning in found.warnings:
        complain(f"warning: {warning}")
    for fault in found.faults:
        complain(str(fault))
    if not found.faults:
        click.echo(f"{path}: ok, {_sinks(len(settings.sinks), asked=asked)}{_gates(len(settings.gates))}")


def _gates(number: int) -> str:
    return f", {count(number, 'gate')}" if number else ""


def _sinks(number: int, *, asked: bool) -> str:
    if number == 0:
        return "0 sinks: nothing will be delivered"
    told = count(number, "sink")
    return f"{told} (with all secrets; sinks themselves are not contacted)" if asked else told
