"""Nothing reaches a receiver from a bridge that may not send any more, however far the attempt has come."""

import asyncio

import pytest
from support.relayed import ScriptedSink, fill, relay_of
from support.sinks import attempt
from support.until import eventually

from bridge.delivery.attempt_outcome import Verdict
from bridge.delivery.retry_policy import RetryPolicy
from bridge.pipeline.delivery_attempts import CUT_OFF, Claim, Endpoint
from bridge.pipeline.delivery_attempts import attempt as attempt_of_relay
from bridge.sinks.send_permission import SendingForbidden, may_send


async def test_a_body_is_not_sent_once_it_must_not_be(receiver) -> None:
    asked = []

    def permission() -> bool:
        asked.append(len(receiver.got))
        return len(asked) == 1

    may_send.set(permission)
    first = await attempt("http", url=f"{receiver.url}/hook")
    with pytest.raises(SendingForbidden):
        await attempt("http", url=f"{receiver.url}/hook")
    await asyncio.sleep(0.1)

    assert first.verdict is Verdict.DELIVERED
    assert (asked, len(receiver.got)) == ([0, 1], 1)


async def test_an_attempt_that_may_not_send_is_cut_off_and_says_nothing_of_the_sink(state) -> None:
    fill(state, "a")
    (entry,) = state.pending()
    sink = ScriptedSink()
    state.is_owned = lambda: False

    made = await attempt_of_relay(state, {"ci": Endpoint(sink, RetryPolicy())}, Claim(entry.id, 0, 0.0))

    assert (made.outcome, made.was_cut_off, sink.seen) == (CUT_OFF, True, [])


async def test_nothing_is_begun_while_the_ownership_is_in_doubt_and_everything_after(state) -> None:
    fill(state, "a", "b")
    sink, owned = ScriptedSink(), False
    state.is_owned = lambda: owned
    relay, stop = relay_of(state, ci=sink), asyncio.Event()

    running = asyncio.create_task(relay.run(stop))
    await asyncio.sleep(0.3)
    before = list(sink.seen)
    owned = True
    await eventually(lambda: len(sink.seen) == 2)
    stop.set()
    await running
    await relay.drain(1.0)

    assert before == []
    assert state.pending() == []
