"""The ``requests`` commands: list, show, make, approve, reject and cancel transition requests."""

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from bridge.cli.command_help import new_group
from bridge.cli.common_options import (
    config_option,
    output_option,
    print_json,
    read_settings,
    start_logs,
)
from bridge.cli.exit_codes import ExitCode
from bridge.cli.option_types import TargetParam
from bridge.cli.text_tables import print_table
from bridge.config import Settings
from bridge.errors import NotFound
from bridge.events.display_text import instant, printable
from bridge.governance.transition_request import RequestStatus, TransitionRequest
from bridge.governance.transition_target import Target
from bridge.operations.command_user import command_user, user_name
from bridge.operations.transition_request_responses import request_document
from bridge.store.state_opening import read_state

F = TypeVar("F", bound=Callable[..., Any])

_SHORT = len("tr_") + 10
"""How many characters of an id are shown in a table, and are enough to name a request."""

_LEAST = len("tr_") + 4
_STATUSES = tuple(status.value for status in RequestStatus)


@new_group("requests")
def command() -> None:
    """Ask for transitions of stages and aliases, and decide on them.

    A request waits until its gates, or people, have decided; the bridge then makes the
    transition itself, which needs permission to change the model in MLflow.

    \b
    Examples:
      mlflow-bridge requests create fraud-detector 7 Production --comment "beats version 6"
      mlflow-bridge requests list
      mlflow-bridge requests approve tr_3f2a9c --comment "reviewed"
    """


def _identified(function: F) -> F:
    return click.argument("request_id", metavar="ID")(function)


def _commented(function: F) -> F:
    return click.option("--comment", default="", help="Why: it is kept, and told to receivers.")(function)


@command.command(name="list")
@config_option
@output_option
@click.option("--model", help="Only requests about this registered model.")
@click.option(
    "--status",
    type=click.Choice(_STATUSES, case_sensitive=False),
    help="Only requests with this status.  [default: those that are open]",
)
@click.option("--all", "shows_all", is_flag=True, help="Also requests that were decided.")
def list_command(
    config: str | None, output: str, model: str | None, status: str | None, *, shows_all: bool
) -> int:
    """List the transition requests, oldest first.

    Those that are open, unless it is asked for more. Works beside a running daemon.

    \b
    Examples:
      mlflow-bridge requests list
      mlflow-bridge requests list --model fraud-detector --all --output json
    """
    settings = read_settings(config)
    with read_state(settings) as state:
        found = [
            one
            for one in state.requests()
            if model in {None, one.model_name} and _is_wanted(one, status, shows_all=shows_all)
        ]
    if output == "json":
        print_json({"requests": [request_document(one) for one in found]})
    elif not found:
        click.echo("no requests" + ("" if shows_all or status else " are open"))
    else:
        print_table([_row(one) for one in found])
    return ExitCode.DONE


def _is_wanted(request: TransitionRequest, status: str | None, *, shows_all: bool) -> bool:
    return request.status.value == status if status else shows_all or request.status.is_open


@command.command()
@config_option
@output_option
@_identified
def show(config: str | None, output: str, request_id: str) -> int:
    """Show the request ID, with the verdicts of its gates and the decisions on it.

    The beginning of its id is enough, if no other id begins so.

    \b
    Examples:
      mlflow-bridge requests show tr_3f2a9c
      mlflow-bridge requests show tr_3f2a9c --output json
    """
    document = request_document(_named(read_settings(config), request_id))
    if output == "json":
        print_json(document)
        return ExitCode.DONE
    approvals, verdicts = document.pop("approvals"), document.pop("verdicts")
    for key, value in document.items():
        shown = instant(value) if key.endswith("_at") else _told(value)
        click.echo(f"{key:<26} {printable(shown)}")
    for one in approvals:
        why = f": {one['comment']}" if one["comment"] else ""
        click.echo(printable(f"approved by {one['by']} at {instant(one['at'])}{why}"))
    for one in verdicts:
        click.echo(f"gate {one['gate']} ({one['mode']}): {one['verdict']} at {instant(one['at'])}")
        for reason in one["reasons"]:
            click.echo(f"  {printable(reason)}")
        for path, value in one["values"].items():
            click.echo(f"  {printable(path)} = {printable(json.dumps(value))}")
    return ExitCode.DONE


@command.command()
@config_option
@output_option
@click.argument("model")
@click.argument("version")
@click.argument("target", type=TargetParam(), metavar="STAGE|@ALIAS")
@_commented
@click.option("--archive-existing", is_flag=True, help="Archive the versions that are in the stage.")
@click.pass_context
def create(
    ctx: click.Context,
    /,
    config: str | None,
    output: str,
    model: str,
    version: str,
    target: Target,
    **given: Any,
) -> int:
    """Ask for STAGE (or @ALIAS) for VERSION of MODEL.

    Gates decide on it, or people do (requests approve). Without a running daemon, gates are asked now.

    \b
    Examples:
      mlflow-bridge requests create fraud-detector 7 Production --comment "beats version 6"
      mlflow-bridge requests create fraud-detector 7 @champion
    """
    arguments = {
        "name": model,
        "version": version,
        "stage": target.stage,
        "alias": target.alias,
        "comment": given["comment"],
        "archive_existing_versions": given["archive_existing"],
    }
    return _print_changed("requested", _change(ctx, config, "create", arguments), output)


