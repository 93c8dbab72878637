"""What the bridge's enforcing gates guard, as it said last: nothing else is ever asked about."""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bridge.governance.gate import Gate, GateMode, guarding
from bridge.governance.transition_target import Target
from bridge.mlflow_app.bridge_client import Asker, BridgeClient, BridgeUnreachable

_LASTS_S = 60.0
"""How long an answer is good for. A gate that came since undoes afterwards what it does not let through."""

_REST_S = 30.0
"""How long the bridge is not asked again what it guards after it did not answer."""

_PATIENCE_S = 10.0


@dataclass(frozen=True, slots=True)
class _Known:
    at: float
    gates: tuple[Gate, ...]
    is_polled: bool


class GuardedTargets:
    """What gates guard, by workspace of MLflow's server."""

    def __init__(self) -> None:
        """Begin with nothing known."""
        self._known: dict[str | None, _Known] = {}
        self._failed_at = float("-inf")

    def learn(self, workspace: str | None, answer: Mapping[str, Any]) -> None:
        """Take what the bridge answered, to hints or to a check.

        Raises:
            BridgeUnreachable: it is no such answer: nothing that is not understood may open a gate.
        """
        try:
            gates = tuple(map(_gate, answer["guards"]))
            self._known[workspace] = _Known(time.monotonic(), gates, is_polled=bool(answer["is_polled"]))
        except (KeyError, TypeError, re.error):
            raise BridgeUnreachable(
                "what answers there is not the bridge, or one of another version"
            ) from None

    def ask(self, client: BridgeClient, workspace: str | None) -> None:
        """Learn what is guarded, unless that is known well enough.

        Raises:
            BridgeUnreachable: it has never been known, and the bridge does not answer.
            BridgeRefused: the bridge does not tell.
        """
        known, now = self._known.get(workspace), time.monotonic()
        if known is not None and (now - known.at < _LASTS_S or now - self._failed_at < _REST_S):
            return
        document = {"hints": [], **({"workspace": workspace} if workspace else {})}
        try:
            answer = client.ask("POST", "/api/v1/hints", document, Asker(None, ("read",)), _PATIENCE_S)
            answer.check()
            self.learn(workspace, answer.document())
        except BridgeUnreachable:
            self._failed_at = now
            if known is None:
                raise  # what it guards is not known: anything may be

    def is_polled(self, client: BridgeClient, workspace: str | None) -> bool:
        """Whether the bridge polls a workspace; a server without workspaces is polled.

        Raises:
            BridgeUnreachable, BridgeRefused: as in `ask`.
        """
        if workspace is None:
            return True
        self.ask(client, workspace)
        return self._known[workspace].is_polled

    def guard_nothing(self, workspace: str | None) -> bool:
        """Whether it is known that no gate guards anything."""
        known = self._known.get(workspace)
        return known is not None and not known.gates

    def guards(self, workspace: str | None, model: str, target: Target) -> bool:
        """Whether a gate guards a stage or an alias of a model; what is not known is guarded."""
        known = self._known.get(workspace)
        return known is None or bool(guarding(known.gates, model, target))


def _gate(guard: Mapping[str, Any]) -> Gate:
    return Gate(
        str(guard["gate"]),
        GateMode.ENFORCE,
        tuple(guard["models"]),
        tuple(guard["to_stages"]),
        tuple(re.compile(pattern) for pattern in guard["aliases"]),
    )
