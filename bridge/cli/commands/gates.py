"""The ``gates`` commands: list the gates of the configuration, and try them on a version."""

import json
import time
from typing import Any

import click

from bridge.cli.command_help import new_group
from bridge.cli.common_options import config_option, output_option, print_json, read_settings, start_logs
from bridge.cli.exit_codes import ExitCode
from bridge.cli.option_types import TargetParam
from bridge.cli.text_tables import print_table
from bridge.events.display_text import printable
from bridge.governance.gate import Finding, GateMode, Verdict, overall
from bridge.governance.transition_target import Target


@new_group("gates")
def command() -> None:
    """List the gates of the configuration, and try them on a version.

    A gate is what has to hold before a version gets a stage or an alias: conditions on its
    run's metrics, and approvals. It judges transition requests (mlflow-bridge requests).

    \b
    Examples:
      mlflow-bridge gates list
      mlflow-bridge gates check fraud-detector 7 Production
    """


@command.command(name="list")
@config_option
@output_option
def list_command(config: str | None, output: str) -> int:
    """List the gates, with what they guard and ask for.

    They are those of the configuration file, which a running daemon uses after a reload.

    \b
    Examples:
      mlflow-bridge gates list
      mlflow-bridge gates list --output json
    """
    from bridge.operations.gate_listing import gate_document  # noqa: PLC0415 - brings in the loops

    gates = [gate_document(gate) for gate in read_settings(config).gates]
    if output == "json":
        print_json({"gates": gates})
    elif not gates:
        click.echo("no gates: add one as [[gates]] to the configuration")
    else:
        print_table([_row(gate) for gate in gates])
    return ExitCode.DONE


@command.command()
@config_option
@output_option
@click.argument("model")
@click.argument("version")
@click.argument("target", type=TargetParam(), metavar="STAGE|@ALIAS")
@click.pass_context
def check(
    ctx: click.Context, config: str | None, output: str, model: str, version: str, target: Target
) -> int:
    """Judge VERSION of MODEL as if somebody asked for STAGE (or @ALIAS) for it; change nothing.

    Reads the run from the registry. Exits 0 if all gates that decide pass, else 1.

    \b
    Examples:
      mlflow-bridge gates check fraud-detector 7 Production
      mlflow-bridge gates check fraud-detector 7 @champion --output json
    """
    from bridge.operations.gate_listing import try_gates  # noqa: PLC0415 - brings in the loops

    start_logs(ctx, "error")
    settings = read_settings(config)
    verdicts = try_gates(settings, model, version, target, time.time_ns() // 1_000_000)
    if output == "json":
        print_json({"verdicts": [one.to_document() for one in verdicts]})
    elif not verdicts:
        click.echo(
            f"no gate guards {target.told} of {printable(model)}: a request for it is decided by people"
        )
    else:
        for one in verdicts:
            _print(one, next(gate.approvals for gate in settings.gates if gate.name == one.gate))
    deciding = [one.finding for one in verdicts if one.mode is not GateMode.AUDIT]
    is_passed = overall(deciding) is Finding.PASSED
    return ExitCode.DONE if is_passed else ExitCode.FAILED


def _print(verdict: Verdict, approvals: int) -> None:
    more = f"; {approvals} people have to approve besides" if approvals else ""
    audit = " (audit: it decides nothing)" if verdict.mode is GateMode.AUDIT else ""
    click.echo(f"{verdict.gate}: {verdict.finding.value}{audit}{more}")
    for reason in verdict.reasons:
        click.echo(f"  {printable(reason)}")
    for path, value in verdict.values.items():
        click.echo(f"  {printable(path)} = {printable(json.dumps(value))}")


def _row(gate: dict[str, Any]) -> dict[str, Any]:
    return {
        "GATE": gate["name"],
        "MODE": gate["mode"],
        "MODELS": ", ".join(gate["models"]) or "all",
        "GUARDS": ", ".join([*gate["to_stages"], *(f"@{one}" for one in gate["aliases"])]),
        "CHECKS": ", ".join(check["name"] for check in gate["checks"]) or "-",
        "APPROVALS": gate["approvals"] or "-",
    }
