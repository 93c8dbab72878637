"""The ``webhooks`` commands: list, show, create, change, test and delete webhooks, and rekey their secrets."""

import sys
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from bridge.cli.command_help import new_group
from bridge.cli.common_options import (
    complain,
    config_option,
    confirm,
    output_option,
    print_json,
    read_settings,
    start_logs,
)
from bridge.cli.exit_codes import ExitCode
from bridge.cli.option_types import EventNameParam
from bridge.cli.sink_trial_display import print_trial
from bridge.cli.text_tables import print_table
from bridge.config import Settings
from bridge.delivery.attempt_outcome import Verdict
from bridge.delivery.webhook import Webhook, WebhookStatus
from bridge.errors import BridgeError, InvalidState, NotFound
from bridge.events.display_text import count, instant, printable
from bridge.events.event_names import DEFAULT_EVENTS
from bridge.operations.command_user import command_user
from bridge.operations.json_serialization import trial_document
from bridge.operations.webhook_redaction import redacted_webhook
from bridge.sinks.http.webhook_sink import routable_events, sink_of_webhook
from bridge.store.state_opening import read_state

if TYPE_CHECKING:
    from bridge.operations.sink_trial import Trial

F = TypeVar("F", bound=Callable[..., Any])

_SHORT = 12
"""How many digits of an id are shown in a table, and are enough to name a webhook."""

_LEAST_DIGITS = 4
_STATUSES = tuple(status.value for status in WebhookStatus)
_MEND = 'add the section to the configuration: [webhooks] encryption_key = { env = "BRIDGE_KEY" }'


@new_group("webhooks")
def command() -> None:
    """Create, change, test and delete webhooks.

    A webhook is a sink that is created at run time, by this command or through the API of
    registry webhooks. It is in the state, not in the configuration, which has to have a
    [webhooks] section. It is paused, resumed and redriven like any other sink.

    \b
    Examples:
      mlflow-bridge webhooks create https://ci.example.com/hooks/mlflow --model fraud-detector
      mlflow-bridge webhooks list
      mlflow-bridge webhooks test 3f2a9c
    """


def _identified(function: F) -> F:
    return click.argument("webhook_id", metavar="ID")(function)


def _described(function: F) -> F:
    """Add the options for what a webhook is and has."""
    for option in (
        click.option(
            "--event",
            "events",
            multiple=True,
            metavar="TYPE",
            help=f"Send events of this type; may be repeated.  [default: {DEFAULT_EVENTS[0]}]",
        ),
        click.option("--description", help="A description, for people."),
        click.option(
            "--status",
            type=click.Choice(_STATUSES, case_sensitive=False),
            help="Whether it gets events.  [default: ACTIVE]",
        ),
        click.option("--secret-env", metavar="NAME", help="Sign with the secret in this variable."),
        click.option("--secret-file", metavar="FILE", help="Sign with the secret in this file; - is stdin."),
        click.option("--authorization-env", metavar="NAME", help="Send this variable as Authorization."),
        click.option("--authorization-file", metavar="FILE", help="Send this file's text as Authorization."),
    ):
        function = option(function)
    return function


@command.command(name="list")
@config_option
@output_option
def list_command(config: str | None, output: str) -> int:
    """List the webhooks, oldest first.

    Of a URL, only the origin is shown: paths may hold secrets. Works beside a running daemon.

    \b
    Examples:
      mlflow-bridge webhooks list
      mlflow-bridge webhooks list --output json
    """
    settings = read_settings(config)
    webhooks = _webhooks(settings)
    if output == "json":
        print_json({"webhooks": [redacted_webhook(one, settings.webhooks) for one in webhooks]})
    elif not webhooks:
        click.echo("no webhooks" + ("" if settings.webhooks else f", and they are switched off: {_MEND}"))
    else:
        if settings.webhooks is None:
            complain(f"webhooks are switched off, and get no events: {_MEND}")
        print_table([_row(one, settings) for one in webhooks])
    return ExitCode.DONE


@command.command()
@config_option
@output_option
@_identified
def show(config: str | None, output: str, webhook_id: str) -> int:
    """Show the webhook ID.

    The beginning of its id is enough, if no other id begins so. Secrets are never shown.

    \b
    Examples:
      mlflow-bridge webhooks show 3f2a9c
      mlflow-bridge webhooks show 3f2a9c --output json
    """
    settings = read_settings(config)
    document = redacted_webhook(_named(settings, webhook_id), settings.webhooks)
    if output == "json":
        print_json(document)
    else:
        times = ("created_at", "updated_at")
        shown = {key: instant(value) if key in times else _told(value) for key, value in document.items()}
        for key, value in shown.items():
            click.echo(f"{key:<17} {printable(value)}")
    return ExitCode.DONE


