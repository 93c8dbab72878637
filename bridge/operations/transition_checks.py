"""What the plug-in in MLflow's server asks before a transition is made: do the enforcing gates let it through?"""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from pydantic import Field

from bridge.config import Settings
from bridge.config.mlflow_process_environment import workspace_of
from bridge.errors import InvalidState, StateUnwritable
from bridge.governance.direct_transition import DirectStatus, enforcing, with_approvals
from bridge.governance.gate import Finding, Gate, Verdict, guarding, judge
from bridge.governance.transition_request import RequestStatus
from bridge.governance.transition_target import Target
from bridge.operations.request_arguments import AliasName, Name, StageName, Version, target_of
from bridge.operations.request_execution import Requester
from bridge.operations.webhook_arguments import Arguments
from bridge.pipeline.clocks import Clock
from bridge.pipeline.hold_decisions import report_note
from bridge.store.base import GovernanceCommit, State
from bridge.store.state_metadata import Note

Document = dict[str, Any]

_LONGEST_TOLD = 2_000
_NEWS_S = 60.0
_MOST_NOTED = 1_000


class VersionFacts(Arguments):
    """What the checks of gates see of a version, in the shapes of `details`, as MLflow's server has it now."""

    model: dict[str, Any] | None = None
    """The registered model."""
    version: dict[str, Any] | None = None
    """The version."""
    run: dict[str, Any] | None = None
    """Its run."""
    incumbent: dict[str, Any] | None = None
    """The version that holds the stage or the alias now, with its run as `run`."""
    gaps: tuple[str, ...] = ()
    """Why parts are missing."""


class CheckArguments(Arguments):
    """A transition that somebody asks MLflow for; `stage` or `alias` is needed."""

    name: Name
    """The name of the registered model."""
    version: Version
    """The version that is to get the stage or the alias."""
    stage: StageName | None = None
    """The stage."""
    alias: AliasName | None = None
    """The alias, instead of a stage."""
    workspace: str | None = None
    """MLflow's workspace; left out: there are none."""
    facts: VersionFacts = Field(default_factory=VersionFacts)
    """What is known of the version."""


class TransitionChecks:
    """Judges transitions before they are made, from what MLflow's server says: nothing here waits for it."""

    def __init__(self, state: State, settings: Settings, clock: Clock) -> None:
        """Judge by the enforcing gates of ``settings``, and by the requests in ``state``."""
        self._state = state
        self._workspace = workspace_of(settings.registry.workspace) or _DEFAULT_WORKSPACE
        self._gates = enforcing(gate.gate() for gate in settings.gates)
        self._clock = clock
        self._noted: dict[tuple[str, ...], float] = {}

    def is_of_registry(self, workspace: str | None) -> bool:
        """Whether what is in a workspace of MLflow's server is in the registry that the bridge polls."""
        return workspace in {None, self._workspace}

    def guards(self, workspace: str | None) -> Document:
        """Return whether a workspace is polled, and what the enforcing gates guard: the plug-in asks about nothing else."""
        is_polled = self.is_of_registry(workspace)
        return {
            "is_polled": is_polled,
            "guards": [guard_of(gate) for gate in self._gates] if is_polled else [],
        }

    async def check(self, given: CheckArguments, caller: Requester) -> Document:
        """Return whether a transition may be made, and the reasons if not; a refusal is noted in the audit trail.

        A transition that was approved, or that undoes another one, passes: its approval is used up when it is made.

        Raises:
            InvalidArgument: it is neither about a stage nor about an alias, or about both.
        """
        target = target_of(given.stage, given.alias)
        gates = guarding(self._gates, given.name, target) if self.is_of_registry(given.workspace) else []
        if not gates or await self._is_granted(given, target):
            return self._answer(given, ())
        seen = _seen(given, target, caller.user)
        now_ms = self._clock.now_ms()
        verdicts = [with_approvals(judge(gate, seen, given.facts.gaps, now_ms), gate) for gate in gates]
        refusing = [one for one in verdicts if one.finding is not Finding.PASSED]
        reasons = tuple(f"gate {one.gate}: {reason}" for one in refusing for reason in _reasons(one))
        if reasons:
            await self._record(given, target, reasons, caller)
        return self._answer(given, reasons)

    def _answer(self, given: CheckArguments, reasons: tuple[str, ...]) -> Document:
        return {"allowed": not reasons, "reasons": list(reasons), **self.guards(given.workspace)}

    async def _is_granted(self, given: CheckArguments, target: Target) -> bool:
        """Whether the transition was approved and is still to be made, or undoes one that was refused."""
        requests = await self._state.load_requests_of(given.name, given.version)
        created = (given.facts.version or {}).get(
            "created"
        )  # tells a version from another of the same number
        if any(
            (one.status, one.target) == (RequestStatus.APPROVED, target)
            and created in {None, one.version_created}
            for one in requests
        ):
            return True
        return any(
            (one.version, one.target) == (given.version, target) and not one.is_made
            for direct in await self._state.load_direct(given.name)
            if direct.status is DirectStatus.REVERTING
            for one in direct.undoing
        )

    async def _record(
        self, given: CheckArguments, target: Target, reasons: tuple[str, ...], caller: Requester
    ) -> None:
        told = f"{target.told}, before it was made: {'; '.join(reasons)}"[:_LONGEST_TOLD]
        now_ms = self._clock.now_ms()
        if not self._is_news((given.name, given.version, told, caller.who)):
            return
        note = Note(now_ms, "transition_refused", given.name, given.version, told, caller.who)
        report_note(note)
        with suppress(StateUnwritable, InvalidState):  # it is refused all the same
            await self._state.commit_governance(GovernanceCommit(now_ms, notes=[note]))

    def _is_news(self, refused: tuple[str, ...]) -> bool:
        """Whether the same was not refused lately: a job that tries again and again is noted once a minute."""
        now_s = self._clock.monotonic()
        self._noted = {one: at for one, at in self._noted.items() if now_s - at < _NEWS_S}
        if refused in self._noted or len(self._noted) >= _MOST_NOTED:
            return False
        self._noted[refused] = now_s
        return True


_DEFAULT_WORKSPACE = "default"
"""MLflow's name of the workspace that is used where none is named."""


def guard_of(gate: Gate) -> Document:
    """Return what a gate guards; ``aliases`` are regular expressions for the whole alias."""
    return {
        "gate": gate.name,
        "models": list(gate.models),
        "to_stages": list(gate.to_stages),
        "aliases": [pattern.pattern for pattern in gate.aliases],
    }


def _reasons(verdict: Verdict) -> tuple[str, ...]:
    return verdict.reasons or (f"is {verdict.finding.value}",)


def _seen(given: CheckArguments, target: Target, user: str) -> Mapping[str, Any]:
    """Return what checks see."""
    facts = given.facts
    event = {
        "model_name": given.name,
        "model_version": given.version,
        "to_stage": target.stage,
        "alias": target.alias,
        "user_id": user or None,
    }
    return {
        "event": event,
        "model": facts.model,
        "version": facts.version,
        "run": facts.run,
        "incumbent": facts.incumbent,
    }
