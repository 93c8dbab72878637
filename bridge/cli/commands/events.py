"""The ``events`` commands: list and show observed events, and the registry's past state."""

from collections.abc import Sequence
from itertools import islice

import click

from bridge.cli.audit_trail_listing import Filter, Observed, document, is_ordered, merge_by_time, newest, row
from bridge.cli.command_help import new_group
from bridge.cli.common_options import config_option, output_option, print_json, read_settings
from bridge.cli.event_display import find_event, print_event
from bridge.cli.exit_codes import ExitCode
from bridge.cli.option_types import NOTE_KINDS, EventNameParam, Instant, InstantParam, print_assumed_zone
from bridge.cli.point_in_time_display import Question, print_models_at
from bridge.cli.text_tables import print_table
from bridge.operations.json_serialization import event_document
from bridge.store.state_opening import check_binding, read_state
from bridge.store.state_reader import StateReader

_FEW = 50
_TRUSTED = 1_000
"""If so many of the newest are in order of time, the clock was not set back lately, and older ones cannot belong among them."""


@new_group("events")
def command() -> None:
    """Show observed events, and the state of the registry at an instant.

    The audit trail keeps each event for the time that state.history sets, whether or not a sink asked for
    it, and also the actions of operators.

    \b
    Examples:
      mlflow-bridge events list --since 7d
      mlflow-bridge events list --model fraud-detector --at 2026-11-01T12:00
      mlflow-bridge events show c5f769cb
    """


@command.command(name="list")
@config_option
@output_option
@click.option(
    "--model",
    "models",
    metavar="GLOB",
    multiple=True,
    help="Of models whose names match; a renamed model matches by its old or new name.",
)
@click.option(
    "--type",
    "types",
    type=EventNameParam(*NOTE_KINDS),
    metavar="NAME",
    multiple=True,
    help=f"Of this type: an event name as in a sink's settings, or {', '.join(NOTE_KINDS)}.",
)
@click.option("--since", type=InstantParam(), metavar="TIME", help="Observed at or after TIME.")
@click.option("--until", type=InstantParam(), metavar="TIME", help="Observed at or before TIME.")
@click.option(
    "--at", type=InstantParam(), metavar="TIME", help="Show each version's stage and aliases at TIME instead."
)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    metavar="N",
    help=f"The newest N.  [default: {_FEW}; with --output json, all]",
)
def list_command(
    config: str | None,
    output: str,
    models: tuple[str, ...],
    types: tuple[str, ...],
    limit: int | None,
    **times: Instant | None,
) -> int:
    """List observed events, oldest first, or the state of the registry at an instant.

    Works beside a running daemon; sends no request to the registry or a sink. The list also holds
    notes: what appeared late, what was missed, doubted or held, and what operators did.

    TIME is 2026-11-01T12:00 (local time), 2026-11-01T12:00+01:00, 2026-11-01T11:00Z, a date
    (its beginning), or a duration before now: 2h, 7d. Times are shown in UTC.

    With --at, a change has the time that the registry records for it (stage transitions, new
    versions, renames), or else the time when it was observed (aliases, deletions). --model
    matches a model by its name at that time, or by its present one. Changes that were undone between
    two polls are not known; of models and versions deleted since, only what events reported is known.
    SINCE is empty if the version was in this state before the first record.

    \b
    Examples:
      mlflow-bridge events list --model 'fraud-*' --since 7d
      mlflow-bridge events list --type MODEL_VERSION_TRANSITIONED_TO_PRODUCTION
      mlflow-bridge events list --type held --type accepted
      mlflow-bridge events list --model fraud-detector --at 2026-11-01T12:00
    """
    since, until, at = times["since"], times["until"], times["at"]
    if at is not None and (types or since or until):
        msg = "--at asks for an instant, not for events: it goes with --model alone"
        raise click.UsageError(msg)
    settings = read_settings(config)
    print_assumed_zone(since, until, at)
    is_json = output == "json"
    most = limit or (None if is_json else _FEW)
    with read_state(settings) as state:
        check_binding(state, settings)
        if at is not None:
            print_models_at(state, Question(at.at, models, most), is_json=is_json)
        else:
            _list(state, Filter(models, types, since, until), most, is_json=is_json)
    return ExitCode.DONE


def _found(state: StateReader, wanted: Filter, limit: int | None) -> tuple[Sequence[Observed], int]:
    """Return the newest ``limit`` that are wanted, and how many older ones there are."""
    if limit is not None and wanted.is_empty:
        some = max(limit, _TRUSTED)
        events = list(islice(state.events_before(None), some))[::-1]
        notes = [note for _, note in islice(state.notes_before(None), some)][::-1]
        if is_ordered(events) and is_ordered(notes):
            found, _ = newest(merge_by_time(events, notes), limit)
            return found, state.count_events() + state.count_notes() - len(found)
    return newest(merge_by_time(wanted.events(state.events()), wanted.notes(state.notes())), limit)


def _list(state: StateReader, wanted: Filter, limit: int | None, *, is_json: bool) -> None:
    found, left_out = _found(state, wanted, limit)
    if is_json:
        print_json(document(found, left_out))
    elif state.head is None:
        click.echo("no state yet: the first poll takes the baseline; what changes after it is recorded")
    elif not found:
        click.echo("nothing that was observed fits")
    print_table([row(one) for one in found] if not is_json else [])
    if left_out and not is_json:
        click.echo(f"({left_out} older: --limit {left_out + len(found)} shows all)")


@command.command()
@config_option
@output_option
@click.argument("event_id", metavar="ID")
def show(config: str | None, output: str, event_id: str) -> int:
    """Show one event in full, with the status of its deliveries.

    ID is an event's id, or a unique beginning of it. Receivers get the id
    as X-MLflow-Delivery-Id. Exits 1 if no event matches, or more than one.

    \b
    Examples:
      mlflow-bridge events show c5f769cb
      mlflow-bridge events show c5f769cb-5449-5204-964f-0b751a067ab4 --output json
    """
    given = event_id.strip()
    if not given:
        msg = "is empty"
        raise click.BadParameter(msg, param_hint="ID")
    settings = read_settings(config)
    with read_state(settings) as state:
        check_binding(state, settings)
        event = find_event(state, given)
        entries = state.entries_of(event.id)
        details = state.details(event.id)
    if output == "json":
        print_json(event_document(event, entries, details))
    else:
        print_event(event, entries, details)
    return ExitCode.DONE
