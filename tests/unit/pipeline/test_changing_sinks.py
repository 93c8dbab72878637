"""A relay whose sinks come, change and go while it runs."""

import asyncio
from dataclasses import replace
from types import SimpleNamespace

import pytest
from support.done import done
from support.hooks import TRANSITION, settings_of
from support.relayed import POLICY, ScriptedSink, fill, loaded_relay, run_until
from support.until import eventually

from bridge.app import RunningSinks
from bridge.delivery.attempt_outcome import Reason, delivered, retryable
from bridge.delivery.outbox_entry import Status
from bridge.delivery.sending_rate_limit import Terms
from bridge.delivery.webhook import Webhook, WebhookStatus
from bridge.errors import StateUnwritable
from bridge.pipeline.delivery_attempts import Endpoint


def endpoint(sink, concurrency: int = 4) -> Endpoint:
    return Endpoint(sink, POLICY, Terms(concurrency))


def statuses(state) -> list[Status]:
    return [one.status for one in sorted(state.entries(), key=lambda one: one.id)]


async def test_a_sink_that_is_added_gets_what_comes_after(state) -> None:
    relay, new = await loaded_relay(state), ScriptedSink()
    relay.put_sink("new", endpoint(new))
    fill(state, "a", "b", sinks=("new",))

    await run_until(relay, lambda: len(new.seen) == 2)

    assert statuses(state) == [Status.DELIVERED] * 2


async def test_a_sink_that_is_switched_off_is_sent_nothing_and_goes_on_when_it_is_on_again(state) -> None:
    fill(state, "a", sinks=("new",))
    sink = ScriptedSink()
    relay = await loaded_relay(state, new=sink)
    relay.put_sink("new", endpoint(sink, 0))
    assert relay.waiting == 0, "cron's once does not wait for it"
    stop = asyncio.Event()
    running = asyncio.create_task(relay.run(stop))
    await asyncio.sleep(0.05)
    assert sink.seen == []

    relay.put_sink("new", endpoint(sink))
    await eventually(lambda: statuses(state) == [Status.DELIVERED])
    stop.set()
    await running


async def test_the_next_attempt_is_made_with_what_a_sink_is_now(state) -> None:
    fill(state, "a", sinks=("hook",))
    old, new = ScriptedSink(retryable(Reason.CONNECT, "no")), ScriptedSink()
    relay = await loaded_relay(state, hook=old)
    stop = asyncio.Event()
    running = asyncio.create_task(relay.run(stop))
    await eventually(lambda: old.seen)
    relay.put_sink("hook", endpoint(new))
    await eventually(lambda: statuses(state) == [Status.DELIVERED])
    stop.set()
    await running

    assert new.seen


async def test_a_stopped_sink_has_no_attempt_under_way_and_begins_none_and_others_go_on(state) -> None:
    fill(state, "a", "b", "c", sinks=("gone", "stays"))
    gone, stays = ScriptedSink(60.0), ScriptedSink(delivered(200))
    relay = await loaded_relay(state, gone=gone, stays=stays)
    stop = asyncio.Event()
    running = asyncio.create_task(relay.run(stop))
    await eventually(lambda: len(gone.seen) == 3)

    await relay.stop_sink("gone")
    cut_off = [one for one in state.entries() if one.sink == "gone"]
    done(state.delete_webhook("gone", []))
    relay.remove_sink("gone")
    fill(state, "d", sinks=("stays",))
    await eventually(lambda: len(stays.seen) == 4)
    stop.set()
    await running
    await relay.drain(1.0)

    assert sum(gone.under_way.values()) == 0
    assert [(one.status, one.attempts, one.reason) for one in cut_off] == [(Status.PENDING, 1, "timeout")] * 3
    assert len(gone.seen) == 3
    assert {one.status for one in state.entries() if one.sink == "gone"} == {Status.DEAD}
    assert relay.waiting == 0


async def test_what_was_delivered_before_the_stop_counts_as_delivered(state) -> None:
    fill(state, "a", sinks=("hook",))
    sink = ScriptedSink(delivered(200))
    relay = await loaded_relay(state, hook=sink)
    relay._start_due()
    await eventually(lambda: all(task.done() for task in relay._claims))

    await relay.stop_sink("hook")

    assert statuses(state) == [Status.DELIVERED]


async def test_a_stop_that_cannot_be_recorded_leaves_the_sink_going(state, monkeypatch) -> None:
    fill(state, "a", sinks=("hook",))
    sink = ScriptedSink(60.0, delivered(200))
    relay = await loaded_relay(state, hook=sink)
    relay._start_due()
    await eventually(lambda: sink.seen)
    commit = state._documents.commit

    def full(_writes):
        raise StateUnwritable("the disk is full")

    monkeypatch.setattr(state._documents, "commit", full)
    with pytest.raises(StateUnwritable):
        await relay.stop_sink("hook")
    monkeypatch.setattr(state._documents, "commit", commit)

    await run_until(relay, lambda: statuses(state) == [Status.DELIVERED])
    assert len(sink.seen) == 2


async def test_many_webhooks_come_into_force_with_one_change_of_the_routes(state) -> None:
    relay, routes = await loaded_relay(state), []
    sinks = RunningSinks(
        settings_of(), (), lambda sink: endpoint(ScriptedSink(), 4 if sink.gets_events else 0)
    )
    sinks.run_with(SimpleNamespace(put_routes=routes.append), relay)
    first, second, third = (Webhook(f"{n:032x}", (TRANSITION,), "https://ci.example.com/") for n in range(3))

    sinks.replace([first, second])
    sinks.replace([replace(second, status=WebhookStatus.DISABLED), third])

    assert [[way.sink for way in one] for one in routes] == [[first.id, second.id], [third.id]]
    assert {sink.name for sink in sinks.settings.sinks} == {second.id, third.id}
