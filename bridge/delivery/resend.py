"""Resending dead entries and recorded events, outside the order. Pure.

An old promotion that is sent again deploys old code. So the operator is warned if a newer event of that model
has been delivered since.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bridge.delivery.outbox_entry import Entry
from bridge.delivery.retry_policy import outside_order
from bridge.events.event import Event


@dataclass(frozen=True, slots=True)
class Resend:
    """A recorded event to be sent to a sink again, under the event name that the sink asks for."""

    event_id: str
    sink: str
    event_name: str


def find_overtaken(
    resends: Sequence[Resend], delivered: Iterable[Entry], events: Mapping[str, Event]
) -> list[tuple[Resend, Event]]:
    """Return the resends for which the sink has received a newer event of the same model since.

    Each is returned with the newest such event. An event that is itself among the resends is ignored, because
    it will arrive later.

    Args:
        resends: the events to be sent again.
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
    """Return a new outbox entry for a resend; it has no number yet.

    ``sent_as`` is the id that receivers see, if it should differ from the event's.
    """
    lane = outside_order(event.lane)
    return Entry(0, resend.sink, lane, resend.event_id, resend.event_name, now_ms, sent_as=sent_as)
