"""The relay: one by one in a lane, side by side beside, nothing lost."""

import asyncio

import pytest
from support.clock import HandClock
from support.relayed import FOREVER, ScriptedSink, fill, relay_of, run_until
from support.until import eventually

from bridge.delivery.attempt_outcome import Reason, delivered, rejected, retryable
from bridge.delivery.outbox_entry import Status
from bridge.delivery.retry_policy import RetryPolicy
from bridge.errors import StateUnwritable
from bridge.pipeline.clocks import SystemClock, Trust


async def test_a_lane_is_delivered_in_order_and_lanes_side_by_side(state) -> None:
    fill(state, "a", "a", "b", "a", "b")
    sink = ScriptedSink(0.01)

    relay = relay_of(state, ci=sink)
    await relay.drain_due(FOREVER)

    order = {lane: [e for e in sink.seen if state.event(e).lane == lane] for lane in "ab"}
    assert order == {"a": ["event-1", "event-2", "event-4"], "b": ["event-3", "event-5"]}
    assert (sink.most, relay.waiting, relay.delivered) == (2, 0, 5)


async def test_a_failing_head_holds_its_lane_and_no_other(state) -> None:
    fill(state, "a", "a", "b")
    sink = ScriptedSink(retryable(Reason.CONNECT, "down"), delivered(204))
    relay = relay_of(state, policy=RetryPolicy(), ci=sink)

    await relay.drain_due(FOREVER)

    assert sink.seen == ["event-1", "event-3"]
    assert [(one.id, one.attempts, one.reason) for one in state.pending()] == [(1, 1, "connect"), (2, 0, "")]


async def test_a_retry_comes_by_itself_and_a_dead_entry_releases_its_lane(state) -> None:
    fill(state, "a", "a")
    sink = ScriptedSink(retryable(Reason.CONNECT), rejected(Reason.REFUSED, "no"), delivered(204))

    await run_until(relay_of(state, ci=sink), lambda: not state.pending())

    assert sink.seen == ["event-1", "event-1", "event-2"]
    assert [one.status for one in state.entries()] == [Status.DEAD, Status.DELIVERED]


async def test_a_hanging_sink_holds_up_nobody_else(state) -> None:
    fill(state, "a", "b", "c", sinks=("slow", "fast"))
    fast = ScriptedSink()

    relay = relay_of(state, slow=ScriptedSink(30.0), fast=fast, concurrency=2)
    await run_until(relay, lambda: len(fast.seen) == 3)

    assert sorted(fast.seen) == ["event-1", "event-2", "event-3"]


async def test_new_entries_are_taken_up_while_it_runs(state) -> None:
    sink = ScriptedSink()
    relay = relay_of(state, ci=sink)
    stop = asyncio.Event()
    running = asyncio.create_task(relay.run(stop))
    await asyncio.sleep(0.02)

    fill(state, "a")
    await eventually(lambda: not state.pending())
    stop.set()
    await running

    assert sink.seen == ["event-1"]


async def test_a_bug_in_a_sink_is_a_retry_and_stops_no_other(state) -> None:
    fill(state, "a", "b")
    sink = ScriptedSink(RuntimeError("secret text"), delivered(200))

    await relay_of(state, policy=RetryPolicy(), ci=sink).drain_due(FOREVER)

    (waiting,) = state.pending()
    assert (waiting.reason, waiting.detail) == ("internal", "a fault in the bridge: RuntimeError")


async def test_a_missing_event_is_a_dead_letter_and_no_crash(state) -> None:
    fill(state, "a")
    state._documents.write({"events": {"event-1": None}})

    await relay_of(state, ci=ScriptedSink()).drain_due(FOREVER)

    assert [one.status for one in state.entries()] == [Status.DEAD]


async def test_retry_state_outlives_the_process(state) -> None:
    fill(state, "a")
    clock = HandClock()
    failing = ScriptedSink(retryable(Reason.CONNECT, "down", retry_after_ms=60_000))
    await relay_of(state, clock, ci=failing).drain_due(FOREVER)

    again = ScriptedSink()
    clock.sleep(59)
    await relay_of(state, clock, ci=again).drain_due(FOREVER)
    assert again.seen == []
    clock.sleep(1)
    await relay_of(state, clock, ci=again).drain_due(FOREVER)

    assert again.seen == ["event-1"]


