"""The section of the status page with the last dead letters and their attempts."""

from bridge.events.display_text import changed, count, instant
from bridge.server.page.html_escaping import Html, element
from bridge.server.page.page_elements import MESSAGE, NOTHING, code, foreign, moment, section, table
from bridge.server.page.status_sections import took
from bridge.server.page.view_model import DeadLetter, View
from bridge.store.state_metadata import AttemptRecord


def dead_letters(view: View) -> Html | None:
    """Return the section; None if there are no dead letters."""
    if not view.dead:
        return None
    more = sum(sink["dead"] for sink in view.sinks) - len(view.dead)
    older = (
        element("p", f"{more:,} older: ", code("mlflow-bridge outbox list --status dead"))
        if more > 0
        else None
    )
    listed = element("ol", *(_letter(one, view.now_ms) for one in view.dead), class_="letters")
    return section("dead", "Dead letters", listed, older)


def _letter(dead: DeadLetter, now_ms: int) -> Html:
    entry = dead.entry
    return element(
        "li",
        element("h3", f"{entry.id} to {entry.sink}: ", _of_what(dead)),
        element("p", _what(dead), " · died ", moment(entry.last_attempt_at or entry.created_at, now_ms)),
        element("p", element("strong", entry.reason), " ", foreign(entry.detail, MESSAGE), class_="why"),
        _attempts(dead),
        element("p", code(f"mlflow-bridge outbox redrive {entry.id}")),
    )


def _of_what(dead: DeadLetter) -> Html:
    event = dead.event
    if event is None:
        return Html("an event that is no longer kept")
    version = f" version {event.model_version}" if event.model_version else ""
    return Html(foreign(event.model_name), version)


def _what(dead: DeadLetter) -> Html:
    change = changed(dead.event) if dead.event else ""
    return Html(
        element("span", dead.entry.event_name, class_="event"), " " if change else "", foreign(change)
    )


def _attempts(dead: DeadLetter) -> Html | None:
    if not dead.attempts:
        return None
    number = dead.entry.attempts
    first = number - len(dead.attempts) + 1
    rows = [_attempt(n, one) for n, one in enumerate(dead.attempts, start=first)]
    summary = element("summary", count(number, "attempt"))
    columns = ("Attempt", "Began", "Took", "HTTP", "Reason", "Detail")
    return element("details", summary, table(f"Attempts of entry {dead.entry.id}", columns, rows))


def _attempt(number: int, one: AttemptRecord) -> tuple[str | Html, ...]:
    began = instant(one.at) or ""
    status = NOTHING if one.status is None else str(one.status)
    return (
        str(number),
        began,
        took(one.duration_ms),
        status,
        one.reason,
        foreign(one.detail or NOTHING, MESSAGE),
    )
