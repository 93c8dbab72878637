"""Judges a version by the gates that guard a stage or an alias: reads the facts from the registry, and evaluates."""

from collections.abc import Mapping, Sequence
from typing import Any

import structlog

from bridge.diff.snapshot import RegisteredModel
from bridge.errors import BridgeError
from bridge.events.event_details import model_part
from bridge.governance.gate import Gate, Verdict, judge, unreadable
from bridge.governance.request_steps import incumbent_of
from bridge.governance.transition_target import Target
from bridge.pipeline.worker_threads import SharedCall, ThreadedCall
from bridge.registry.base import Deadline, Facts
from bridge.registry.gate_facts import VersionFacts, read_facts

log = structlog.get_logger(__name__)

_PATIENCE_MS = 10_000
"""How long the registry may take for the facts about one version."""

_GRACE_S = 1.0


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

    async def _read(self, model: str, version: str, incumbent: str | None) -> VersionFacts:
        await self._prepared.within(_PATIENCE_MS / 1000)
        deadline = Deadline.after(_PATIENCE_MS)
        call = ThreadedCall(lambda: read_facts(self._facts, model, version, incumbent, deadline))
        return await call.within(deadline.remaining() + _GRACE_S)
