"""Format the result of a sink test: the requests, with secrets masked, and the answers."""

from typing import TYPE_CHECKING, Any

import click

from bridge.delivery.attempt_outcome import Outcome, Verdict
from bridge.delivery.secret_masking import mask
from bridge.events.display_text import printable
from bridge.sinks.base import Request, Response
from bridge.sinks.request_masking import masked_headers, masked_url

if TYPE_CHECKING:
    from bridge.operations.sink_trial import Trial


def trial_document(trial: "Trial", *, sends: bool) -> dict[str, Any]:
    """Return a trial as a JSON document; ``answer`` is None if no answer came."""
    outcome = trial.outcome
    return {
        "sent": sends and (bool(trial.exchanges) or not trial.is_http),
        "exchanges": [
            {"request": _request(one.request), "answer": _answer(one.answer)} for one in trial.exchanges
        ],
        "outcome": outcome.verdict.value if sends else None,
        "reason": outcome.reason.value if sends else None,
        "detail": outcome.detail or None,
    }


def _request(request: Request) -> dict[str, Any]:
    return {
        "method": request.method,
        "url": masked_url(request.url, request.secrets),
        "headers": masked_headers(request.headers, request.secrets),
        "body": mask(request.body.decode("utf-8", "replace"), request.secrets),
    }


def _answer(answer: Response | Outcome) -> dict[str, Any] | None:
    return None if isinstance(answer, Outcome) else {"status": answer.status, "excerpt": answer.excerpt}


def print_trial(trial: "Trial", *, sends: bool) -> None:
    """Print a trial as text, with the requests in the form of HTTP messages."""
    for one in trial.exchanges:
        request, answer = _request(one.request), _answer(one.answer)
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
