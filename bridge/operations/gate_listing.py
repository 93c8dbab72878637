"""The gates of the configuration as JSON documents, and the trial of gates on a real version."""

import asyncio
from collections.abc import Sequence
from typing import Any

from bridge.config import GateSettings, Settings
from bridge.errors import NotFound
from bridge.events.json_templates import context_of
from bridge.governance.gate import Verdict, guarding
from bridge.governance.request_events import creation_event
from bridge.governance.request_steps import holder_of
from bridge.governance.transition_request import TransitionRequest
from bridge.governance.transition_target import Target
from bridge.pipeline.gate_judgement import GateJudgement
from bridge.pipeline.request_processing import guarded_model
from bridge.pipeline.transition_execution import MovementMaking
from bridge.registry.mlflow_transitions import MlflowTransitions
from bridge.registry.version_details import MlflowFacts
from bridge.store.state_opening import read_state


def gate_document(gate: GateSettings) -> dict[str, Any]:
    """Return a gate as the API and the command ``gates list`` show it."""
    return {
        "name": gate.name,
        "mode": gate.mode,
        "models": list(gate.models),
        "to_stages": list(gate.to_stages),
        "aliases": [pattern.pattern for pattern in gate.aliases],
        "approvals": gate.approvals,
        "on_inconclusive": gate.on_inconclusive,
        "checks": [
            {"name": one.name, "require": one.require.text, "message": one.message} for one in gate.checks
        ],
    }


def write_fault(settings: Settings, names: Sequence[str]) -> str:
    """Return why the bridge may not change a model for which a gate decides, or nothing.

    Raises:
        RegistryError: the registry gave no usable answer.
    """
    model = guarded_model(names, [gate.gate() for gate in settings.gates])
    if model is None:
        return ""
    making = MovementMaking(MlflowTransitions(settings.registry))
    fault = asyncio.run(making.write_fault(model))
    return f"{fault} ({model})" if fault else ""


def try_gates(
    settings: Settings, model_name: str, version: str, target: Target, now_ms: int
) -> list[Verdict]:
    """Judge a real version by the gates that guard ``target``, as a request would be; nothing is changed.

    Raises:
        NotFound: the state knows no such version.
    """
    with read_state(settings) as state:
        model = state.known().get(model_name)
    if model is None or version not in model.versions:
        msg = f"no poll has seen version {version} of {model_name!r:.256}: check both, or wait for the next poll"
        raise NotFound(msg)
    request = TransitionRequest(
        id="tr_" + "0" * 32,
        model_name=model_name,
        version=version,
        lane=model_name,
        version_created=model.versions[version].created,
        target=target,
        before=holder_of(model, version, target),
        creator="",
        comment="",
        archives=False,
        created_at=now_ms,
        updated_at=now_ms,
        expires_at=now_ms,
    )
    event = creation_event(request, "0" * 32)
    gates = guarding([gate.gate() for gate in settings.gates], model_name, target)
    if not gates:
        return []
    judgement = GateJudgement(MlflowFacts(settings.registry))
    seen = context_of(event, event.type.value, "")
    return asyncio.run(judgement.verdicts(gates, model, version, target, seen, now_ms))
