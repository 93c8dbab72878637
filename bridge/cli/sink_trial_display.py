"""Format the result of a sink test: the requests, with secrets masked, and the answers."""

from typing import TYPE_CHECKING

import click

from bridge.delivery.attempt_outcome import Verdict
from bridge.events.display_text import printable
from bridge.operations.json_serialization import answer_document, request_document

if TYPE_CHECKING:
    from bridge.operations.sink_trial import Trial


def print_trial(trial: "Trial", *, sends: bool) -> None:
    """Print a trial as text, with the requests in the form of HTTP messages."""
    for one in trial.exchanges:
        request, answer = request_document(one.request), answer_document(one.answer)
        click.echo(f"{request['method']} {printable(request['url'])}")
        for name, value in request["headers"].items():
            click.echo(f"{printable(name)}: {printable(value)}")
        click.echo(f"\n{printable(request['body'])}\n")
        if answer is not None:
            click.echo(f"HTTP {answer['status']}")
            if answer["excerpt"]:
                click.echo(printable(answer["excerpt"]))
            click.echo()
    click.echo(_conclusion(trial, sends=sends))


def _conclusion(trial: "Trial", *, sends: bool) -> str:
    outcome = trial.outcome
    why = f"{outcome.reason.value}: {printable(outcome.detail)}"
    if not trial.exchanges and trial.is_http:
        return f"no request could be made: {why}"
    if not sends:
        return "dry run: nothing was sent"
    if outcome.verdict is Verdict.DELIVERED:
        return "delivered"
    fate = "would be tried again" if outcome.verdict is Verdict.RETRYABLE else "would be dead at once"
    return f"not delivered, a real event {fate}: {why}"
