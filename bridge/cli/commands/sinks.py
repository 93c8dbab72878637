"""The ``sinks`` commands: list the sinks, test, pause and resume them."""

from typing import TYPE_CHECKING, Any

import click

from bridge.cli.command_help import new_group
from bridge.cli.common_options import config_option, output_option, print_json, read_settings, start_logs
from bridge.cli.entry_selection import no_such_sink
from bridge.cli.exit_codes import ExitCode
from bridge.cli.option_types import EventNameParam
from bridge.cli.shell_completion import sink_names
from bridge.cli.sink_trial_display import print_trial
from bridge.cli.text_tables import print_table
from bridge.config import Settings, SinkSettings
from bridge.delivery.attempt_outcome import Verdict
from bridge.events.event_names import EVENT_NAMES
from bridge.operations.json_serialization import trial_document
from bridge.operations.sink_listing import sink_documents
from bridge.sinks.http.webhook_sink import with_webhooks
from bridge.store.state_opening import read_state

if TYPE_CHECKING:
    from bridge.operations.sink_trial import Trial


@new_group("sinks")
def command() -> None:
    """Show the sinks, test one, pause and resume them.

    A sink is a named receiver in the configuration, with the events that it gets, and their format.

    \b
    Examples:
      mlflow-bridge sinks list
      mlflow-bridge sinks test ci --dry-run
      mlflow-bridge sinks pause ci
    """


@command.command(name="list")
@config_option
@output_option
def list_command(config: str | None, output: str) -> int:
    """List the sinks: their receivers, filters and numbers of waiting entries.

    Of a receiver's URL, only the origin is shown: paths may hold secrets. Works beside a running daemon.

    \b
    Examples:
      mlflow-bridge sinks list
      mlflow-bridge sinks list --output json
    """
    settings = read_settings(config)
    with read_state(settings) as state:
        documents = list(sink_documents(settings, state))
    if output == "json":
        print_json({"sinks": documents})
    elif not documents:
        click.echo("no sinks: nothing is delivered (config.example.toml shows some)")
    else:
        has_more = any(_further_text(document) for document in documents)
        print_table([_row(document, has_more=has_more) for document in documents])
    return ExitCode.DONE


def _further_text(document: dict[str, Any]) -> str | None:
    """Return the filters that few sinks use as one text."""
    tags = [f"{key} = {glob}" for key, glob in document["tags"].items()]
    parts = [
        f"{name}: {', '.join(values)}"
        for name, values in (
            ("from_stages", document["from_stages"]),
            ("aliases", document["aliases"]),
            ("tags", tags),
            ("when", [document["when"]] if document["when"] else []),
        )
        if values
    ]
    return "; ".join(parts) or None


def _row(document: dict[str, Any], *, has_more: bool) -> dict[str, Any]:
    every = "all" if document["type"] else None
    return {
        "SINK": document["name"],
        "TYPE": document["type"] and " of ".join(filter(None, (document["type"], document["package"]))),
        "CONDITION": document["condition"],
        "TO": document["to"],
        "EVENTS": ", ".join(document["events"]),
        "MODELS": ", ".join(document["models"]) or every,
        "TO STAGES": ", ".join(document["to_stages"]) or every,
        **({"FURTHER": _further_text(document)} if has_more else {}),
        "PENDING": document["backlog"]["pending"],
        "DEAD": document["backlog"]["dead"],
    }


