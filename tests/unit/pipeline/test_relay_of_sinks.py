"""What the relay makes of a sink as a whole: its pace, its circuit, its end; and of an entry's attempts."""

import asyncio
from itertools import pairwise

import pytest
from structlog.testing import capture_logs
from support.clock import HandClock
from support.relayed import FOREVER, ScriptedSink, fill, relay_of, run_until
from support.until import eventually

from bridge.delivery.attempt_outcome import Reason, delivered, rejected, retryable
from bridge.delivery.outbox_entry import Status
from bridge.delivery.retry_policy import RetryPolicy
from bridge.delivery.sink_state import OPENS_AT, RUNNING, Standing, paused
from bridge.pipeline.clocks import SystemClock, Trust
from bridge.store.poll_commit import MOST_ATTEMPTS

DOWN = retryable(Reason.CONNECT, "down")
SLOW = RetryPolicy(first_ms=3_600_000, cap_ms=3_600_000)

pytestmark = pytest.mark.usefixtures("full_jitter_at_its_longest")


async def test_a_paced_sink_is_attempted_no_faster_than_its_pace_by_a_run_that_ends_too(state) -> None:
    fill(state, *"abcd")
    sink, claimed = ScriptedSink(), []
    relay = relay_of(state, ci=sink, spacing_ms=50)
    passed = relay._limits.passed

    def noted(name, now) -> None:
        claimed.append(now)
        passed(name, now)

    relay._limits.passed = noted
    await relay.drain_due(FOREVER)

    assert (len(sink.seen), len(claimed)) == (4, 4)
    assert all(later >= earlier + 0.05 for earlier, later in pairwise(claimed))


async def test_a_run_that_ends_waits_for_no_slow_pace_and_the_next_one_keeps_it(state) -> None:
    fill(state, *"ab")
    sink, clock = ScriptedSink(), HandClock()

    for _ in range(3):
        await relay_of(state, clock, ci=sink, spacing_ms=60_000).drain_due(FOREVER)
        clock.sleep(25)

    assert len(sink.seen) == 1
    await relay_of(state, clock, ci=sink, spacing_ms=60_000).drain_due(FOREVER)
    assert len(sink.seen) == 2


async def test_a_run_that_ends_waits_for_no_sink_that_is_left_alone(state) -> None:
    fill(state, *(f"lane-{number}" for number in range(10 * OPENS_AT)))
    sink = ScriptedSink(DOWN)

    await relay_of(state, concurrency=OPENS_AT, policy=RetryPolicy(), ci=sink, spacing_ms=1).drain_due(
        FOREVER
    )

    assert OPENS_AT <= len(sink.seen) < 2 * OPENS_AT  # those under way when the circuit opens go on


async def test_a_sink_that_fails_whoever_is_sent_is_probed_one_at_a_time_over_restarts(state) -> None:
    fill(state, *(f"lane-{number}" for number in range(10 * OPENS_AT)))
    sink, clock = ScriptedSink(DOWN), HandClock()
    await relay_of(state, clock, OPENS_AT, SLOW, ci=sink).drain_due(FOREVER)
    seen = len(sink.seen)

    assert state.conditions()["ci"].is_open
    assert OPENS_AT <= seen < 2 * OPENS_AT  # those under way when it opens go on
    for _ in range(3):
        clock.sleep(3_600)
        await relay_of(state, clock, OPENS_AT, SLOW, ci=sink).drain_due(FOREVER)
    assert len(sink.seen) == seen + 3


@pytest.mark.parametrize("stop", ["the end of a run", "a stop of the daemon"])
async def test_attempts_that_a_stop_cuts_off_say_nothing_of_the_sink(stop, state) -> None:
    fill(state, *(f"lane-{number}" for number in range(OPENS_AT + 2)))
    sink = ScriptedSink(60.0)
    relay = relay_of(state, concurrency=OPENS_AT, policy=SLOW, ci=sink)

    if stop == "the end of a run":
        await relay.drain_due(SystemClock().monotonic() + 0.5)
    else:
        running = asyncio.create_task(relay.run(asyncio.Event()))
        await eventually(lambda: len(sink.seen) == OPENS_AT)
        running.cancel()
        await asyncio.wait({running})
        await relay.drain(0.0)

    attempted = [entry for entry in state.pending() if entry.attempts]
    assert {(entry.reason, entry.attempts) for entry in attempted} == {(Reason.TIMEOUT, 1)}
    assert len(attempted) == len(sink.seen) == OPENS_AT
    assert state.conditions().get("ci", RUNNING) == RUNNING