@command.command()
@config_option
@output_option
@_identified
@_commented
@click.option(
    "--archive-existing/--keep-existing", default=None, help="Archive what is in the stage, or not."
)
@click.pass_context
def approve(
    ctx: click.Context,
    config: str | None,
    output: str,
    request_id: str,
    comment: str,
    *,
    archive_existing: bool | None,
) -> int:
    """Approve the request ID.

    The transition is made then, unless a gate has to be asked before. Nobody approves their own
    request, unless governance.self_approval is set.

    \b
    Examples:
      mlflow-bridge requests approve tr_3f2a9c --comment "reviewed"
      mlflow-bridge requests approve tr_3f2a9c --archive-existing
    """
    arguments = {"comment": comment, "archive_existing_versions": archive_existing}
    return _decide(ctx, config, output, "approve", request_id, arguments)


@command.command()
@config_option
@output_option
@_identified
@_commented
@click.pass_context
def reject(ctx: click.Context, config: str | None, output: str, request_id: str, comment: str) -> int:
    """Reject the request ID.

    One rejection ends it. Nobody rejects their own request: it is taken back (requests cancel).

    \b
    Examples:
      mlflow-bridge requests reject tr_3f2a9c --comment "recall is too low"
      mlflow-bridge requests reject tr_3f2a9c --output json
    """
    return _decide(ctx, config, output, "reject", request_id, {"comment": comment})


@command.command()
@config_option
@output_option
@_identified
@_commented
@click.pass_context
def cancel(ctx: click.Context, config: str | None, output: str, request_id: str, comment: str) -> int:
    """Take the request ID back.

    What was approved already cannot be taken back; a request that was taken back can be made again.

    \b
    Examples:
      mlflow-bridge requests cancel tr_3f2a9c
      mlflow-bridge requests cancel tr_3f2a9c --comment "version 8 is better"
    """
    return _decide(ctx, config, output, "cancel", request_id, {"comment": comment})


def _decide(
    ctx: click.Context, config: str | None, output: str, verb: str, request_id: str, more: Mapping[str, Any]
) -> int:
    request = _named(read_settings(config), request_id)
    answer = _change(ctx, config, verb, {"transition_request_id": request.id, **more})
    return _print_changed(_DONE[verb], answer, output)


_DONE = {"approve": "approved", "reject": "rejected", "cancel": "cancelled"}


def _change(
    ctx: click.Context, config: str | None, verb: str, arguments: Mapping[str, Any]
) -> dict[str, Any]:
    from bridge.operations.request_execution import Requester  # noqa: PLC0415 - brings in the loops
    from bridge.operations.requests import change_requests  # noqa: PLC0415 - likewise

    start_logs(ctx, "error")
    given = {name: value for name, value in arguments.items() if value is not None}
    return change_requests(read_settings(config), verb, given, Requester(command_user(), user_name()))


def _print_changed(what: str, answer: Mapping[str, Any], output: str) -> int:
    if output == "json":
        print_json(dict(answer))
    else:
        (told,) = answer.values()
        waits = what == "approved" and told["status"] == RequestStatus.PENDING.value
        click.echo(f"{what}: {told['id']}{' (its gates, or others, still have to)' if waits else ''}")
    return ExitCode.DONE


def _named(settings: Settings, wanted: str) -> TransitionRequest:
    """Return the one request whose id begins like this.

    Raises:
        NotFound: there is none, or more than one.
    """
    with read_state(settings) as state:
        exact = state.request(wanted)
        if exact is not None:
            return exact
        found = [one for one in state.requests() if one.id.startswith(wanted.lower())]
    if len(wanted) >= _LEAST and len(found) == 1:
        return found[0]
    if len(found) > 1:
        raise NotFound(f"{len(found)} requests have ids that begin with {wanted!r}: give more of it")
    raise NotFound(f"there is no request {wanted!r} (mlflow-bridge requests list --all shows them)")


def _row(request: TransitionRequest) -> dict[str, Any]:
    return {
        "REQUEST": request.id[:_SHORT],
        "STATUS": request.status.value,
        "MODEL": request.model_name,
        "VERSION": request.version,
        "FOR": request.target.told,
        "BY": request.creator,
        "CHECKS": ", ".join(f"{one.gate}: {one.finding.value}" for one in request.verdicts) or "-",
        "APPROVED BY": ", ".join(one.by for one in request.approvals) or "-",
        "DECIDED BY": request.decided_by or "-",
        "COMMENT": request.decision_comment or request.system_comment or request.comment,
        "MADE": instant(request.created_at),
    }


def _told(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "-" if value in (None, "") else str(value)
