"""A poll and a relay that stop where a test wants them to, with an operator at work meanwhile."""

import asyncio
from collections import Counter
from dataclasses import replace
from inspect import iscoroutinefunction
from threading import Event as Flag

from bridge.app import RunningSinks
from bridge.config import PollSettings, routes_of
from bridge.config.file_loading import build
from bridge.delivery.attempt_outcome import Outcome, Verdict
from bridge.delivery.outbox_entry import Status
from bridge.delivery.resend import Resend
from bridge.delivery.sending_rate_limit import Terms
from bridge.delivery.sink_state import Standing
from bridge.diff.registry_changes import ChangeKind
from bridge.operations.outbox_execution import Operations
from bridge.operations.webhook_execution import Webhooks
from bridge.pipeline.delivery_attempts import Endpoint
from bridge.pipeline.metrics_observer import NullObserver
from bridge.pipeline.poll import Poll
from bridge.sinks.sink_type_table import SETTINGS
from bridge.store.document_state import DocumentState
from bridge.store.memory_store import MemoryDocuments
from bridge.store.sink_summaries import SinkSummaries
from bridge.store.state_metadata import Binding
from support.clock import HandClock
from support.patience import patience
from support.registry import FakeRegistry
from support.relayed import POLICY, loaded_relay
from support.until import eventually
from support.values import model

SINKS = ("ci", "deploy")


