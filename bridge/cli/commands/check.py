"""``check``: is the configuration right?"""

from collections.abc import Iterator

import click

from bridge.cli.exit_codes import ExitCode, code_of, first_of
from bridge.cli.shared import config_option, read_settings, settings_path
from bridge.config import Settings
from bridge.delivery.targets import is_plain
from bridge.errors import BridgeError, ConfigurationError
from bridge.sinks.access import access_faults


@click.command(name="check")
@config_option
@click.option("--connect", is_flag=True, help="Also ask the registry, and resolve every secret.")
def command(config: str | None, connect: bool) -> int:
    """Validate the configuration: every error at once, each with its key.

    \b
    Examples:
      mlflow-bridge check
      mlflow-bridge check --connect -c /etc/mlflow-bridge/config.toml
    """
    settings = read_settings(config)
    problems = [*_access(settings), *(_connected(settings) if connect else ())]
    _warn_of_plain_http(settings)
    _pass_on_remarks(settings)
    for problem in problems:
        click.echo(f"mlflow-bridge: {problem}", err=True)
    if problems:
        return first_of(code_of(problem) for problem in problems)
    click.echo(f"{settings_path(config)}: ok, {_sinks(len(settings.sinks), asked=connect)}")
    return ExitCode.DONE


def _sinks(number: int, *, asked: bool) -> str:
    if number == 0:
        return "0 sinks: nothing will be delivered"
    told = "1 sink" if number == 1 else f"{number} sinks"
    return f"{told} (with all secrets; sinks themselves are not contacted)" if asked else told


def _connected(settings: Settings) -> Iterator[BridgeError]:
    """Ask everything that can be asked without changing anything; yield what is wrong."""
    import asyncio  # noqa: PLC0415 - brings in a lot that a plain check does not need

    from bridge.connect import ask_registry  # noqa: PLC0415
    from bridge.states import check_binding, check_writable, read_state  # noqa: PLC0415

    yield from _secrets(settings)
    try:
        check_writable(settings)
        with read_state(settings) as state:
            check_binding(state, settings)
    except BridgeError as error:
        yield error
    try:
        found = asyncio.run(ask_registry(settings))
        click.echo(f"{settings.registry.uri}: {found}")
    except BridgeError as error:
        yield error


def _access(settings: Settings) -> list[BridgeError]:
    """Return what will keep sinks from being reached, each fault once: a default's concerns many sinks."""
    faults = [fault for sink in settings.sinks for fault in access_faults(sink, settings.delivery)]
    return [ConfigurationError([fault]) for fault in dict.fromkeys(faults)]


def _warn_of_plain_http(settings: Settings) -> None:
    for sink in settings.sinks:
        for origin in filter(is_plain, sink.origins()):
            text = f"sinks.{sink.name}: what is sent to {origin} is not encrypted: use https"
            click.echo(f"mlflow-bridge: warning: {text}", err=True)


def _pass_on_remarks(settings: Settings) -> None:
    for sink in settings.sinks:
        for remark in sink.remarks():
            click.echo(f"mlflow-bridge: warning: sinks.{sink.name}.{remark}", err=True)


def _secrets(settings: Settings) -> Iterator[BridgeError]:
    for index, sink in enumerate(settings.sinks):
        for key, secret in sink.secrets().items():
            fault = sink.secret_fault(key, secret)
            if fault:
                yield ConfigurationError([f"sinks[{index}].{key}: {fault}"])
