"""The loop of governance: the next steps of transition requests and direct transitions, when they are due."""

import asyncio
from collections.abc import Callable, Collection

from bridge.governance.transition_request import RequestStatus
from bridge.pipeline.clocks import Clock
from bridge.pipeline.direct_transition_processing import PREFIX, Between, DirectTransitionProcessing
from bridge.pipeline.governance_transactions import GovernanceLedger
from bridge.pipeline.request_processing import RequestProcessing
from bridge.pipeline.task_scheduler import StepLoop
from bridge.store.base import GovernanceCommit

_PERMISSION = "permission"
"""What the loop calls the question whether the bridge may write at all."""


class GovernanceLoop:
    """Takes the next steps of requests and direct transitions."""

    def __init__(
        self,
        ledger: GovernanceLedger,
        requests: RequestProcessing,
        direct: DirectTransitionProcessing,
        clock: Clock,
    ) -> None:
        """Compose the loop; `load` fills it with what is open."""
        self._requests = requests
        self._direct = direct
        self._steps = StepLoop(self._take, clock)
        self._undoing = StepLoop(
            self._take_direct, clock
        )  # its steps may wait for a poll: no request waits behind them
        self.made: Callable[[], None] = lambda: None
        """Is called after a transition was made: the next poll can see it."""
        ledger.tell(self._hear)

    def take_turns_with_polls(self, between: Between) -> None:
        """Undo direct transitions only ``between`` polls."""
        self._direct.between = between

    async def load(self) -> None:
        """Take up what is open."""
        await self._requests.load(self._steps.put)
        await self._direct.load(self._undoing.put)
        self._steps.put(_PERMISSION, 0.0)

    async def observe(self, names: Collection[str]) -> None:
        """Take up what a poll has found, after it changed these models."""
        await self._requests.observe(names, self._steps.put)
        await self._direct.load(self._undoing.put)

    async def run(self, stop: asyncio.Event) -> None:
        """Take steps until ``stop`` is set."""
        await asyncio.gather(self._steps.run(stop), self._undoing.run(stop))

    async def run_due(self, until: float) -> None:
        """Take the steps that are due now, until this time by the monotonic clock."""
        await asyncio.gather(self._steps.run_due(until), self._undoing.run_due(until))

    async def _take(self, name: str) -> float | None:
        if name == _PERMISSION:
            return await self._requests.warn_if_read_only()
        return await self._requests.take(name)

    async def _take_direct(self, name: str) -> float | None:
        return await self._direct.take(name.removeprefix(PREFIX))

    def _hear(self, commit: GovernanceCommit) -> None:
        self._requests.hear(commit.requests, self._steps.put)
        self._direct.hear(commit.direct, self._undoing.put)
        if any(one.status is RequestStatus.APPLIED and not one.event_id for one in commit.requests):
            self.made()
