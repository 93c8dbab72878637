"""A relay over a state in memory, with sinks that follow a script."""

import asyncio
from collections import defaultdict

from bridge.delivery.attempt_outcome import delivered
from bridge.delivery.retry_policy import RetryPolicy
from bridge.delivery.sending_rate_limit import Terms
from bridge.pipeline.clocks import SystemClock, Trust
from bridge.pipeline.delivery_attempts import Endpoint
from bridge.pipeline.metrics_observer import NullObserver
from bridge.pipeline.relay import Relay
from bridge.store.document_state import DocumentState
from support.done import done
from support.until import eventually
from support.values import commit, onto, transition

FOREVER = float("inf")
POLICY = RetryPolicy(first_ms=20, cap_ms=40)


class ScriptedSink:
    """Answers with outcomes, exceptions or delays in turn; the last one for ever."""

    def __init__(self, *script) -> None:
        self.script = list(script) or [delivered(204)]
        self.seen: list[str] = []
        self.began: list[float] = []
        self.under_way = defaultdict(int)
        self.most = 0

    async def deliver(self, delivery):
        lane = delivery.event.lane
        self.seen.append(delivery.event.id)
        self.began.append(SystemClock().monotonic())
        self.under_way[lane] += 1
        self.most = max(self.most, sum(self.under_way.values()))
        assert self.under_way[lane] == 1, "two attempts of one lane at once"
        try:
            step = self.script.pop(0) if len(self.script) > 1 else self.script[0]
            if isinstance(step, float):
                await asyncio.sleep(step)
                return delivered(200)
            if isinstance(step, Exception):
                raise step
            return step
        finally:
            self.under_way[lane] -= 1


def relay_of(state: DocumentState, *how, **more) -> Relay:
    """Return a relay that has taken its backlog, over a state that never waits."""
    return done(loaded_relay(state, *how, **more))


async def loaded_relay(
    state: DocumentState, clock=None, concurrency: int = 4, policy=POLICY, spacing_ms: int = 0, **sinks
) -> Relay:
    clock = clock or SystemClock()
    terms = Terms(concurrency, spacing_ms)
    endpoints = {name: Endpoint(sink, policy, terms) for name, sink in sinks.items()}
    relay = Relay(state, endpoints, clock, Trust.since(clock, await state.load_clock()), NullObserver())
    await relay.load()
    return relay


def fill(state: DocumentState, *lanes: str, sinks=("ci",)) -> None:
    first = state.head.sequence + 1 if state.head else 1
    events = [transition(number, lane) for number, lane in enumerate(lanes, start=first)]
    done(state.commit_poll(onto(state, commit(*events, sinks=sinks))))


async def run_until(relay: Relay, holds) -> None:
    stop = asyncio.Event()
    running = asyncio.create_task(relay.run(stop))
    await eventually(holds)
    stop.set()
    await running
    await relay.drain(1.0)
