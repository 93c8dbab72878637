"""Refuses what an enforcing gate of the bridge does not let through, before MLflow does it."""

import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from flask import Response, request

from bridge.governance.transition_target import Target
from bridge.mlflow_app.bridge_client import Asker, BridgeClient, BridgeRefused, BridgeUnreachable
from bridge.mlflow_app.changed_models import message_of
from bridge.mlflow_app.guarded_targets import GuardedTargets
from bridge.mlflow_app.request_workspace import workspace
from bridge.mlflow_app.server_answers import refusal
from bridge.mlflow_app.user_permissions import Users
from bridge.mlflow_app.version_facts import ServerRegistry

_log = logging.getLogger("mlflow.bridge")  # MLflow's own logging has the time and the level

_FORBIDDEN = 403
_PATIENCE_S = 10.0
_LONGEST_FACTS = 8 * 1024 * 1024

TRANSITIONS: Mapping[str, str] = {
    "_transition_stage": "TransitionModelVersionStage",
    "_set_registered_model_alias": "SetRegisteredModelAlias",
    "_rename_registered_model": "RenameRegisteredModel",
}
"""MLflow's endpoints by which a version gets a guarded stage or alias, with the classes of their requests."""


@dataclass(frozen=True, slots=True)
class Transition:
    """What a version gets.

    Attributes:
        name: the model's name by which gates guard it: of a renamed model, the new one.
        version: the version.
        target: the stage or the alias.
        present_name: the name by which MLflow's stores have the model now.
    """

    name: str
    version: str
    target: Target
    present_name: str

    def to_document(self) -> dict[str, Any]:
        """Return it as the bridge takes it."""
        target = {"alias": self.target.alias} if self.target.stage is None else {"stage": self.target.stage}
        return {"name": self.name, "version": self.version, **target}

    @property
    def told(self) -> str:
        """The transition in a sentence."""
        if self.name != self.present_name:
            renamed = f"to rename {self.present_name!r} to {self.name!r}"
            return f"{renamed}: its version {self.version} is in {self.target.told}"
        return f"version {self.version} of {self.name!r} to {self.target.told}"


class GovernedTransitions:
    """Asks the bridge about the transitions that its enforcing gates guard."""

    def __init__(self, client: BridgeClient, users: Users, guarded: GuardedTargets, *, is_open: bool) -> None:
        """Ask ``client``; if it does not answer, let governed transitions pass only if ``is_open``."""
        self._client = client
        self._users = users
        self._guarded = guarded
        self._is_open = is_open

    def before_request(self) -> Response | None:
        """Return a refusal, or None: then MLflow goes on."""
        kind = TRANSITIONS.get(request.endpoint or "")
        if kind is None:
            return None
        from mlflow.exceptions import MlflowException  # noqa: PLC0415 - MLflow's server has imported it

        try:
            asked = message_of(kind)
        except MlflowException:  # MLflow refuses it in its own words
            return None
        try:
            self._guarded.ask(self._client, workspace())
        except BridgeRefused as error:
            return _refused(f"a change of {asked.name!r}", str(error))
        except BridgeUnreachable as error:
            return self._unanswered(f"a change of {asked.name!r}", str(error))
        if self._guarded.guard_nothing(workspace()):
            return None
        registry = ServerRegistry()
        judged = (self._judged(one, registry) for one in _transitions(kind, asked, registry))
        return next((refused for refused in judged if refused is not None), None)

    def _judged(self, asked: Transition, registry: ServerRegistry) -> Response | None:
        """Return a refusal if a gate guards a transition, and does not let it through."""
        place = workspace()
        if not self._guarded.guards(place, asked.name, asked.target):
            return None
        is_renamed = asked.name != asked.present_name
        if is_renamed and self._guarded.guards(place, asked.present_name, asked.target):
            return None  # it was judged by the name that it has
        facts = registry.facts(asked.present_name, asked.version, asked.target)
        if facts is None:  # there is no such version: MLflow says so
            return None
        document = {**asked.to_document(), "facts": facts, **({"workspace": place} if place else {})}
        if len(json.dumps(facts)) > _LONGEST_FACTS:
            document["facts"] = {"gaps": [f"the run has more than {_LONGEST_FACTS} bytes of params and tags"]}
        asker = Asker(self._users.name(), ("read",))
        try:
            answer = self._client.ask("POST", "/api/v1/transition-checks", document, asker, _PATIENCE_S)
            answer.check()
            self._guarded.learn(place, answer.document())
        except BridgeRefused as error:  # not even an open server makes what cannot be judged
            return _refused(asked.told, str(error))
        except BridgeUnreachable as error:
            return self._unanswered(asked.told, str(error))
        found = answer.document()
        reasons = [] if found.get("allowed") is True else found.get("reasons") or ["refused"]
        return _refused(asked.told, "; ".join(map(str, reasons))) if reasons else None

    def _unanswered(self, what: str, why: str) -> Response | None:
        """Refuse what may be governed while the bridge does not answer, unless it is configured otherwise.

        Not with 503: MLflow's client would repeat that for minutes, and then not show the message.
        """
        if self._is_open:
            _log.warning("mlflow-bridge does not answer (%s): %s is made unchecked", why, what)
            return None
        told = (
            f"mlflow-bridge, whose gates may guard {what}, does not answer ({why}): it is not made; try again"
        )
        return refusal(_FORBIDDEN, "TEMPORARILY_UNAVAILABLE", told)


def _refused(what: str, why: str) -> Response:
    return refusal(_FORBIDDEN, "PERMISSION_DENIED", f"mlflow-bridge refuses {what}: {why}")


def _transitions(kind: str, asked: Any, registry: ServerRegistry) -> Iterator[Transition]:
    """Yield what a request gives to versions; nothing if MLflow will refuse it by itself."""
    from mlflow.entities.model_registry.model_version_stages import get_canonical_stage  # noqa: PLC0415
    from mlflow.exceptions import MlflowException  # noqa: PLC0415 - MLflow's server has imported both

    name = registry.name_of(asked.name)
    if kind == TRANSITIONS["_rename_registered_model"]:
        for version, target in registry.held(name):
            yield Transition(asked.new_name, version, target, name)
    elif kind == TRANSITIONS["_set_registered_model_alias"]:
        for alias in registry.spellings(asked.alias):
            yield Transition(name, asked.version, Target(alias=alias), name)
    else:
        try:
            stage = get_canonical_stage(asked.stage)
        except MlflowException:
            return
        yield Transition(name, asked.version, Target(stage=stage), name)