@command.command()
@config_option
@output_option
@click.argument("name", shell_complete=sink_names)
@click.option(
    "--event",
    type=EventNameParam(),
    metavar="TYPE",
    help="Send an event of this type.  [default: the first that the sink asks for]",
)
@click.option("--dry-run", is_flag=True, help="Show the request; send nothing.")
@click.pass_context
def test(
    ctx: click.Context, config: str | None, output: str, name: str, event: str | None, dry_run: bool
) -> int:
    """Send a synthetic event to the sink NAME, and show the request and the answer.

    The event is built, signed and sent like a real one, once, with a new id; its model is called
    mlflow-bridge-test. Secrets are masked. The state is not changed: nothing is recorded or
    tried again. Works beside a running daemon. Exits 0 if the event was delivered, else 1.

    Only the headers that the bridge sets are shown; every request also has the usual ones of
    HTTP (Host, Content-Length, User-Agent, Accept-Encoding).

    \b
    Examples:
      mlflow-bridge sinks test ci
      mlflow-bridge sinks test ci --dry-run
      mlflow-bridge sinks test ci --event MODEL_VERSION_ALIAS_SET
    """
    import asyncio  # noqa: PLC0415 - a slow import that `sinks list` does not need

    from bridge.operations.sink_trial import try_out  # noqa: PLC0415 - likewise

    start_logs(ctx)
    settings = read_settings(config)
    sink = _sink(settings, name)
    event_name = EVENT_NAMES[event or sink.events[0]].name
    _tell_if_unasked(sink, event_name)
    trial = asyncio.run(try_out(sink, settings, event_name, sends=not dry_run))
    _print(trial, output, sends=not dry_run)
    return ExitCode.DONE if trial.outcome.verdict is Verdict.DELIVERED else ExitCode.FAILED


@command.command()
@config_option
@click.argument("name", shell_complete=sink_names)
@click.pass_context
def pause(ctx: click.Context, config: str | None, name: str) -> int:
    """Stop deliveries to the sink NAME until it is resumed.

    Entries for it wait, and this time does not count towards max_age. An attempt under way
    is finished. The sink stays paused over restarts; a running daemon pauses it at once.

    \b
    Examples:
      mlflow-bridge sinks pause ci
      mlflow-bridge sinks pause ci -c /etc/mlflow-bridge/config.toml
    """
    from bridge.operations.outbox import pause as carry_out  # noqa: PLC0415 - brings in the loops

    start_logs(ctx, "error")
    settings = read_settings(config)
    standing = carry_out(settings, _sink(settings, name).name)["standing"]
    click.echo(f"{name} is {standing}" + ("" if standing == "paused" else " (by its receiver), and stays so"))
    return ExitCode.DONE


@command.command()
@config_option
@click.argument("name", shell_complete=sink_names)
@click.pass_context
def resume(ctx: click.Context, config: str | None, name: str) -> int:
    """Resume deliveries to the sink NAME: after pause, or after its receiver answered 410 (Gone).

    Waiting entries are tried at once, in order, by a running daemon.

    \b
    Examples:
      mlflow-bridge sinks resume ci
      mlflow-bridge sinks resume ci -c /etc/mlflow-bridge/config.toml
    """
    from bridge.operations.outbox import resume as carry_out  # noqa: PLC0415 - brings in the loops

    start_logs(ctx, "error")
    settings = read_settings(config)
    before = carry_out(settings, _sink(settings, name).name)["standing"]
    click.echo(f"{name} is running" + ("" if before == "running" else f" again (it was {before})"))
    return ExitCode.DONE


def _print(trial: "Trial", output: str, *, sends: bool) -> None:
    if output == "json":
        print_json(trial_document(trial, sends=sends))
    else:
        print_trial(trial, sends=sends)


def _sink(settings: Settings, name: str) -> SinkSettings:
    """Return the sink called ``name``.

    Raises:
        NotFound: there is none.
    """
    sinks = {sink.name: sink for sink in settings.sinks}
    if name not in sinks:  # the state need not be readable for a sink of the file
        with read_state(settings) as state:
            sinks = {sink.name: sink for sink in with_webhooks(settings, state.webhooks()).sinks}
    if name not in sinks:
        raise no_such_sink(name, sinks)
    return sinks[name]


def _tell_if_unasked(sink: SinkSettings, event_name: str) -> None:
    asked = {EVENT_NAMES[name].name for name in sink.events}
    kinds = {EVENT_NAMES[name].kind for name in asked if EVENT_NAMES[name].to_stage is None}
    if event_name not in asked and EVENT_NAMES[event_name].kind not in kinds:
        click.echo(
            f"mlflow-bridge: {sink.name} does not ask for {event_name}: it gets none but this", err=True
        )
