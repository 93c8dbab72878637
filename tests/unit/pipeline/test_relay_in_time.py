"""The relay in a run that is to end, and under clocks that jump while it is at work."""

import asyncio

import pytest
from support.clock import HandClock
from support.patience import patience
from support.relayed import FOREVER, ScriptedSink, fill, relay_of
from support.until import eventually

from bridge.delivery.attempt_outcome import Reason, retryable
from bridge.delivery.retry_policy import RetryPolicy
from bridge.delivery.sink_state import OPENS_AT
from bridge.pipeline.clocks import SystemClock

DOWN = retryable(Reason.CONNECT, "down")
SLOW = RetryPolicy(first_ms=3_600_000, cap_ms=3_600_000)

pytestmark = pytest.mark.usefixtures("full_jitter_at_its_longest")


async def test_a_run_keeps_to_its_deadline_though_a_paced_sink_hangs(state) -> None:
    fill(state, *"abc")
    relay = relay_of(state, ci=ScriptedSink(60.0), spacing_ms=50)

    draining = asyncio.create_task(relay.drain_due(SystemClock().monotonic() + 0.3))
    await asyncio.wait({draining}, timeout=patience())

    assert draining.done()
    assert len(state.pending()) == 3


async def test_a_sink_that_hangs_does_not_slow_the_pace_of_another(state) -> None:
    fill(state, *"abc", sinks=("ci", "slow"))
    ci, slow = ScriptedSink(), ScriptedSink(60.0)
    relay = relay_of(state, ci=ci, slow=slow, spacing_ms=50)

    draining = asyncio.create_task(relay.drain_due(FOREVER))
    await eventually(lambda: len(ci.seen) == 3)

    draining.cancel()
    await asyncio.wait({draining})
    await relay.drain(0.0)


async def test_a_clock_set_back_leaves_an_open_circuit_its_rests(state) -> None:
    fill(state, *(f"lane-{number}" for number in range(20)))
    clock, sink = HandClock(), ScriptedSink(DOWN)
    relay = relay_of(state, clock, policy=SLOW, concurrency=OPENS_AT, ci=sink)
    await relay.drain_due(FOREVER)
    clock.jump(-10 * 3_600)
    await relay.follow_clock(relay._trust.jumped_ms())
    clock.sleep(3_600)

    await relay.drain_due(FOREVER)

    assert len(sink.seen) == OPENS_AT + 1


async def test_what_fell_due_while_the_machine_was_suspended_is_soon_noticed(state, monkeypatch) -> None:
    monkeypatch.setattr("bridge.pipeline.relay._LONGEST_SLEEP_S", 0.05)
    fill(state, "a")
    clock, sink = HandClock(), ScriptedSink(DOWN)
    relay, stop = relay_of(state, clock, policy=SLOW, ci=sink), asyncio.Event()
    running = asyncio.create_task(relay.run(stop))
    await eventually(lambda: relay._rests.is_set() and len(sink.seen) == 1)

    clock.sleep(3_600)

    await eventually(lambda: len(sink.seen) == 2)
    stop.set()
    await running
    await relay.drain(1.0)


@pytest.mark.parametrize("years", [-1, 1])
async def test_a_clock_that_jumps_during_an_attempt_makes_it_no_longer_and_no_older(state, years) -> None:
    fill(state, "a")
    clock = HandClock()

    class Slow:
        async def deliver(self, _delivery):
            clock.sleep(3)
            clock.jump(years * 365 * 86_400)
            return DOWN

    relay = relay_of(state, clock, ci=Slow())
    await relay.drain_due(FOREVER)
    await relay.follow_clock(relay._trust.jumped_ms())

    (entry,) = state.pending()
    assert (entry.duration_ms, clock.now_ms() - entry.first_attempt_at) == (3_000, 3_000)


@pytest.mark.parametrize("hours", [-10, 10])
@pytest.mark.parametrize("is_killed", [False, True])
async def test_what_is_settled_between_a_jump_and_the_look_at_it_is_not_due_early(
    state, hours, is_killed
) -> None:
    fill(state, "a")
    clock, sink = HandClock(), ScriptedSink(DOWN)
    relay = relay_of(state, clock, policy=SLOW, ci=sink)
    await state.note(relay._trust.record(), {})
    clock.jump(hours * 3_600)
    await relay.drain_due(FOREVER)
    if not is_killed:
        await relay.follow_clock(relay._trust.jumped_ms())

    for seconds, attempts in ((3_500, 1), (100, 2)):
        clock.sleep(seconds)
        await relay_of(state, clock, policy=SLOW, ci=sink).drain_due(FOREVER)
        assert len(sink.seen) == attempts
