"""Who asks MLflow's server, and what MLflow's basic authentication lets them do.

By MLflow's permissions of a registered model (MLflow, *Authentication with Username and Password*): READ may request,
MANAGE may also decide and keep that model's webhooks, an admin may do so for every model.
"""

from collections.abc import Callable
from typing import Any, Protocol

from flask import current_app, g, request

from bridge.mlflow_app.request_workspace import restore_workspace, workspace


class Users(Protocol):
    """Tells who asks, during a request to MLflow's server."""

    def name(self) -> str | None:
        """Return the user's name, or None where the server does not authenticate."""
        ...

    def is_admin(self) -> bool:
        """Whether the user may do everything."""
        ...

    def may_read(self, model: str) -> bool:
        """Whether the user may read a registered model; raises ``MlflowException`` if there is none."""
        ...

    def may_manage(self, model: str) -> bool:
        """Whether the user may manage a registered model; raises ``MlflowException`` if there is none."""
        ...


class Anybody:
    """`Users` of a server without authentication: nobody is known, and everybody may do everything."""

    def name(self) -> str | None:
        """Return nobody."""
        return None

    def is_admin(self) -> bool:
        """Return that they may."""
        return True

    def may_read(self, model: str) -> bool:  # noqa: ARG002 - a `Users`
        """Return that they may."""
        return True

    def may_manage(self, model: str) -> bool:  # noqa: ARG002 - a `Users`
        """Return that they may."""
        return True


class MlflowUsers:
    """`Users` of MLflow's basic authentication, whose hook has authenticated the request before."""

    def name(self) -> str | None:
        """Return the user's name."""
        known = getattr(g, "mlflow_authenticated_user", None)  # since MLflow 3.13
        given = request.authorization
        return str(known or (given and given.username) or _auth().authenticate_request().username)

    def is_admin(self) -> bool:
        """Whether MLflow calls the user an admin."""
        return bool(_auth().sender_is_admin())

    def may_read(self, model: str) -> bool:
        """Whether the user has READ permission, or is an admin."""
        return self.is_admin() or _asked_about(model, _auth().validate_can_read_registered_model)

    def may_manage(self, model: str) -> bool:
        """Whether the user has MANAGE permission, or is an admin."""
        return self.is_admin() or _asked_about(model, _auth().validate_can_manage_registered_model)


def _auth() -> Any:
    from mlflow.server import auth  # noqa: PLC0415 - only a server with basic authentication has its packages

    return auth


def _asked_about(model: str, validator: Callable[[], bool]) -> bool:
    """Return what one of MLflow's validators says of this user and a model: it reads both from the request."""
    headers = {name: value for name, value in request.headers.items() if name not in _OF_BODY}
    body = {"name": model}
    place = workspace()
    try:
        with current_app.test_request_context("/", method="POST", json=body, headers=headers):
            return bool(validator())
    finally:
        restore_workspace(place)  # the end of a request's context clears that of the one around it


_OF_BODY = frozenset({"Content-Type", "Content-Length", "Transfer-Encoding", "Content-Encoding"})
