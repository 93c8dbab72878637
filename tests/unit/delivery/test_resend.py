"""What is sent again, and what it would undo."""

from dataclasses import replace

from support.values import entry, transition

from bridge.delivery.outbox_entry import Status
from bridge.delivery.resend import Resend, entry_of, find_overtaken
from bridge.delivery.retry_policy import outside_order

EVENTS = {one.id: one for one in (transition(1, "m"), transition(2, "m"), transition(3, "other"))}


def delivered(number: int, sink: str = "ci"):
    return entry(number, sink, status=Status.DELIVERED)


def test_what_a_newer_event_of_its_model_overtook_is_told_with_that_event() -> None:
    old = Resend("event-1", "ci", "X")

    assert find_overtaken([old], [delivered(1), delivered(2), delivered(3)], EVENTS) == [
        (old, EVENTS["event-2"])
    ]


def test_what_is_newest_or_went_to_another_sink_or_of_another_model_overtakes_nothing() -> None:
    assert find_overtaken([Resend("event-2", "ci", "X")], [delivered(1)], EVENTS) == []
    assert find_overtaken([Resend("event-1", "ci", "X")], [delivered(2, "other")], EVENTS) == []
    assert find_overtaken([Resend("event-1", "ci", "X")], [delivered(3)], EVENTS) == []


def test_what_is_sent_again_as_well_comes_after_and_overtakes_nothing() -> None:
    both = [Resend("event-1", "ci", "X"), Resend("event-2", "ci", "X")]

    assert find_overtaken(both, [delivered(1), delivered(2)], EVENTS) == []


def test_events_that_were_forgotten_are_passed_over() -> None:
    forgotten = replace(delivered(9), event_id="forgotten")

    assert (
        find_overtaken([Resend("event-1", "ci", "X"), Resend("gone", "ci", "X")], [forgotten], EVENTS) == []
    )


def test_an_entry_for_what_is_sent_again_stands_beside_its_lane() -> None:
    made = entry_of(Resend("event-1", "ci", "X"), EVENTS["event-1"], 5, "new-id")

    assert (made.lane, made.event_name, made.created_at, made.sent_as) == (
        outside_order("m"),
        "X",
        5,
        "new-id",
    )