@command.command()
@config_option
@output_option
@click.argument("url")
@click.option("--model", help="Only events of this registered model.  [default: all models]")
@_described
@click.pass_context
def create(
    ctx: click.Context, /, config: str | None, output: str, url: str, model: str | None, **given: Any
) -> int:
    """Create a webhook that sends to URL; a running daemon uses it at once.

    Its secret is stored encrypted, with webhooks.encryption_key of the configuration. Without
    a webhooks.allowed_hosts, it may point to public addresses alone.

    \b
    Examples:
      mlflow-bridge webhooks create https://ci.example.com/hooks/mlflow
      mlflow-bridge webhooks create https://ci.example.com/hooks/mlflow --model fraud-detector \\
        --event MODEL_VERSION_TRANSITIONED_TO_PRODUCTION --secret-env CI_WEBHOOK_SECRET
    """
    start_logs(ctx, "error")
    settings = read_settings(config)
    arguments = {
        "events": list(given["events"] or DEFAULT_EVENTS),
        "model_name": model,
        "http_url_spec": {"url": url, **_secrets(given)},
        **_plain(given),
    }
    return _print_changed("created", _change(settings, "create", arguments), output)


@command.command()
@config_option
@output_option
@_identified
@click.option("--url", help="Send to this URL from now on.")
@_described
@click.option("--no-secret", is_flag=True, help="Sign no more.")
@click.option("--no-authorization", is_flag=True, help="Send no Authorization any more.")
@click.pass_context
def update(
    ctx: click.Context, /, config: str | None, output: str, webhook_id: str, url: str | None, **given: Any
) -> int:
    """Change the webhook ID: what is given replaces what it had; a running daemon uses it at once.

    A secret belongs to its URL: with a new URL, give the secret again, or --no-secret.

    \b
    Examples:
      mlflow-bridge webhooks update 3f2a9c --status DISABLED
      mlflow-bridge webhooks update 3f2a9c --url https://ci2.example.com/x --secret-env CI_WEBHOOK_SECRET
    """
    start_logs(ctx, "error")
    settings = read_settings(config)
    before = _named(settings, webhook_id)
    arguments: dict[str, Any] = {"id": before.id, **_plain(given)}
    if given["events"]:
        arguments["events"] = list(given["events"])
    spec = _changed_target(before, url, given)
    if spec:
        arguments["http_url_spec"] = spec
    if len(arguments) == 1:
        msg = "what? Give --url, --event, --description, --status or a secret"
        raise click.UsageError(msg)
    return _print_changed("updated", _change(settings, "update", arguments), output)


