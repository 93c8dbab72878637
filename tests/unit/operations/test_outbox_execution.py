"""What operators change in the outbox, with a relay at work on it and without one."""

import asyncio

import pytest
from support.clock import HandClock
from support.done import done
from support.relayed import FOREVER, ScriptedSink, fill, relay_of
from support.until import eventually

from bridge.delivery.attempt_outcome import Reason, delivered, rejected, retryable
from bridge.delivery.outbox_entry import Status
from bridge.delivery.resend import Resend
from bridge.delivery.retry_policy import RetryPolicy, outside_order
from bridge.delivery.sink_state import RUNNING, Standing
from bridge.errors import StateUnwritable
from bridge.operations.outbox_execution import OPERATIONS, Operations
from bridge.pipeline.clocks import SystemClock
from bridge.store.document_state import DocumentState

NO = rejected(Reason.REFUSED, "HTTP 400", 400)
DOWN = retryable(Reason.CONNECT, "down")

pytestmark = pytest.mark.usefixtures("full_jitter_at_its_longest")


async def dead(state: DocumentState, *lanes: str) -> None:
    fill(state, *lanes)
    await relay_of(state, ci=ScriptedSink(NO)).drain_due(FOREVER)
    assert state.pending() == []


async def test_dead_entries_are_sent_again_in_their_order_with_their_ids(state) -> None:
    await dead(state, "a", "a", "b")
    sink = ScriptedSink()
    relay = relay_of(state, ci=sink)

    assert (await Operations(state, SystemClock(), relay).redrive([2, 1, 99])) == [1, 2]
    await relay.drain_due(FOREVER)

    assert sink.seen == ["event-1", "event-2"]
    assert {one.id: (one.status, one.attempts) for one in state.entries()} == {
        1: (Status.DELIVERED, 2),
        2: (Status.DELIVERED, 2),
        3: (Status.DEAD, 1),
    }
    first = state.attempts(state.entry(1))
    assert [(one.reason, one.status) for one in first] == [("refused", 400), ("ok", 204)]


async def test_without_a_relay_they_wait_for_the_next_run(state) -> None:
    await dead(state, "a")
    assert (await Operations(state, SystemClock()).redrive([1])) == [1]
    sink = ScriptedSink()

    await relay_of(state, ci=sink).drain_due(FOREVER)

    assert sink.seen == ["event-1"]


async def test_what_is_not_dead_is_not_redriven(state) -> None:
    fill(state, "a")

    assert (await Operations(state, SystemClock()).redrive([1])) == []
    assert list(state.notes()) == []


async def test_a_redriven_entry_neither_waits_for_its_lane_nor_holds_it_up(state) -> None:
    await dead(state, "a")
    fill(state, "a")
    blocked = ScriptedSink(retryable(Reason.CONNECT, "down"), delivered(200))
    relay = relay_of(state, HandClock(), policy=RetryPolicy(first_ms=10**9, cap_ms=10**9), ci=blocked)
    await relay.drain_due(FOREVER)

    await Operations(state, SystemClock(), relay).redrive([1])
    await relay.drain_due(FOREVER)

    assert blocked.seen == ["event-2", "event-1"]
    assert [one.id for one in state.pending()] == [2]


async def test_dropped_entries_are_gone_from_state_lanes_and_counts_and_are_noted(state) -> None:
    fill(state, "a", "a", "b")
    assert state.summaries()["ci"].pending == 3
    relay = relay_of(state, ci=ScriptedSink())

    assert (await Operations(state, SystemClock(), relay).drop([1, 3])) == [1, 3]
    await relay.drain_due(FOREVER)

    assert [(one.id, one.status) for one in state.entries()] == [(2, Status.DELIVERED)]
    assert (state.summaries()["ci"].pending, state.summaries()["ci"].delivered) == (0, 1)
    assert [(note.kind, note.detail) for note in state.notes()] == [("dropped", "2 entries of ci")]


async def test_what_is_delivered_or_under_way_is_not_dropped(state) -> None:
    fill(state, "a", "b")
    sink = ScriptedSink(delivered(204), 0.3)
    relay = relay_of(state, concurrency=1, ci=sink)
    stop = asyncio.Event()
    running = asyncio.create_task(relay.run(stop))
    await eventually(lambda: len(sink.seen) == 2)

    assert (await Operations(state, SystemClock(), relay).drop([1, 2])) == []
    await eventually(lambda: not state.pending())
    stop.set()
    await running


async def test_what_stands_otherwise_by_now_is_not_dropped(state) -> None:
    await dead(state, "a")
    operations = Operations(state, SystemClock())
    await operations.redrive([1])

    asked = {"entries": [1], "statuses": ["dead"]}
    assert (await OPERATIONS["drop"](operations, asked)) == {"entries": []}
    assert [entry.id for entry in state.pending()] == [1]


async def test_a_redriven_entry_shares_no_lane_with_a_model_of_whatever_name(state) -> None:
    await dead(state, "m")
    await Operations(state, SystemClock()).redrive([1])

    assert not state.entry(1).lane.isprintable()
    assert outside_order("m#again") not in {"m#again", outside_order("m")}


async def test_recorded_events_are_replayed_with_their_ids_or_with_new_ones(state) -> None:
    await dead(state, "a")

    class Ids(ScriptedSink):
        async def deliver(self, delivery):
            self.seen.append(delivery.event.id)
            return delivered(200)

    sink = Ids()
    relay = relay_of(state, ci=sink)
    operations = Operations(state, SystemClock(), relay)
    resend = Resend("event-1", "ci", "MODEL_VERSION_TRANSITIONED_STAGE")

    assert (await operations.replay([resend, Resend("gone", "ci", "X")], new_ids=False)) == [2]
    assert (await operations.replay([resend], new_ids=True)) == [3]
    await relay.drain_due(FOREVER)

    assert sink.seen[0] == "event-1"
    assert sink.seen[1] == state.entry(3).sent_as != "event-1"
    assert state.head.sequence == 3
    assert [note.kind for note in state.notes()] == ["replayed", "replayed"]