async def test_a_receiver_that_is_back_gets_everything_at_once(state) -> None:
    fill(state, *(f"lane-{number}" for number in range(OPENS_AT)))
    clock = HandClock()
    sink = ScriptedSink(*[DOWN] * OPENS_AT, DOWN, delivered(204))
    policy = RetryPolicy(first_ms=1_000, cap_ms=3_600_000)
    await relay_of(state, clock, OPENS_AT, policy, ci=sink).drain_due(FOREVER)
    relay = relay_of(state, clock, OPENS_AT, policy, ci=sink)
    clock.sleep(1)
    await relay.drain_due(FOREVER)
    assert len(sink.seen) == OPENS_AT + 1

    clock.sleep(2)
    await relay.drain_due(FOREVER)

    assert (relay.waiting, state.conditions()["ci"].is_open) == (0, False)


async def test_one_model_that_fails_opens_no_circuit_and_holds_up_no_other(state) -> None:
    fill(state, "bad", "good", "bad", "good")

    class Picky(ScriptedSink):
        async def deliver(self, delivery):
            self.seen.append(delivery.event.id)
            return DOWN if delivery.event.lane == "bad" else delivered(200)

    sink = Picky()
    await relay_of(state, HandClock(), policy=SLOW, ci=sink).drain_due(FOREVER)

    assert sorted(sink.seen) == ["event-1", "event-2", "event-4"]


async def test_410_stops_a_sink_durably_and_no_other(state) -> None:
    fill(state, *"abc", sinks=("ci", "other"))
    gone, other = ScriptedSink(retryable(Reason.GONE, "HTTP 410", 410)), ScriptedSink()
    relay = relay_of(state, concurrency=1, ci=gone, other=other)

    await run_until(relay, lambda: len(other.seen) == 3 and gone.seen)
    again = relay_of(state, concurrency=1, ci=gone, other=other)
    await again.drain_due(FOREVER)

    assert gone.seen == ["event-1"]
    assert state.conditions()["ci"].standing is Standing.STOPPED
    assert (again.waiting, {one.status for one in state.pending()}) == (3, {Status.PENDING})


async def test_a_paused_sink_gets_nothing_and_counts_as_waiting_for_nobody(state) -> None:
    fill(state, *"ab")
    sink = ScriptedSink()
    await state.settle([], {"ci": paused(state.conditions().get("ci") or RUNNING, 1)})

    relay = relay_of(state, ci=sink)
    await relay.drain_due(FOREVER)

    assert (sink.seen, relay.waiting) == ([], 0)
    await state.set_condition("ci", RUNNING, [], [])
    await relay.drain_due(FOREVER)
    assert len(sink.seen) == 2


async def test_a_receiver_that_asks_for_time_gets_it_for_all_its_lanes(state) -> None:
    fill(state, *"abcd")
    sink, clock = (
        ScriptedSink(retryable(Reason.RATE_LIMITED, "HTTP 429", 429, 30_000), delivered(204)),
        HandClock(),
    )
    await relay_of(state, clock, 1, ci=sink).drain_due(FOREVER)

    assert len(sink.seen) == 1
    clock.sleep(31)
    await relay_of(state, clock, 1, ci=sink).drain_due(FOREVER)
    assert (len(sink.seen), state.pending()) == (5, [])


async def test_a_clock_set_back_by_years_stalls_no_sink_and_no_pace(state) -> None:
    fill(state, *"abcdefg")
    clock = HandClock()
    sink = ScriptedSink(*[DOWN] * OPENS_AT, delivered(204))
    await relay_of(state, clock, OPENS_AT, RetryPolicy(), ci=sink, spacing_ms=1).drain_due(FOREVER)
    clock.jump(-10 * 365 * 86_400)

    for _ in range(20):  # by hand, time moves between runs alone
        await relay_of(state, clock, OPENS_AT, RetryPolicy(), ci=sink, spacing_ms=1).drain_due(FOREVER)
        clock.sleep(2)

    assert state.pending() == []


async def test_every_attempt_is_on_record_with_what_it_took_and_what_was_said(state) -> None:
    fill(state, "a")
    sink = ScriptedSink(
        DOWN, retryable(Reason.SERVER_ERROR, "HTTP 500: oops", 500), rejected(Reason.REFUSED, "HTTP 400", 400)
    )

    await run_until(relay_of(state, ci=sink), lambda: not state.pending())

    (entry,) = state.entries()
    records = state.attempts(entry)
    assert [(one.reason, one.status, one.detail) for one in records] == [
        ("connect", None, "down"),
        ("server_error", 500, "HTTP 500: oops"),
        ("refused", 400, "HTTP 400"),
    ]
    assert [one.at for one in records] == sorted(one.at for one in records)
    assert records[0].at == entry.first_attempt_at


