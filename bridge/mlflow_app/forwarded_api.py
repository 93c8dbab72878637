"""The bridge's API at MLflow's address: each request is checked by MLflow's permissions, and handed on.

The bridge answers from its own state: nothing here waits for MLflow's server, whose only worker may be this one.
"""

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from threading import BoundedSemaphore
from typing import Any
from urllib.parse import parse_qsl

from flask import Flask, Response, request

from bridge.mlflow_app.bridge_client import Answer, Asker, BridgeClient, BridgeRefused, BridgeUnreachable
from bridge.mlflow_app.guarded_targets import GuardedTargets
from bridge.mlflow_app.request_workspace import workspace
from bridge.mlflow_app.server_answers import answer, refusal
from bridge.mlflow_app.user_permissions import Users

PREFIXES = ("/api/2.0/mlflow", "/api/2.0/preview/mlflow", "/ajax-api/2.0/mlflow")
_HERE = PREFIXES[0]
_WEBHOOKS, _REQUESTS = "registry-webhooks", "transition-requests"
_METHODS: Mapping[tuple[str, str], str] = {
    (_WEBHOOKS, "create"): "POST",
    (_WEBHOOKS, "list"): "GET",
    (_WEBHOOKS, "update"): "PATCH",
    (_WEBHOOKS, "delete"): "DELETE",
    (_WEBHOOKS, "test"): "POST",
    (_REQUESTS, "create"): "POST",
    (_REQUESTS, "list"): "GET",
    (_REQUESTS, "approve"): "POST",
    (_REQUESTS, "reject"): "POST",
    (_REQUESTS, "delete"): "DELETE",
}
_NAMING = frozenset({"name", "version", "stage", "alias", "creator"})
"""The arguments that name a request where its id does not."""

_LISTS = frozenset({"events"})
"""The arguments of which a query may have several."""

_ID = re.compile("[0-9A-Za-z_]{1,64}")
_LONGEST_BODY = 1024 * 1024
_TEST_S = 65.0
"""The bridge itself gives up after 60 s: a test waits for its receiver."""
_PATIENCE_S = 10.0
_MOST_AT_ONCE = 8
"""How many calls a process hands on at once: MLflow answers its own requests in the same 40 threads."""
_READ, _WATCH, _DECIDE = ("read",), ("read", "webhooks"), ("read", "request", "decide")

Given = dict[str, Any]


