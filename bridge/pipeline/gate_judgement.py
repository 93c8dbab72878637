"""Judges a version by the gates that guard a stage or an alias: reads the facts from the registry, and evaluates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog

from bridge.diff.absence_verification import Absence
from bridge.diff.snapshot import RegisteredModel
from bridge.errors import BridgeError
from bridge.events.event_details import model_part
from bridge.governance.gate import Gate, Verdict, judge, unreadable
from bridge.governance.request_steps import incumbent_of
from bridge.governance.transition_target import Target
from bridge.pipeline.worker_threads import SharedCall, ThreadedCall
from bridge.registry.base import Deadline, Facts

log = structlog.get_logger(__name__)

_PATIENCE_MS = 10_000
"""How long the registry may take for the facts about one version."""

_GRACE_S = 1.0


@dataclass(slots=True)
class _Facts:
    """What was read about a version, and why parts are missing."""

    version: Mapping[str, Any] | None = None
    run: Mapping[str, Any] | None = None
    incumbent: Mapping[str, Any] | None = None
    gaps: list[str] = field(default_factory=list)


class GateJudgement:
    """Judges versions by gates."""

    def __init__(self, facts: Facts) -> None:
        """Read from ``facts``."""
        self._facts = facts
        self._prepared = SharedCall(facts.prepare)  # never cut off: half an import stays broken

    async def verdicts(
        self,
        gates: Sequence[Gate],
        model: RegisteredModel,
        version: str,
        target: Target,
        event: Mapping[str, Any],
        now_ms: int,
    ) -> list[Verdict]:
        """Return the verdict of each gate on a version of ``model``; ``event`` is the request as templates see it.

        If the registry gives no usable answer, the verdicts are inconclusive, and not final.
        """
        incumbent = incumbent_of(model, version, target)
        try:
            found = await self._read(model.name, version, incumbent)
        except (BridgeError, TimeoutError) as error:
            why = str(error) or "the registry did not answer in time"
            return [unreadable(gate, why, now_ms) for gate in gates]
        except Exception as error:  # noqa: BLE001 - from MLflow's client, or its handling of an unexpected answer
            why = f"a fault in the bridge or in MLflow's client: {type(error).__name__}"
            log.error("gate.fault", model=model.name, version=version, kind=type(error).__name__)
            return [unreadable(gate, why, now_ms) for gate in gates]
        seen = {
            "event": event,
            "model": model_part(model),
            "version": found.version,
            "run": found.run,
            "incumbent": found.incumbent,
        }
        return [judge(gate, seen, found.gaps, now_ms) for gate in gates]

    async def _read(self, model: str, version: str, incumbent: str | None) -> _Facts:
        await self._prepared.within(_PATIENCE_MS / 1000)
        deadline = Deadline.after(_PATIENCE_MS)
        call = ThreadedCall(lambda: _read(self._facts, model, version, incumbent, deadline))
        return await call.within(deadline.remaining() + _GRACE_S)


def _read(facts: Facts, model: str, version: str, incumbent: str | None, deadline: Deadline) -> _Facts:
    """Read what checks see, in a thread."""
    found = _Facts()
    found.version, found.run, gaps = _version(facts, model, version, deadline)
    found.gaps += gaps
    if incumbent is not None:
        theirs, run, gaps = _version(facts, model, incumbent, deadline)
        found.incumbent = {**(theirs or {"version": incumbent}), "run": run}
        found.gaps += [f"incumbent: {gap}" for gap in gaps]
    return found


def _version(
    facts: Facts, model: str, version: str, deadline: Deadline
) -> tuple[Mapping[str, Any] | None, Mapping[str, Any] | None, list[str]]:
    """Return the record of a version and of its run, and why they are missing."""
    record = facts.version(model, version, deadline)
    if isinstance(record, Absence):
        return None, None, [f"version {version} {_why(record)}"]
    if not record["run_id"]:
        return record, None, [f"version {version} has no run"]
    run = facts.run(record["run_id"], deadline)
    if isinstance(run, Absence):
        return record, None, [f"run {record['run_id']} {_why(run)}"]
    if run.get("lifecycle_stage") == "deleted":
        return record, None, [f"run {record['run_id']} is deleted"]
    return record, run, []


def _why(absence: Absence) -> str:
    return "may not be read by the bridge" if absence is Absence.UNKNOWN else "does not exist"
