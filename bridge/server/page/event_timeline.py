"""The section of the status page with the last events by model, and their deliveries."""

from collections.abc import Mapping, Sequence
from urllib.parse import quote

from bridge.delivery.outbox_entry import Entry, Status
from bridge.events.display_text import changed, count
from bridge.events.event import Event
from bridge.server.page.html_escaping import Html, element
from bridge.server.page.page_elements import NOTHING, badge, foreign, link, moment, section
from bridge.server.page.view_model import View

_HEADING = "What changed lately"
_COLUMNS = ("Observed", "Event", "Version", "Change", "Deliveries")
Deliveries = Mapping[str, Mapping[str, Entry]]
"""The newest entry for each event id and sink."""


def timeline(view: View) -> Html:
    """Return the section; the model with the newest event comes first."""
    if not view.events:
        none = (
            "Nothing has changed since the baseline was taken." if view.poll else "Nothing was observed yet."
        )
        return section("timeline", _HEADING, element("p", none))
    found, known_from = _deliveries(view)
    groups = (_group(events, found, known_from, view.now_ms) for events in _by_lane(view.events))
    told = element("table", element("caption", _HEADING), _head(), *groups, role="table")
    return section("timeline", _HEADING, element("p", _reach(view), class_="beside"), told)


def _reach(view: View) -> str:
    events = count(len(view.events), "event")
    return f"The last {events}; mlflow-bridge events list has all of them" if view.is_full else events


def _by_lane(events: Sequence[Event]) -> list[list[Event]]:
    groups: dict[str, list[Event]] = {}
    for event in events:
        groups.setdefault(event.lane, []).append(event)
    return list(groups.values())


def _deliveries(view: View) -> tuple[Deliveries, int]:
    """Return the entries by event and sink, and the time since which they are complete (0: all are known)."""
    found: dict[str, dict[str, Entry]] = {}
    oldest = 0
    for entry in view.entries:
        found.setdefault(entry.event_id, {}).setdefault(entry.sink, entry)
        oldest = entry.created_at
    return found, 0 if view.has_all_entries else oldest


def _head() -> Html:
    heads = (element("th", name, scope="col", role="columnheader") for name in _COLUMNS)
    return element("thead", element("tr", *heads, role="row"), role="rowgroup")


def _group(events: Sequence[Event], found: Deliveries, known_from: int, now_ms: int) -> Html:
    name = element(
        "th", _link_to(events[0].model_name), colspan=len(_COLUMNS), scope="rowgroup", role="rowheader"
    )
    rows = (_row(one, found.get(one.id, {}), known_from, now_ms) for one in events)
    return element("tbody", element("tr", name, class_="model", role="row"), *rows, role="rowgroup")


def _link_to(model: str) -> Html:
    return element("a", foreign(model), href=f"./models?name={quote(model, safe='', errors='replace')}")


def _row(event: Event, deliveries: Mapping[str, Entry], known_from: int, now_ms: int) -> Html:
    cells: tuple[Html, ...] = (
        moment(event.observed_at, now_ms),
        element("span", event.type.value, class_="event"),
        foreign(event.model_version or NOTHING),
        Html(foreign(changed(event) or NOTHING), *(badge("warn", flag) for flag in event.flags)),
        _delivered(deliveries, is_known=event.observed_at > known_from),
    )
    named = zip(_COLUMNS, cells, strict=True)
    return element(
        "tr",
        *(element("td", element("div", cell), data_label=name, role="cell") for name, cell in named),
        role="row",
    )


def _delivered(deliveries: Mapping[str, Entry], *, is_known: bool) -> Html:
    if not deliveries:
        return element(
            "span", "no sink asked for it" if is_known else "longer ago than shown here", class_="beside"
        )
    chips = (_delivery(deliveries[sink]) for sink in sorted(deliveries))
    return element("span", *chips, class_="chips")


def _delivery(entry: Entry) -> Html:
    if entry.status is Status.DELIVERED:
        return badge("good", link(f"{entry.sink} delivered", entry.link))
    if entry.status is Status.DEAD:
        return badge("bad", f"{entry.sink} dead: {entry.reason}")
    why = f": {entry.reason}" if entry.attempts else ""
    return badge("warn" if entry.attempts else "calm", f"{entry.sink} pending{why}")
