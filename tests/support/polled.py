"""A poll over a registry in memory that has a clock, and ten models at rest."""

from dataclasses import replace

from bridge.config import PollSettings
from bridge.delivery.event_routing import Route
from bridge.diff.registry_changes import ChangeKind as K
from bridge.diff.snapshot import ModelVersion
from bridge.pipeline.incremental_read import Read
from bridge.pipeline.metrics_observer import NullObserver
from bridge.pipeline.poll import Poll
from bridge.store.document_state import DocumentState
from bridge.store.memory_store import MemoryDocuments
from bridge.store.state_metadata import Binding
from support.clock import HandClock
from support.registry import FakeRegistry
from support.values import model

MINUTE = 60_000


class Polled:
    """A registry with a clock, ten models at rest, and a poll that has taken its baseline."""

    def __init__(self, routes=(), **settings) -> None:
        self.clock = HandClock()
        self.registry = FakeRegistry()
        self.state = DocumentState(MemoryDocuments())
        every = Route("all", tuple(kind.value for kind in K))
        self.poll = Poll(
            self.registry,
            self.state,
            [every, *routes],
            PollSettings(**settings),
            Binding("http://registry"),
            self.clock,
            NullObserver(),
        )
        for number in range(10):
            name, born = f"m{number}", self.now - (100 + number) * MINUTE
            one = ModelVersion("1", born, born)
            self.registry.put(replace(model(name), created=born, updated=born, versions={"1": one}))

    @property
    def now(self) -> int:
        return self.clock.now_ms()

    async def baseline(self) -> "Polled":
        await self.poll.run(Read.FULL)
        self.wait(300)
        return self

    def wait(self, seconds: float) -> None:
        self.clock.sleep(seconds)
        self.registry.read.clear()
        self.registry.asked.clear()

    def move(self, name: str, stage: str, at: int | None = None) -> None:
        self.registry.move(name, "1", stage, self.now if at is None else at)

    async def fast(self) -> list[str]:
        polled = await self.poll.run(Read.FAST)
        events = {one.event_id: self.state.event(one.event_id) for one in polled.entries if one.sink == "all"}
        return [f"{event.model_name} {event.type.name}" for event in events.values()]