async def test_a_new_id_stays_the_same_over_attempts_and_restarts(state) -> None:
    await dead(state, "a")
    sink = ScriptedSink(DOWN, DOWN, delivered(200))
    await Operations(state, SystemClock()).replay([Resend("event-1", "ci", "X")], new_ids=True)
    while state.pending():
        await relay_of(state, ci=sink).drain_due(FOREVER)

    assert (len(sink.seen), len(set(sink.seen))) == (3, 1)


async def test_a_paused_sink_takes_nothing_until_it_is_resumed_and_nothing_grows_older(state) -> None:
    fill(state, "a", "b")
    clock, policy = HandClock(), RetryPolicy(first_ms=1_000, cap_ms=1_000, max_age_ms=3_600_000)
    sink = ScriptedSink(DOWN)
    await relay_of(state, clock, policy=policy, ci=sink).drain_due(FOREVER)
    clock.sleep(1_800)
    await Operations(state, clock).pause("ci")
    seen = len(sink.seen)
    for _ in range(5):
        clock.sleep(86_400)
        await relay_of(state, clock, policy=policy, ci=sink).drain_due(FOREVER)
    assert len(sink.seen) == seen

    relay = relay_of(state, clock, policy=policy, ci=sink)
    before = await Operations(state, clock, relay).resume("ci")
    assert before.standing is Standing.PAUSED
    await relay.drain_due(FOREVER)
    assert (len(sink.seen) > seen, len(state.pending())) == (True, 2)

    clock.sleep(1_900)
    await relay.drain_due(FOREVER)
    assert {one.reason for one in state.entries()} == {"expired"}
    assert [note.kind for note in state.notes()] == ["paused", "resumed"]


async def test_pausing_twice_and_resuming_what_runs_change_nothing(state) -> None:
    fill(state, "a")
    operations = Operations(state, SystemClock())
    first = await operations.pause("ci")

    assert (await operations.pause("ci")) == first
    await operations.resume("ci")
    assert (await operations.resume("ci")).is_running
    assert [note.kind for note in state.notes()] == ["paused", "resumed"]


async def test_resuming_a_sink_whose_circuit_is_open_tries_all_of_it_at_once(state) -> None:
    fill(state, *"abcdefgh")
    clock = HandClock()
    sink = ScriptedSink(*[DOWN] * 8, delivered(200))
    policy = RetryPolicy(first_ms=3_600_000, cap_ms=3_600_000)
    relay = relay_of(state, clock, 8, policy, ci=sink)
    await relay.drain_due(FOREVER)
    assert len(state.pending()) == 8

    await Operations(state, clock, relay).resume("ci")
    await relay.drain_due(FOREVER)

    assert state.pending() == []


async def test_what_could_not_be_made_durable_has_not_happened(state, monkeypatch) -> None:
    await dead(state, "a")
    relay = relay_of(state, ci=ScriptedSink())
    operations = Operations(state, SystemClock(), relay)

    def full(_writes) -> None:
        raise StateUnwritable("full")

    with monkeypatch.context() as patch:
        patch.setattr(state._documents, "commit", full)
        for change in (
            lambda: done(operations.redrive([1])),
            lambda: done(operations.drop([1])),
            lambda: done(operations.pause("ci")),
            lambda: done(operations.replay([Resend("event-1", "ci", "X")], new_ids=False)),
        ):
            with pytest.raises(StateUnwritable):
                change()
    await relay.drain_due(FOREVER)

    assert [(one.id, one.status) for one in state.entries()] == [(1, Status.DEAD)]
    assert state.conditions() == {}


async def test_what_the_daemon_is_asked_for_is_plain_json(state) -> None:
    await dead(state, "a")
    operations = Operations(state, SystemClock())
    resend = {"event_id": "event-1", "sink": "ci", "event_name": "X"}

    assert (await OPERATIONS["redrive"](operations, {"entries": [1]})) == {"entries": [1]}
    assert (await OPERATIONS["drop"](operations, {"entries": [1]})) == {"entries": [1]}
    assert (await OPERATIONS["replay"](operations, {"resends": [resend], "new_ids": True})) == {
        "entries": [2]
    }
    assert (await OPERATIONS["pause"](operations, {"sink": "ci"}))["condition"]["standing"] == "paused"
    assert (await OPERATIONS["resume"](operations, {"sink": "ci"}))["condition"]["standing"] == "paused"


async def test_resuming_a_sink_that_runs_has_its_waiting_entries_sent_at_once(state) -> None:
    """One model's delivery failed, another's succeeded: the sink runs, and yet an entry waits."""
    fill(state, "a", "b")
    clock = HandClock()
    sink = ScriptedSink(DOWN, delivered(200))
    relay = relay_of(state, clock, 1, RetryPolicy(first_ms=3_600_000, cap_ms=3_600_000), ci=sink)
    await relay.drain_due(FOREVER)
    assert (len(state.pending()), state.conditions().get("ci", RUNNING).is_running) == (1, True)

    await Operations(state, clock, relay).resume("ci")
    await relay.drain_due(FOREVER)

    assert state.pending() == []
    assert [note.kind for note in state.notes()] == ["resumed"]
