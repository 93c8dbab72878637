"""The entry points ``mlflow.app``: ``mlflow server --app-name mlflow-bridge``, or ``mlflow-bridge-auth`` with basic auth.

MLflow's command imports this module before it starts a worker, so that what is wrong with the environment ends it with a
sentence.
"""

import logging
import os
from typing import Any

import click
from flask import Flask

from bridge.mlflow_app.bridge_client import BridgeClient
from bridge.mlflow_app.changed_models import CHANGES, ChangedModels
from bridge.mlflow_app.forwarded_api import ForwardedApi
from bridge.mlflow_app.governed_transitions import TRANSITIONS, GovernedTransitions
from bridge.mlflow_app.guarded_targets import GuardedTargets
from bridge.mlflow_app.plugin_settings import PluginMisconfigured, plugin_settings
from bridge.mlflow_app.user_permissions import Anybody, MlflowUsers, Users

_log = logging.getLogger("mlflow.bridge")  # MLflow's own logging has the time and the level

try:
    _settings = plugin_settings(os.environ)
except PluginMisconfigured as error:
    raise click.ClickException(f"mlflow-bridge: {error}") from None


def create_app() -> Any:
    """Return MLflow's application with the plug-in: ASGI under uvicorn, and else WSGI."""
    from mlflow.server import app  # noqa: PLC0415 - importing it makes the application

    _add_to(app, Anybody())
    return _served(app)


def create_app_with_auth() -> Any:
    """Return MLflow's application with its basic authentication, and the plug-in behind that."""
    from mlflow.server import app, auth  # noqa: PLC0415 - importing it makes the application

    served = auth.create_app(app)
    for path, method in _add_to(app, MlflowUsers()):
        # The routes judge by themselves. MLflow refuses a route without a validator to all but admins (since 3.14).
        auth.BEFORE_REQUEST_VALIDATORS[path, method] = _judged_by_the_route
    return served


def _add_to(app: Flask, users: Users) -> list[tuple[str, str]]:
    """Add routes and hooks to MLflow's application; return the paths and methods of the routes."""
    missing = sorted((CHANGES.keys() | TRANSITIONS.keys()) - app.view_functions.keys())
    if missing:  # a gate that guards nothing must not look like one
        raise click.ClickException(
            f"mlflow-bridge: this MLflow has no {', '.join(missing)}: use another version"
        )
    where = _settings.host if _settings.scheme == "unix" else f"{_settings.host}:{_settings.port}"
    _log.info("mlflow-bridge at %s is told of changes, and asked about governed transitions", where)
    client, guarded = BridgeClient(_settings), GuardedTargets()
    app.before_request(GovernedTransitions(client, users, guarded, is_open=_settings.is_open).before_request)
    app.after_request(ChangedModels(client, users, guarded.learn).after_request)
    return list(ForwardedApi(client, users, guarded).add_to(app))


def _served(app: Flask) -> Any:
    """Return what MLflow's command serves: its FastAPI application around Flask's, where uvicorn serves it (since 3.3)."""
    if os.environ.get("_MLFLOW_SGI_NAME") != "uvicorn":
        return app
    from mlflow.server.fastapi_app import create_fastapi_app  # noqa: PLC0415 - other versions have none

    return create_fastapi_app(app)


def _judged_by_the_route() -> bool:
    return True
