"""A daemon's application over a registry in memory."""

import asyncio

from bridge.app import App, RunningSinks, wire_governance
from bridge.config.file_loading import build
from bridge.daemon.run_until_reload import DaemonRun
from bridge.daemon.signal_handling import Signals
from bridge.pipeline.clocks import Trust
from bridge.pipeline.governance_transactions import GovernanceLedger
from bridge.pipeline.metrics_observer import NullObserver
from bridge.pipeline.poll import Poll
from bridge.pipeline.relay import Relay
from bridge.server.health_probes import Probes
from bridge.sinks.sink_type_table import SETTINGS
from bridge.store.document_state import DocumentState
from bridge.store.memory_store import MemoryDocuments
from bridge.store.state_metadata import Binding
from support.clock import HandClock
from support.patience import patience
from support.registry import FakeRegistry
from support.values import model


class CountingRegistry(FakeRegistry):
    """Counts the reads."""

    asked_for = 0

    def scan(self, *args, **kwargs):
        self.asked_for += 1
        return super().scan(*args, **kwargs)

    def latest(self, deadline):
        self.asked_for += 1
        return super().latest(deadline)


class World:
    """An application over a registry in memory."""

    def __init__(self, interval: str = "1h") -> None:
        self.registry = CountingRegistry({"m": model()})
        self.clock = HandClock()
        self.settings = build(
            {"registry": {"tracking_uri": "http://h"}, "poll": {"interval": interval}}, SETTINGS
        )
        self.state = DocumentState(MemoryDocuments())
        self.trust = Trust.since(self.clock, None)
        self.signals = Signals()
        self.probes = Probes(self.clock, 1.0)

    def life(self, reload=lambda: False) -> DaemonRun:
        return DaemonRun(self.app(), self.signals, self.probes, reload)

    def app(self) -> App:
        poll = Poll(
            self.registry,
            self.state,
            (),
            self.settings.poll,
            Binding("http://h"),
            self.clock,
            NullObserver(),
        )
        relay = Relay(self.state, {}, self.clock, self.trust, NullObserver())
        sinks = RunningSinks(self.settings, (), self.endpoint_of)
        ledger = GovernanceLedger(self.state, self.clock, lambda: sinks.routes)
        governance = wire_governance(self.settings, self.state, ledger, self.clock, self.trust)
        return App(sinks, self.state, poll, relay, ledger, governance, self.clock, self.trust)

    def endpoint_of(self, sink):
        raise AssertionError(f"this world has no sinks: {sink.name}")

    async def polled(self, count: int) -> None:
        async with asyncio.timeout(patience()):
            while self.registry.asked_for < count:  # noqa: ASYNC110 - a thread counts
                await asyncio.sleep(0.01)