@pytest.mark.parametrize("years", [-10, 10])
async def test_a_clock_that_is_wrong_between_runs_neither_stalls_nor_expires(state, years) -> None:
    fill(state, "a")
    clock = HandClock()
    failing = ScriptedSink(retryable(Reason.CONNECT, "down", retry_after_ms=1_000))
    await relay_of(state, clock, ci=failing).drain_due(FOREVER)
    await state.note(Trust.since(clock, None).record(), {})
    clock.jump(years * 365 * 86_400)

    for _ in range(4):
        clock.sleep(60)
        await relay_of(state, clock, ci=failing).drain_due(FOREVER)

    (waiting,) = state.pending()
    assert (len(failing.seen) >= 4, waiting.status) == (True, Status.PENDING)


async def test_an_attempt_cut_off_by_the_deadline_counts(state) -> None:
    fill(state, "a", "b")
    relay = relay_of(state, ci=ScriptedSink(30.0))

    await relay.drain_due(SystemClock().monotonic() + 0.5)

    assert [(one.attempts, one.reason) for one in state.pending()] == [(1, "timeout"), (1, "timeout")]


async def test_after_the_deadline_nothing_is_started(state) -> None:
    fill(state, "a")
    sink = ScriptedSink()

    await relay_of(state, ci=sink).drain_due(0.0)

    assert sink.seen == []


async def test_a_drain_lets_attempts_end_and_settles_each_as_it_ends(state) -> None:
    fill(state, "a", "b")
    sink = ScriptedSink(0.05, 30.0)
    relay = relay_of(state, ci=sink)
    stop = asyncio.Event()
    running = asyncio.create_task(relay.run(stop))
    await eventually(lambda: len(sink.seen) == 2)
    stop.set()
    await running

    await relay.drain(1.0)

    assert [one.status for one in state.entries()] == [Status.DELIVERED, Status.PENDING]
    assert state.pending()[0].attempts == 1


async def test_while_the_state_is_full_nothing_more_is_sent_and_nothing_is_forgotten(
    state, monkeypatch
) -> None:
    fill(state, "a", "a")
    monkeypatch.setattr("bridge.pipeline.relay._UNWRITABLE_PAUSE_S", 0.05)
    sink, settle, full = ScriptedSink(), state.settle, [True]

    async def maybe(entries, conditions=None) -> None:
        if full[0]:
            raise StateUnwritable("full")
        await settle(entries, conditions)

    monkeypatch.setattr(state, "settle", maybe)
    relay = relay_of(state, ci=sink)
    stop = asyncio.Event()
    running = asyncio.create_task(relay.run(stop))
    await eventually(lambda: relay.is_stuck)
    await asyncio.sleep(0.2)
    assert (sink.seen, relay.is_stuck) == (["event-1"], True)
    full[0] = False
    await eventually(lambda: not relay.is_stuck and not state.pending())
    stop.set()
    await running

    assert (sink.seen, relay.is_stuck) == (["event-1", "event-2"], False)


async def test_entries_of_a_missing_sink_wait_and_count_nowhere(state) -> None:
    fill(state, "a", sinks=("old",))

    relay = relay_of(state, ci=ScriptedSink())
    await relay.drain_due(FOREVER)

    assert (relay.waiting, len(state.pending())) == (0, 1)


async def test_it_rests_once_all_that_is_due_was_attempted(state) -> None:
    """What waits for another try is not due; what is under way is waited for, but not for ever."""
    sinks = {"ci": ScriptedSink(0.2), "down": ScriptedSink(retryable(Reason.CONNECT))}
    fill(state, "a", "b", sinks=("ci", "down"))
    relay = relay_of(state, policy=RetryPolicy(first_ms=600_000), **sinks)
    stop = asyncio.Event()
    running = asyncio.create_task(relay.run(stop))

    await relay.rest(0.01)
    early = relay.delivered
    await relay.rest(20)

    assert (early, relay.delivered, relay.waiting) == (0, 2, 2)
    stop.set()
    await running
