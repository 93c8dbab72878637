"""The ``replay`` command: send recorded events again."""

from typing import Any

import click

from bridge.cli.audit_trail_listing import Filter
from bridge.cli.command_help import new_command
from bridge.cli.common_options import (
    config_option,
    confirm,
    output_option,
    print_json,
    read_settings,
    start_logs,
)
from bridge.cli.entry_selection import by_sink, no_such_sink, warn_of_overtaken
from bridge.cli.exit_codes import ExitCode
from bridge.cli.option_types import EventNameParam, InstantParam, print_assumed_zone
from bridge.cli.shell_completion import sink_names
from bridge.config import Settings, routes_of
from bridge.delivery.event_routing import route
from bridge.delivery.resend import Resend
from bridge.events.display_text import count
from bridge.sinks.http.webhook_sink import with_webhooks
from bridge.store.state_opening import check_binding, read_state
from bridge.store.state_reader import StateReader


@new_command("replay")
@config_option
@output_option
@click.option("--model", "models", metavar="GLOB", multiple=True, help="Of models whose names match.")
@click.option("--type", "types", type=EventNameParam(), metavar="NAME", multiple=True, help="Of this type.")
@click.option("--since", type=InstantParam(), metavar="TIME", help="Observed at or after TIME.")
@click.option("--until", type=InstantParam(), metavar="TIME", help="Observed at or before TIME.")
@click.option(
    "--sink",
    "sinks",
    metavar="NAME",
    multiple=True,
    shell_complete=sink_names,
    help="To this sink only.  [default: all]",
)
@click.option("--new-ids", is_flag=True, help="With new ids, for receivers that discard ids they have seen.")
@click.option("--all", "everything", is_flag=True, help="All recorded events.")
@click.option("--yes", is_flag=True, help="Don't ask.")
@click.pass_context
def command(
    ctx: click.Context,
    /,
    config: str | None,
    output: str,
    **given: Any,
) -> int:
    """Send recorded events again, to the sinks that ask for them now.

    Shows how many entries it would send to each sink, and asks first. The events keep their
    ids, so that a receiver can detect repeats, unless --new-ids is given. They are sent outside
    the order: if a sink has since received a newer event of the same model, the command warns.
    TIME is as for events list: 2026-11-01T12:00, 2026-11-01T11:00Z, a date, 2h, 7d.

    A new sink can be sent events from before it was added in this way, too.

    \b
    Examples:
      mlflow-bridge replay --since 2h --sink ci
      mlflow-bridge replay --model fraud-detector --type MODEL_VERSION_TRANSITIONED_STAGE
      mlflow-bridge replay --all --sink new-ci --yes
    """
    since, until = given["since"], given["until"]
    if not any(given[key] for key in ("models", "types", "since", "until", "everything")):
        msg = "which? Give --since, --until, --model or --type, or --all"
        raise click.UsageError(msg)
    start_logs(ctx, "error")
    settings = read_settings(config)
    print_assumed_zone(since, until)
    wanted = Filter(given["models"], given["types"], since, until)
    with read_state(settings) as state:
        check_binding(state, settings)
        resends = _resends(settings, state, wanted, given["sinks"])
        warn_of_overtaken(state, resends)
    if resends:
        confirm(f"Send {by_sink(one.sink for one in resends)} again?", yes=given["yes"])
    numbers = _replay(settings, resends, new_ids=given["new_ids"])
    if output == "json":
        print_json({"entries": numbers})
    else:
        click.echo(_result_text(resends, len(numbers)))
    return ExitCode.DONE


def _result_text(resends: list[Resend], sent: int) -> str:
    """Return the message about the result; some events can have been pruned since they were selected."""
    if not resends:
        return "nothing: no recorded event fits, or no sink asks for it"
    if sent < len(resends):
        return f"replayed: {count(sent, 'entry')} of {len(resends)}; the other events are no longer kept"
    return f"replayed: {by_sink(one.sink for one in resends)}"


def _resends(settings: Settings, state: StateReader, wanted: Filter, sinks: tuple[str, ...]) -> list[Resend]:
    """Return what to send, in the order of observation.

    Raises:
        NotFound: a sink is not configured.
    """
    settings = with_webhooks(settings, state.webhooks())
    known = [sink.name for sink in settings.sinks]
    unknown = [name for name in sinks if name not in known]
    if unknown:
        raise no_such_sink(unknown[0], known)
    ways = [way for way in routes_of(settings) if not sinks or way.sink in sinks]
    found = route(wanted.events(state.events()), ways)
    return [Resend(one.event.id, one.sink, one.event_name) for one in found]


def _replay(settings: Settings, resends: list[Resend], *, new_ids: bool) -> list[int]:
    from bridge.operations.outbox import replay as carry_out  # noqa: PLC0415 - brings in the loops

    return carry_out(settings, resends, new_ids=new_ids) if resends else []
