"""What is sent again: dead entries, and recorded events. Pure.

It stands outside the order: an old promotion that is sent again deploys old code, so whoever
sends it has to be told where something newer was delivered since.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bridge.delivery.outbox_entry import Entry
from bridge.delivery.retry_policy import outside_order
from bridge.events.event import Event


@dataclass(frozen=True, slots=True)
class Resend:
    """A recorded event to be sent to a sink again, under the name that it asks for."""

    event_id: str
    sink: str
    event_name: str


def overtaken(
    resends: Sequence[Resend], delivered: Iterable[Entry], events: Mapping[str, Event]
) -> list[tuple[Resend, Event]]:
    """Return what was overtaken: by a newer event of the same model that its sink has got since.

    Told is the newest such event. What is sent again as well counts for nothing: it comes after.

    Args:
        resends: what is to be sent again.
        delivered: the entries that were delivered.
        events: the recorded events by their ids, in the order in which they were observed.
    """
    place = {event_id: number for number, event_id in enumerate(events)}
    chosen = {(one.event_id, one.sink) for one in resends}
    newest: dict[tuple[str, str], str] = {}
    for entry in delivered:
        if entry.event_id not in events or (entry.event_id, entry.sink) in chosen:
            continue
        key = (entry.sink, events[entry.event_id].lane)
        if key not in newest or place[entry.event_id] > place[newest[key]]:
            newest[key] = entry.event_id
    found = []
    for one in resends:
        event = events.get(one.event_id)
        later = newest.get((one.sink, event.lane)) if event else None
        if later is not None and place[later] > place[one.event_id]:
            found.append((one, events[later]))
    return found


def entry_of(resend: Resend, event: Event, now_ms: int, sent_as: str = "") -> Entry:
    """Return an entry for what is sent again; it has no number yet.

    ``sent_as`` is the id that receivers get to see, where it is to be another one.
    """
    lane = outside_order(event.lane)
    return Entry(0, resend.sink, lane, resend.event_id, resend.event_name, now_ms, sent_as=sent_as)
