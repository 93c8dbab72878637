"""Events, entries and trials of sinks as JSON documents, for the commands and the API. Pure."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bridge.delivery.attempt_outcome import Outcome
from bridge.delivery.outbox_entry import Entry
from bridge.delivery.secret_masking import mask
from bridge.events.event import Event
from bridge.sinks.base import Request, Response
from bridge.sinks.request_masking import masked_headers, masked_url

if TYPE_CHECKING:
    from bridge.operations.sink_trial import Trial


def entry_document(entry: Entry, event: Event | None) -> dict[str, Any]:
    """Return an entry and its event as a JSON document."""
    facts = entry.facts()
    del facts["lane"]
    told = event.to_document() if event else None
    if told:
        del told["lane"]
    return {**facts, "event": told}


def event_document(event: Event, entries: Sequence[Entry], details: Mapping[str, Any]) -> dict[str, Any]:
    """Return an event, its stored details and its deliveries as a JSON document."""
    kept = {"details": details} if details else {}
    return {**event.to_document(), **kept, "deliveries": [_delivery(entry) for entry in entries]}


def _delivery(entry: Entry) -> dict[str, Any]:
    facts = entry.facts()
    beside = {"id", "event_id", "lane"}
    return {"entry": entry.id, **{key: value for key, value in facts.items() if key not in beside}}


def trial_document(trial: "Trial", *, sends: bool) -> dict[str, Any]:
    """Return a trial as a JSON document; ``answer`` is None if no answer came."""
    outcome = trial.outcome
    return {
        "sent": sends and (bool(trial.exchanges) or not trial.is_http),
        "exchanges": [
            {"request": request_document(one.request), "answer": answer_document(one.answer)}
            for one in trial.exchanges
        ],
        "outcome": outcome.verdict.value if sends else None,
        "reason": outcome.reason.value if sends else None,
        "detail": outcome.detail or None,
    }


def request_document(request: Request) -> dict[str, Any]:
    """Return a request as a JSON document, with secrets masked."""
    return {
        "method": request.method,
        "url": masked_url(request.url, request.secrets),
        "headers": masked_headers(request.headers, request.secrets),
        "body": mask(request.body.decode("utf-8", "replace"), request.secrets),
    }


def answer_document(answer: Response | Outcome) -> dict[str, Any] | None:
    """Return an answer as a JSON document; None if there is none."""
    return None if isinstance(answer, Outcome) else {"status": answer.status, "excerpt": answer.excerpt}
