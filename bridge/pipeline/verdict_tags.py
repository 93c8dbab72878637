"""Writes what gates found to versions as tags, where MLflow's own pages show them."""

from collections.abc import Iterable

import structlog

from bridge.errors import BridgeError
from bridge.governance.direct_transition import DirectTransition
from bridge.governance.gate import Verdict
from bridge.governance.movement import Movement
from bridge.governance.transition_request import TransitionRequest
from bridge.pipeline.transition_execution import MovementMaking

log = structlog.get_logger(__name__)

_PREFIX = "mlflow_bridge.gate."
_LONGEST = 500


async def write_tags(
    making: MovementMaking, about: TransitionRequest | DirectTransition, verdicts: Iterable[Verdict]
) -> None:
    """Write verdicts as tags, but for those that ``about`` has already; a tag that is lost is lost."""
    before = {one.gate: _told(one) for one in about.verdicts}
    version = Movement(about.model_name, about.version, about.version_created, about.target, about.before)
    for one in verdicts:
        if before.get(one.gate) == _told(one):
            continue
        try:
            await making.tag(version, f"{_PREFIX}{one.gate}", _told(one))
        except (BridgeError, TimeoutError) as error:
            log.warning("verdict.untagged", model=about.model_name, version=about.version, error=str(error))
            return


def _told(verdict: Verdict) -> str:
    return "; ".join((verdict.finding.value, *verdict.reasons))[:_LONGEST]
