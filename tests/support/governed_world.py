"""The poll, the requests and the loop of governance over a registry in memory, with kills at any commit."""

import asyncio

from bridge.app import wire_poll
from bridge.config.file_loading import build
from bridge.delivery.event_routing import Route
from bridge.delivery.retry_policy import RetryPolicy
from bridge.events.event_types import EVENT_TYPES
from bridge.governance.direct_transition import enforcing
from bridge.operations.request_execution import Requester, Requests
from bridge.pipeline.clocks import Trust
from bridge.pipeline.direct_transition_processing import DirectTransitionProcessing
from bridge.pipeline.gate_judgement import GateJudgement
from bridge.pipeline.governance_loop import GovernanceLoop
from bridge.pipeline.governance_transactions import GovernanceLedger
from bridge.pipeline.metrics_observer import NullObserver
from bridge.pipeline.poll import Poll
from bridge.pipeline.poll_governance import PollGovernance
from bridge.pipeline.request_processing import Collaborators, RequestProcessing
from bridge.pipeline.transition_execution import MovementMaking
from bridge.sinks.sink_type_table import SETTINGS
from bridge.store.document_state import DocumentState
from bridge.store.memory_store import MemoryDocuments
from bridge.store.state_metadata import Binding
from support.clock import HandClock
from support.governed_registry import GovernedRegistry

__all__ = ["GovernedWorld", "Killed", "wire_poll"]
ALL = Route("ci", tuple(one.value for one in EVENT_TYPES))
CHECK = {"name": "accuracy", "require": "run.metrics.validation_accuracy >= `0.9`", "message": "below 0.9"}


class Killed(KeyboardInterrupt):
    """The process ends here: asyncio passes on this kind from any task."""


class MortalDocuments(MemoryDocuments):
    """Documents that outlive their process, which is killed at a commit, before or after it."""

    def __init__(self) -> None:
        super().__init__()
        self.commits_left: int | None = None
        self.is_late = False

    async def commit(self, writes) -> None:
        if self.commits_left is None:
            await super().commit(writes)
            return
        self.commits_left -= 1
        if self.commits_left > 0:
            await super().commit(writes)
            return
        self.commits_left = None
        if self.is_late:
            await super().commit(writes)
        raise Killed


class GovernedWorld:
    """A bridge without a relay: what would be delivered is in the outbox."""

    def __init__(self, gate: dict | None = None, gates=(), **governance) -> None:
        self.registry = GovernedRegistry()
        self.clock = HandClock()
        self.documents = MortalDocuments()
        tables = [*([{"name": "quality", **gate}] if gate is not None else []), *gates]
        tables = [{"to_stages": ["Production"], **one} for one in tables]
        self.settings = build(
            {
                "registry": {"tracking_uri": "http://h"},
                "governance": governance,
                "gates": tables,
            },
            SETTINGS,
        )
        self.loop = asyncio.new_event_loop()
        self.start()

    def close(self) -> None:
        self.loop.close()

    def start(self) -> None:
        """Start the process, over the documents of the one before; what that had under way is gone."""
        for task in asyncio.all_tasks(self.loop):
            task._log_destroy_pending = False
        self.loop.close()
        self.loop = asyncio.new_event_loop()
        self.state = DocumentState(self.documents)
        gates = [one.gate() for one in self.settings.gates]
        self.poll = Poll(
            self.registry,
            self.state,
            (ALL,),
            self.settings.poll,
            Binding("http://h"),
            self.clock,
            NullObserver(),
        )
        self.poll.governance = PollGovernance(self.state, enforcing(gates), self.settings.governance.expires)
        self.ledger = GovernanceLedger(self.state, self.clock, lambda: (ALL,))
        shared = Collaborators(
            self.state,
            self.ledger,
            GateJudgement(self.registry),
            MovementMaking(self.registry),
            RetryPolicy(),
            self.clock,
            Trust.since(self.clock, None),
            tags=self.settings.governance.tags,
        )
        self.governance = GovernanceLoop(
            self.ledger,
            RequestProcessing(shared, gates),
            DirectTransitionProcessing(shared, enforcing(gates), self.settings.governance.most_reverts),
            self.clock,
        )
        self.poll.models_changed = self.governance.observe
        self.requests = Requests(self.state, self.ledger, self.settings, self.clock, self.poll.run)
        if self.state.head is not None:
            self.do(self.governance.load())

    def do(self, call):
        """Run a coroutine to its end."""
        return self.loop.run_until_complete(call)

    def polled(self) -> None:
        self.do(self.poll.run())

    def processed(self) -> None:
        self.do(self.governance.run_due(float("inf")))

    def settle(self) -> None:
        """Let everything come to rest: all answers come, and time passes."""
        self.registry.fault, self.registry.is_unreadable = "", False
        for _ in range(6):
            self.polled()
            self.processed()
            self.clock.sleep(700)
            self.registry.now += 10

    def ask(self, name: str, version: str, stage: str = "Production", by: str = "ann", **more) -> str:
        given = {"name": name, "version": version, "stage": stage, **more}
        answer = self.do(self.requests.create(given, Requester(by, by)))
        return answer["request"]["id"]

    def decide(self, verb: str, request: str, by: str = "bob", **more):
        given = {"transition_request_id": request, **more}
        return self.do(getattr(self.requests, verb)(given, Requester(by, by)))

    def shown(self, request: str):
        return self.state.request(request)

    def stage(self, name: str, version: str) -> str:
        return self.registry.models[name].versions[version].stage

    def told(self) -> list:
        """The events that are delivered, in order: those that wait for a verdict are not."""
        entries = sorted(self.state.entries(), key=lambda one: one.id)
        return [self.state.event(one.event_id) for one in entries if not one.waits_for]