def _changed_target(before: Webhook, url: str | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the new ``http_url_spec``; empty if it stays.

    Raises:
        click.UsageError: a secret would be lost that nobody said to remove.
    """
    secrets = _secrets(given)
    is_changed = url or secrets or given["no_secret"] or given["no_authorization"]
    if not is_changed:
        return {}
    for name in ("secret", "authorization"):
        if getattr(before, name) and name not in secrets and not given[f"no_{name}"]:
            msg = (
                f"the webhook has a stored {name}, which is replaced together with its URL: "
                f"give --{name}-env or --{name}-file, or --no-{name}"
            )
            raise click.UsageError(msg)
    is_plain = (url or before.url).startswith("http:")
    return {
        "url": url or before.url,
        "enable_ssl_verification": before.verifies_tls or not is_plain,
        **secrets,
    }


@command.command()
@config_option
@output_option
@_identified
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_context
def delete(ctx: click.Context, config: str | None, output: str, webhook_id: str, *, yes: bool) -> int:
    """Delete the webhook ID. What waits for it is dead, and stays visible (outbox list).

    Nothing more is sent to it when the command returns.

    \b
    Examples:
      mlflow-bridge webhooks delete 3f2a9c
      mlflow-bridge webhooks delete 3f2a9c --yes
    """
    start_logs(ctx, "error")
    settings = read_settings(config)
    webhook = _named(settings, webhook_id)
    to = redacted_webhook(webhook, settings.webhooks)["to"]
    confirm(f"Delete the webhook {webhook.id} to {to}?", yes=yes)
    _change(settings, "delete", {"id": webhook.id})
    if output == "json":
        print_json({"deleted": webhook.id})
    else:
        click.echo(f"deleted: {webhook.id}")
    return ExitCode.DONE


@command.command()
@config_option
@output_option
@_identified
@click.option(
    "--event",
    type=EventNameParam(),
    metavar="TYPE",
    help="Send an event of this type.  [default: the first that the webhook asks for]",
)
@click.option("--dry-run", is_flag=True, help="Show the request; send nothing.")
@click.pass_context
def test(
    ctx: click.Context, config: str | None, output: str, webhook_id: str, event: str | None, *, dry_run: bool
) -> int:
    """Send a synthetic event to the webhook ID, and show the request and the answer.

    It is as with sinks test: the event is built, signed and sent like a real one, once, also if
    the webhook is DISABLED or in TEST_MODE. Exits 0 if it was delivered, else 1.

    \b
    Examples:
      mlflow-bridge webhooks test 3f2a9c
      mlflow-bridge webhooks test 3f2a9c --dry-run
    """
    import asyncio  # noqa: PLC0415 - a slow import that `webhooks list` does not need

    from bridge.operations.sink_trial import try_out  # noqa: PLC0415 - likewise

    start_logs(ctx)
    settings = read_settings(config)
    webhook = _named(settings, webhook_id)
    events = routable_events((event,) if event else webhook.events)
    if not events:
        raise BridgeError(
            f"{', '.join(webhook.events)}: nothing in this registry gives rise to it: name another --event"
        )
    sink = sink_of_webhook(webhook, _section(settings))
    trial: Trial = asyncio.run(try_out(sink, settings, events[0], sends=not dry_run))
    if output == "json":
        print_json(trial_document(trial, sends=not dry_run))
    else:
        print_trial(trial, sends=not dry_run)
    return ExitCode.DONE if trial.outcome.verdict is Verdict.DELIVERED else ExitCode.FAILED


@command.command()
@config_option
@click.pass_context
def rekey(ctx: click.Context, config: str | None) -> int:
    """Encrypt the stored secrets of all webhooks anew, with the first webhooks.encryption_key.

    To replace a key: put the new one before it in the list, reload, rekey, and remove the old one.

    \b
    Examples:
      mlflow-bridge webhooks rekey
      mlflow-bridge webhooks rekey -c /etc/mlflow-bridge/config.toml
    """
    start_logs(ctx, "error")
    done = _change(read_settings(config), "rekey", {})["webhooks"]
    click.echo(f"rekeyed: {count(done, 'webhook')}")
    return ExitCode.DONE


def _change(settings: Settings, verb: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    from bridge.operations.webhooks import change_webhooks  # noqa: PLC0415 - brings in the loops

    given = {name: value for name, value in arguments.items() if value is not None}
    return change_webhooks(settings, verb, given, command_user())


def _print_changed(what: str, answer: Mapping[str, Any], output: str) -> int:
    for warning in answer.get("warnings", ()):
        complain(warning)
    if output == "json":
        print_json({"webhook": answer["webhook"], "warnings": answer.get("warnings", [])})
    else:
        click.echo(f"{what}: {answer['webhook']['id']}")
    return ExitCode.DONE


def _plain(given: Mapping[str, Any]) -> dict[str, Any]:
    status = given["status"]
    return {
        name: value
        for name, value in {
            "description": given["description"],
            "status": status.upper() if status else None,
        }.items()
        if value is not None
    }


def _secrets(given: Mapping[str, Any]) -> dict[str, str]:
    """Return the secrets that the options name.

    Raises:
        click.UsageError: one is named twice, or cannot be read.
    """
    found = {}
    for name in ("secret", "authorization"):
        variable, file = given[f"{name}_env"], given[f"{name}_file"]
        if variable and file:
            msg = f"give --{name}-env or --{name}-file, not both"
            raise click.UsageError(msg)
        if variable or file:
            found[name] = _value_of(name, variable, file)
    return found


def _value_of(name: str, variable: str | None, file: str | None) -> str:
    from bridge.config import Secret  # noqa: PLC0415 - few commands bring secrets

    if variable:
        return Secret(env=variable).read()
    if file == "-":
        value = sys.stdin.read().rstrip("\r\n")
        if not value:
            msg = f"--{name}-file: nothing came from stdin"
            raise click.UsageError(msg)
        return value
    return Secret(file=str(Path(str(file)).absolute())).read()


def _webhooks(settings: Settings) -> list[Webhook]:
    with read_state(settings) as state:
        return state.webhooks()


def _named(settings: Settings, wanted: str) -> Webhook:
    """Return the one webhook whose id begins like this.

    Raises:
        NotFound: there is none, or more than one.
    """
    webhooks = _webhooks(settings)
    found = [one for one in webhooks if one.id == wanted]
    if not found and len(wanted) >= _LEAST_DIGITS:
        found = [one for one in webhooks if one.id.startswith(wanted.lower())]
    if len(found) == 1:
        return found[0]
    if found:
        raise NotFound(f"{len(found)} webhooks have ids that begin with {wanted!r}: give more of it")
    close = get_close_matches(wanted, [one.id for one in webhooks], n=1)
    hint = f"did you mean {close[0]!r}?" if close else "mlflow-bridge webhooks list shows them"
    raise NotFound(f"there is no webhook {wanted!r} ({hint})")


def _section(settings: Settings) -> Any:
    if settings.webhooks is None:
        raise InvalidState(f"webhooks are switched off: {_MEND}")
    return settings.webhooks


def _row(webhook: Webhook, settings: Settings) -> dict[str, Any]:
    document = redacted_webhook(webhook, settings.webhooks)
    return {
        "WEBHOOK": webhook.id[:_SHORT],
        "STATUS": document["status"],
        "TO": document["to"],
        "EVENTS": ", ".join(document["events"]),
        "MODEL": document["model_name"] or "all",
        "SIGNED": "yes" if document["is_signed"] else "no",
        "DESCRIPTION": document["description"],
        "CREATED": instant(webhook.created_at),
    }


def _told(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(value) if isinstance(value, list) else str(value or "-")