async def test_a_first_attempt_that_gets_through_writes_nothing_beside_its_entry(state) -> None:
    fill(state, "a")
    await relay_of(state, ci=ScriptedSink()).drain_due(FOREVER)

    (entry,) = state.entries()
    assert [(one.reason, one.status) for one in state.attempts(entry)] == [("ok", 204)]
    assert state._documents.count("attempts") == 0


async def test_what_is_kept_of_attempts_is_bounded_and_goes_with_its_entry(state) -> None:
    fill(state, "a")
    sink, clock = ScriptedSink(*[DOWN] * (MOST_ATTEMPTS + 20), rejected(Reason.REFUSED, "no")), HandClock()
    while state.pending():
        await relay_of(state, clock, ci=sink).drain_due(FOREVER)
        clock.sleep(1)

    (entry,) = state.entries()
    assert entry.attempts == MOST_ATTEMPTS + 21
    assert len(state.attempts(entry)) == MOST_ATTEMPTS + 1
    assert state._documents.count("attempts") == MOST_ATTEMPTS
    await state.prune(clock.now_ms() + 1, clock.now_ms() + 1, clock.now_ms())
    assert state._documents.count("attempts") == 0


async def test_what_stops_while_it_is_under_way_is_settled_all_the_same(state) -> None:
    fill(state, "a")
    sink = ScriptedSink(0.2)
    relay = relay_of(state, ci=sink)
    stop = asyncio.Event()
    running = asyncio.create_task(relay.run(stop))
    await eventually(lambda: sink.seen)
    condition = paused(RUNNING, 1)
    await state.set_condition("ci", condition, [], [])

    await eventually(lambda: not state.pending())
    stop.set()
    await running

    assert state.conditions()["ci"].standing is Standing.PAUSED


@pytest.mark.parametrize("hours", [1, -1, 24 * 365 * 4, -24 * 365 * 4])
async def test_a_clock_that_jumps_between_runs_delivers_nothing_early_and_nothing_late(state, hours) -> None:
    fill(state, "a")
    clock, sink = HandClock(), ScriptedSink(DOWN)
    policy = RetryPolicy(first_ms=600_000, cap_ms=600_000, max_age_ms=3_600_000)
    await relay_of(state, clock, policy=policy, ci=sink).drain_due(FOREVER)
    await state.note(Trust.since(clock, None).record(), {})
    clock.jump(hours * 3_600)

    for seconds, attempts in ((300, 1), (290, 1), (15, 2), (590, 2), (15, 3)):
        clock.sleep(seconds)
        await relay_of(state, clock, policy=policy, ci=sink).drain_due(FOREVER)
        assert len(sink.seen) == attempts


async def test_a_clock_that_jumps_while_it_runs_is_followed_by_what_is_stored(state) -> None:
    fill(state, "a")
    clock, sink = HandClock(), ScriptedSink(DOWN)
    policy = RetryPolicy(first_ms=600_000, cap_ms=600_000)
    relay = relay_of(state, clock, policy=policy, ci=sink)
    await relay.drain_due(FOREVER)
    clock.jump(7_200)
    await relay.follow_clock(relay._trust.jumped_ms())

    await relay_of(state, clock, policy=policy, ci=sink).drain_due(FOREVER)
    assert len(sink.seen) == 1
    clock.sleep(600)
    await relay_of(state, clock, policy=policy, ci=sink).drain_due(FOREVER)
    assert len(sink.seen) == 2


async def test_a_token_that_is_refused_for_a_night_loses_nothing_and_is_shouted_about(state) -> None:
    lanes = [f"lane-{number}" for number in range(8)] * 3
    fill(state, *lanes)
    clock = HandClock()
    sink = ScriptedSink(retryable(Reason.MISCONFIGURED, "HTTP 401: check the sink's secret", 401))
    with capture_logs() as logs:
        for _ in range(12 * 12):
            await relay_of(state, clock, policy=RetryPolicy(), ci=sink).drain_due(FOREVER)
            clock.sleep(300)
    refused, sink.script = len(sink.seen), [delivered(204)]
    for _ in range(4):
        await relay_of(state, clock, policy=RetryPolicy(), ci=sink).drain_due(FOREVER)
        clock.sleep(300)

    arrived = sink.seen[refused:]
    order = [[one for one in arrived if state.event(one).lane == lane] for lane in dict.fromkeys(lanes)]
    assert all(len(seen) == 3 and seen == sorted(seen, key=lambda one: int(one[6:])) for seen in order)
    shouted = [line for line in logs if line["log_level"] == "error" and line["event"] == "delivery.retry"]
    assert (len(shouted), 50 < refused < 500) == (refused, True)