class PausedRegistry(FakeRegistry):
    """A registry whose scans begin, and end when they are let go."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.go = Flag(), Flag()
        self.go.set()

    def scan(self, known, deadline, **how):
        self.begun.set()
        assert self.go.wait(patience())
        return super().scan(known, deadline, **how)


class AnsweredSink:
    """A sink whose attempts wait for the answer that a test gives."""

    def __init__(self) -> None:
        self.waiting: list[tuple[str, asyncio.Future[Outcome]]] = []
        self.delivered: Counter[str] = Counter()
        self.is_deleted = False

    async def deliver(self, delivery) -> Outcome:
        assert not self.is_deleted, "an event for a webhook that was acknowledged as deleted"
        answer = asyncio.get_running_loop().create_future()
        attempt = (delivery.event.id, answer)
        self.waiting.append(attempt)
        try:
            return await answer
        finally:
            if attempt in self.waiting:  # cut off
                self.waiting.remove(attempt)

    def answer(self, outcome: Outcome) -> None:
        event, waiting = self.waiting.pop(0)
        self.delivered[event] += outcome.verdict is Verdict.DELIVERED
        waiting.set_result(outcome)


class WaitingState(DocumentState):
    """A state whose calls wait before and after what they do, as those of a database would."""

    def __getattribute__(self, name: str):
        found = super().__getattribute__(name)
        return _waiting(found) if iscoroutinefunction(found) else found


def _waiting(call):
    async def waiting(*arguments, **named):
        await asyncio.sleep(0)
        result = await call(*arguments, **named)
        if call.__name__ != "take":  # nothing may come between the backlog and the news after it
            await asyncio.sleep(0)
        return result

    return waiting


class Interleaved:
    """A bridge of two models and two sinks, of which one can stop a scan, an attempt or a rebind in its midst."""

    def __init__(self, *, waits: bool = False) -> None:
        self.clock, self.registry = HandClock(), PausedRegistry()
        self.state = (WaitingState if waits else DocumentState)(MemoryDocuments())
        self.settings = build(
            {
                "registry": {"tracking_uri": "http://registry"},
                "webhooks": {},
                "sinks": list(map(_sink, SINKS)),
            },
            SETTINGS,
        )
        self.poll = Poll(
            self.registry,
            self.state,
            routes_of(self.settings),
            PollSettings(),
            Binding("http://registry"),
            self.clock,
            NullObserver(),
        )
        self.sinks = {name: AnsweredSink() for name in SINKS}
        self.entries: dict[int, tuple[str, str]] = {}
        self.notes: list[tuple[str, str]] = []
        self.paused: set[str] = set()
        self.webhooks: dict[str, AnsweredSink] = {}
        self.details: dict[str, dict] = {}
        self.polling: asyncio.Task | None = None
        self._runner = asyncio.Runner()
        self._runner.run(self._begin())

    async def _begin(self) -> None:
        self.registry.put(model("a"), model("b"))
        await self.poll.run()
        self.relay = await loaded_relay(self.state, self.clock, concurrency=8, **self.sinks)
        self.operations = Operations(self.state, self.clock, self.relay)
        running = RunningSinks(self.settings, (), self._endpoint_of)
        running.run_with(self.poll, self.relay)
        self.hooks = Webhooks(self.state, lambda: running.settings, self.clock)
        await self.hooks.serve_with(running)
        self._stop = asyncio.Event()
        self._relaying = asyncio.create_task(self.relay.run(self._stop))

    def close(self) -> None:
        self.registry.go.set()
        self._runner.run(self._end())
        self._runner.close()

    async def _end(self) -> None:
        if self.polling is not None:
            await self.polling
        self._stop.set()
        await self._relaying
        await self.relay.drain(0)

    def promote(self, name: str, stage: str) -> None:
        """Have something happen in the registry that the next scan tells."""
        self.clock.sleep(1)
        self.registry.move(name, "1", stage, self.registry.models[name].updated + 1)

    def begin_poll(self) -> None:
        self._runner.run(self._begin_poll())

    async def _begin_poll(self) -> None:
        self.registry.begun.clear()
        self.registry.go.clear()
        self.polling = asyncio.create_task(self.poll.run())
        await eventually(self.registry.begun.is_set)

    def end_poll(self) -> None:
        self._runner.run(self._end_poll())

    async def _end_poll(self) -> None:
        self.registry.go.set()
        polled = await self.polling
        self.polling = None
        self._acknowledge([entry.id for entry in polled.entries], polled.entries)
        await self._attempts()

    def _acknowledge(self, numbers, entries) -> None:
        assert not set(numbers) & set(self.entries), "a number was given twice"
        self.entries |= {entry.id: (entry.event_id, entry.sink) for entry in entries}

    def replay(self, event_id: str, sink: str) -> None:
        resend = Resend(event_id, sink, "MODEL_VERSION_TRANSITIONED_STAGE")
        numbers = self._operate(self.operations.replay([resend], new_ids=False))
        self._acknowledge(numbers, [self.state.entry(number) for number in numbers])
        self.notes.append(("replayed", f"1 entry of {sink}"))

    def redrive(self, number: int) -> None:
        if self._operate(self.operations.redrive([number])):
            self.notes.append(("redriven", f"1 entry of {self.entries[number][1]}"))

    def drop(self, number: int) -> None:
        for gone in self._operate(self.operations.drop([number])):
            _, sink = self.entries.pop(gone)
            self.notes.append(("dropped", f"1 entry of {sink}"))

    def pause(self, sink: str) -> None:
        if sink not in self.paused:
            self.notes.append(("paused", sink))
        self.paused.add(sink)
        self._operate(self.operations.pause(sink))

    def resume(self, sink: str) -> None:
        if sink in self.paused:
            self.notes.append(("resumed", sink))
            self.paused.discard(sink)
            self._operate(self.operations.resume(sink))

    def _endpoint_of(self, sink) -> Endpoint:
        answered = self.sinks.setdefault(sink.name, AnsweredSink())
        return Endpoint(answered, POLICY, Terms(8 if sink.gets_events else 0))

    def create_webhook(self, model_name: str | None) -> None:
        given = {"events": [kind.value for kind in ChangeKind], "http_url_spec": {"url": "http://h.example/"}}
        self.clock.sleep(61)  # the same request within a minute returns the same webhook
        made = self._operate(self.hooks.create({**given, "model_name": model_name}, "ann"))["webhook"]["id"]
        self.notes.append(("webhook_created", made))

    def switch_webhook(self, webhook: str, status: str) -> None:
        before = next(one.status for one in self.state.webhooks() if one.id == webhook)
        self._operate(self.hooks.update({"id": webhook, "status": status}, "ann"))
        if status != before:
            self.notes.append(("webhook_updated", webhook))

    def delete_webhook(self, webhook: str) -> None:
        self._operate(self._delete(webhook))
        self.paused.discard(webhook)
        self.notes.append(("webhook_deleted", webhook))

    async def _delete(self, webhook: str) -> None:
        await self.hooks.delete({"id": webhook}, "ann")
        self.sinks[webhook].is_deleted = True

    def is_deleted(self, sink: str) -> bool:
        return self.sinks[sink].is_deleted

    def answer(self, sink: str, outcome: Outcome) -> None:
        self._operate(self._answer(sink, outcome))

    async def _answer(self, sink: str, outcome: Outcome) -> None:
        self.sinks[sink].answer(outcome)

    def tell(self, event_id: str, part: str) -> None:
        """Have a part of an event's details kept, as enrichment does after it has asked the registry."""
        told = self._operate(self.state.keep_details(event_id, {part: {"told": True}}))
        self.details.setdefault(event_id, {})[part] = {"told": True}
        assert told == self.state.details(event_id)

    def write_head(self, head) -> None:
        """Bind anew, from facts that were read some time ago, as `state rebind` does."""
        self._operate(self.state.write_head(replace(head, uri=f"{head.uri}+")))

    def _operate(self, change):
        async def operated():
            result = await change
            await self._attempts()
            return result

        return self._runner.run(operated())

    async def _attempts(self) -> None:
        """Let the relay settle what was answered, and begin what it can."""
        for _ in range(10):
            await asyncio.sleep(0)
        await eventually(lambda: len(self.relay._claims) == self._open())

    def _open(self) -> int:
        return sum(len(sink.waiting) for sink in self.sinks.values())

    def check(self) -> None:
        """Check that everything that was acknowledged is there, and nothing else."""
        entries = {entry.id: entry for entry in self.state.entries()}
        assert {number: (one.event_id, one.sink) for number, one in entries.items()} == self.entries
        notes = list(self.state.notes())
        told = [(note.kind, note.detail.partition(" to ")[0]) for note in notes if note.kind != "missed"]
        assert told == self.notes
        assert self.state.head.noted == len(notes)
        conditions = self.state.conditions()
        assert {sink for sink, one in conditions.items() if one.standing is Standing.PAUSED} == self.paused
        assert _counted(self.state.summaries()) == _counted(SinkSummaries(entries.values()).summaries())
        for event_id, parts in self.details.items():
            assert self.state.details(event_id) == parts
        self._check_deliveries(entries.values())

    def _check_deliveries(self, entries) -> None:
        """What counts as delivered was delivered, and as often."""
        for name, sink in self.sinks.items():
            ours = (one for one in entries if one.sink == name and one.status is Status.DELIVERED)
            assert Counter(one.event_id for one in ours) == +sink.delivered
        assert not any(sink.is_deleted and sink.waiting for sink in self.sinks.values())
        waiting = {one.sink for one in entries if one.status is Status.PENDING}
        assert not any(self.is_deleted(sink) for sink in waiting), "something waits for a deleted webhook"
        assert not any(self.is_deleted(sink) for sink in self.state.conditions())


def _sink(name: str) -> dict:
    every = [kind.value for kind in ChangeKind]
    return {"name": name, "type": "http", "url": "http://127.0.0.1:9/", "events": every}


def _counted(summaries) -> dict[str, tuple[int, ...]]:
    """Return what is counted of each sink that has entries; of what was dropped, the last outcome is still told."""
    counts = {name: (one.pending, one.dead, one.delivered) for name, one in summaries.items()}
    return {name: found for name, found in counts.items() if any(found)}