class ForwardedApi:
    """The routes of the API in MLflow's application."""

    def __init__(self, client: BridgeClient, users: Users, guarded: GuardedTargets) -> None:
        """Hand on to ``client`` what ``users`` may ask for, in the workspace that the bridge polls."""
        self._client = client
        self._users = users
        self._guarded = guarded
        self._free = BoundedSemaphore(_MOST_AT_ONCE)

    def add_to(self, app: Flask) -> Iterator[tuple[str, str]]:
        """Add the routes; yield the path and the method of each."""
        prefix = static_prefix()
        for (area, verb), method in _METHODS.items():
            view = self._view(area, verb)
            for number, before in enumerate(PREFIXES):
                path = f"{prefix}{before}/{area}/{verb}"
                app.add_url_rule(path, f"mlflow_bridge_{area}_{verb}_{number}", view, methods=[method])
                yield path, method

    def _view(self, area: str, verb: str) -> Callable[[], Response]:
        from mlflow.exceptions import MlflowException  # noqa: PLC0415 - MLflow's server has imported it

        def view() -> Response:
            if not self._free.acquire(blocking=False):
                return refusal(
                    503, "TEMPORARILY_UNAVAILABLE", "too many requests at once: try again in a moment"
                )
            try:
                return self._handled(area, verb)
            except MlflowException as error:  # there is no such model
                return answer(error.get_http_status_code(), error.serialize_as_json().encode())
            except BridgeRefused as error:
                return refusal(
                    503, "TEMPORARILY_UNAVAILABLE", f"mlflow-bridge refuses MLflow's server: {error}"
                )
            except BridgeUnreachable as error:
                return refusal(503, "TEMPORARILY_UNAVAILABLE", f"mlflow-bridge does not answer ({error})")
            finally:
                self._free.release()

        return view

    def _handled(self, area: str, verb: str) -> Response:
        if request.headers.get("Sec-Fetch-Site", "none") not in {"none", "same-origin"}:
            return refusal(403, "PERMISSION_DENIED", "the request comes from a page of another site")
        if not self._guarded.is_polled(self._client, workspace()):
            return refusal(400, "INVALID_PARAMETER_VALUE", "mlflow-bridge does not poll this workspace")
        if (request.content_length or 0) > _LONGEST_BODY:
            return refusal(413, "MALFORMED_REQUEST", f"the body is longer than {_LONGEST_BODY} bytes")
        try:
            given = _arguments()
        except ValueError as error:
            return refusal(400, "MALFORMED_REQUEST", str(error))
        if area == _WEBHOOKS:
            return self._webhooks(verb, given)
        return self._requests(verb, given)

    def _requests(self, verb: str, given: Given) -> Response:
        """Hand on what is about transition requests: whoever may read a model may ask, and who manages it decides."""
        request_id = given.get("transition_request_id")
        # The bridge goes by the id alone, if there is one: nothing else may be judged, or handed on.
        if request_id is not None:
            given = {name: value for name, value in given.items() if name not in _NAMING}
        model = given.get("name") if request_id is None else self._model_of_request(request_id)
        if not isinstance(model, str) or not model:  # the bridge says what is missing
            return self._forwarded(_REQUESTS, verb, given, _READ)
        manages = self._users.may_manage(model)
        if verb in {"approve", "reject"} and not manages:
            return self._denied(f"deciding on requests for {model!r} needs MANAGE permission for it")
        if not (manages or self._users.may_read(model)):
            return self._denied(f"requests for {model!r} need READ permission for it")
        return self._forwarded(_REQUESTS, verb, given, _DECIDE if manages else _DECIDE[:2])

    def _webhooks(self, verb: str, given: Given) -> Response:
        """Hand on what is about webhooks: who manages a model keeps its webhooks, and an admin those of all models."""
        if self._users.is_admin():
            return self._forwarded(_WEBHOOKS, verb, given, _WATCH)
        model = (
            given.get("model_name") if verb in {"create", "list"} else self._model_of_webhook(given.get("id"))
        )
        if verb == "list" and not model:
            return self._listed(given)
        if not isinstance(model, str) or not model:
            return self._denied("webhooks of all models, and those that do not exist, are for admins")
        if not self._users.may_manage(model):
            return self._denied(f"webhooks of {model!r} need MANAGE permission for it")
        return self._forwarded(_WEBHOOKS, verb, given, _WATCH)

    def _listed(self, given: Given) -> Response:
        """Return a page of the webhooks without those of models that the user does not manage."""
        found = self._ask("GET", f"{_HERE}/{_WEBHOOKS}/list", given, _WATCH)
        page = found.document()
        if "webhooks" not in page:
            return answer(found.status, found.body)
        names = {one.get("model_name") or "" for one in page["webhooks"]}
        managed = {name for name in names if name and self._manages(name)}
        page["webhooks"] = [one for one in page["webhooks"] if one.get("model_name") in managed]
        return answer(found.status, json.dumps(page).encode())

    def _manages(self, model: str) -> bool:
        from mlflow.exceptions import MlflowException  # noqa: PLC0415 - MLflow's server has imported it

        try:
            return self._users.may_manage(model)
        except MlflowException:  # it was deleted
            return False

    def _model_of_request(self, request_id: object) -> object:
        if not isinstance(request_id, str) or not _ID.fullmatch(request_id):
            return None
        found = self._ask("GET", f"/api/v1/requests/{request_id}", {}, _READ)
        return found.document().get("model_name")

    def _model_of_webhook(self, webhook_id: object) -> object:
        token = None
        while True:
            given = {"max_results": 1000, **({"page_token": token} if token else {})}
            page = self._ask("GET", f"{_HERE}/{_WEBHOOKS}/list", given, _WATCH).document()
            for one in page.get("webhooks", ()):
                if one.get("id") == webhook_id:
                    return one.get("model_name")
            token = page.get("next_page_token")
            if not token:
                return None

    def _ask(self, method: str, path: str, given: Given, may: tuple[str, ...]) -> Answer:
        return self._client.ask(method, path, given, Asker(self._users.name(), may), _PATIENCE_S)

    def _forwarded(self, area: str, verb: str, given: Given, may: tuple[str, ...]) -> Response:
        asker, path = Asker(self._users.name(), may), f"{_HERE}/{area}/{verb}"
        patience_s = _TEST_S if verb == "test" else _PATIENCE_S
        found = self._client.ask(_METHODS[area, verb], path, given, asker, patience_s)
        return answer(found.status, found.body)

    def _denied(self, why: str) -> Response:
        return refusal(403, "PERMISSION_DENIED", f"{self._users.name()} may not do this: {why}")


def static_prefix() -> str:
    """Return ``--static-prefix`` of MLflow's server."""
    return os.environ.get("_MLFLOW_STATIC_PREFIX", "").rstrip("/")


def _arguments() -> Given:
    """Return the arguments of a request, from its query and its body alike; those in the body count more.

    The bridge gets exactly what is judged here, so that no text means one thing here and another there.

    Raises:
        ValueError: they are not text, or the body is not a JSON object.
    """
    found: Given = {}
    for name, value in parse_qsl(
        request.query_string.decode("latin-1"), keep_blank_values=True, errors="strict"
    ):
        found[name] = [*found.get(name, []), value] if name in _LISTS else value
    body = request.get_data(cache=False)
    if not body.strip():
        return found
    try:
        given = json.loads(body)
    except (ValueError, RecursionError):
        raise ValueError("the body is not JSON") from None
    if not isinstance(given, dict):
        raise ValueError("the body must be a JSON object")  # noqa: TRY004 - one kind of error for the caller
    return {**found, **given}
