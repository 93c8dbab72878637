"""Hints about what MLflow's server has changed: collected after each answer, and sent by a thread that nobody waits for."""

import logging
import os
import time
from collections import deque
from collections.abc import Callable, Mapping
from threading import Condition, Thread
from typing import Any

from flask import Response, request

from bridge.mlflow_app.bridge_client import Asker, BridgeClient, BridgeUnreachable
from bridge.mlflow_app.request_workspace import workspace
from bridge.mlflow_app.user_permissions import Users

_log = logging.getLogger("mlflow.bridge")  # MLflow's own logging has the time and the level

_OK = 200
_MOST_WAITING = 1_000
_MOST_SENT = 200
_PATIENCE_S = 5.0
_REST_S = 0.003
"""How long a hint waits for others, and for MLflow's answer to be out: both take turns in one interpreter."""
_LONGEST_NAME = 256
_LONGEST_VALUE = 5_000
"""A longer value is left out: the event it belongs to is then nobody's."""

CHANGES: Mapping[str, tuple[str, str]] = {
    "_create_registered_model": ("registered-models/create", "CreateRegisteredModel"),
    "_rename_registered_model": ("registered-models/rename", "RenameRegisteredModel"),
    "_update_registered_model": ("registered-models/update", "UpdateRegisteredModel"),
    "_delete_registered_model": ("registered-models/delete", "DeleteRegisteredModel"),
    "_set_registered_model_tag": ("registered-models/set-tag", "SetRegisteredModelTag"),
    "_delete_registered_model_tag": ("registered-models/delete-tag", "DeleteRegisteredModelTag"),
    "_set_registered_model_alias": ("registered-models/set-alias", "SetRegisteredModelAlias"),
    "_delete_registered_model_alias": ("registered-models/delete-alias", "DeleteRegisteredModelAlias"),
    "_create_model_version": ("model-versions/create", "CreateModelVersion"),
    "_update_model_version": ("model-versions/update", "UpdateModelVersion"),
    "_transition_stage": ("model-versions/transition-stage", "TransitionModelVersionStage"),
    "_delete_model_version": ("model-versions/delete", "DeleteModelVersion"),
    "_set_model_version_tag": ("model-versions/set-tag", "SetModelVersionTag"),
    "_delete_model_version_tag": ("model-versions/delete-tag", "DeleteModelVersionTag"),
}
"""MLflow's endpoints that change a registry: what a hint calls each, and the class of its request."""

Told = Callable[[str | None, Mapping[str, Any]], None]
"""Gets a workspace, and the bridge's answer to the hints about it."""


class ChangedModels:
    """Hints about the changes that MLflow's server makes."""

    def __init__(self, client: BridgeClient, users: Users, told: Told) -> None:
        """Send hints to ``client``; give its answers to ``told``."""
        self._client = client
        self._users = users
        self._told = told
        self._waiting: deque[tuple[str | None, Mapping[str, Any]]] = deque(maxlen=_MOST_WAITING)
        self._changed = Condition()
        self._process = 0
        self._is_failing = False

    def after_request(self, response: Response) -> Response:
        """Note what a request has changed. It never fails, and waits for nothing."""
        try:
            known = CHANGES.get(request.endpoint or "")
            if known is not None and response.status_code == _OK:
                self._add(_hint(*known, response, self._users.name()))
        except Exception as error:  # noqa: BLE001 - a hint must not spoil the answer: polls find the change, too
            _log.debug("mlflow-bridge: no hint: %s", type(error).__name__)
        return response

    def _add(self, hint: Mapping[str, Any]) -> None:
        if len(hint["model"]) > _LONGEST_NAME:  # the bridge would refuse it, and all that come with it
            return
        with self._changed:
            self._waiting.append((workspace(), hint))
            if self._process != os.getpid():  # threads do not survive a fork
                self._process = os.getpid()
                Thread(target=self._run, name="mlflow-bridge hints", daemon=True).start()
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._waiting:
                    self._changed.wait()
            time.sleep(_REST_S)
            with self._changed:
                place = self._waiting[0][0]
                batch: list[Mapping[str, Any]] = []
                while self._waiting and self._waiting[0][0] == place and len(batch) < _MOST_SENT:
                    batch.append(self._waiting.popleft()[1])
            try:
                self._send(place, batch)
            except Exception as error:  # noqa: BLE001 - the thread has to go on, whatever an answer holds
                self._failed(type(error).__name__)

    def _send(self, place: str | None, batch: list[Mapping[str, Any]]) -> None:
        document = {"hints": batch, **({"workspace": place} if place else {})}
        try:
            answer = self._client.ask("POST", "/api/v1/hints", document, Asker(None, ("read",)), _PATIENCE_S)
        except BridgeUnreachable as error:
            self._failed(str(error))
            return
        if answer.status != _OK:
            self._failed(str(answer.document().get("message") or f"it answered {answer.status}"))
            return
        if self._is_failing:
            self._is_failing = False
            _log.info("mlflow-bridge takes hints again")
        self._told(place, answer.document())

    def _failed(self, why: str) -> None:
        """Tell of the first of several failures: what was not told is found by the bridge's polls."""
        if not self._is_failing:
            self._is_failing = True
            _log.warning(
                "mlflow-bridge takes no hints, and finds changes by its polls until it does: %s", why
            )


def _hint(operation: str, kind: str, response: Response, user: str | None) -> Mapping[str, Any]:
    """Return what was changed, from a request as MLflow itself reads it."""
    asked = message_of(kind)
    arguments = {field.name: value for field, value in asked.ListFields() if isinstance(value, str | bool)}
    if operation == "model-versions/create":
        arguments["version"] = (response.get_json() or {})["model_version"]["version"]
    texts = {name: _text(value) for name, value in arguments.items() if name != "name"}
    return {
        "model": asked.name,
        "operation": operation,
        "arguments": {name: value for name, value in texts.items() if len(value) <= _LONGEST_VALUE},
        **({"user": user} if user else {}),
    }


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def message_of(kind: str) -> Any:
    """Return the present request as one of MLflow's messages, parsed by MLflow's own code, whatever its encoding.

    Raises:
        MlflowException: MLflow will refuse it.
    """
    from mlflow.protos import model_registry_pb2  # noqa: PLC0415 - MLflow's server has imported it
    from mlflow.server import handlers  # noqa: PLC0415

    return handlers._get_request_message(getattr(model_registry_pb2, kind)())  # noqa: SLF001 - no other reads it alike
