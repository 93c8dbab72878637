"""The entry points, in an application with MLflow's endpoints."""

import importlib
import sys
from types import SimpleNamespace

import click
import pytest
from flask import Flask

from bridge.mlflow_app.changed_models import CHANGES
from bridge.mlflow_app.governed_transitions import TRANSITIONS
from bridge.mlflow_app.user_permissions import Anybody

MODULE = "bridge.mlflow_app.server_factories"


@pytest.fixture
def factories(monkeypatch):
    """The module as MLflow's command imports it; it is not left behind for others."""
    monkeypatch.setenv("MLFLOW_BRIDGE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_BRIDGE_TOKEN", "0123456789abcdef")
    monkeypatch.delitem(sys.modules, MODULE, raising=False)
    yield importlib.import_module(MODULE)
    sys.modules.pop(MODULE, None)


def with_endpoints(*names: str) -> Flask:
    app = Flask(__name__)
    for name in names:
        app.add_url_rule(f"/{name}", name, lambda: "")
    return app


def test_routes_and_hooks_are_added_to_an_application_with_mlflows_endpoints(factories, monkeypatch) -> None:
    app = with_endpoints(*(CHANGES.keys() | TRANSITIONS.keys()))
    assert len(factories._add_to(app, Anybody())) == 30
    assert (len(app.before_request_funcs[None]), len(app.after_request_funcs[None])) == (1, 1)
    monkeypatch.delenv("_MLFLOW_SGI_NAME", raising=False)
    assert factories._served(app) is app


def test_an_mlflow_without_one_of_the_endpoints_is_refused_in_a_sentence(factories) -> None:
    with pytest.raises(click.ClickException, match="this MLflow has no _transition_stage"):
        factories._add_to(with_endpoints(*(CHANGES.keys() - {"_transition_stage"})), Anybody())


def test_with_basic_authentication_its_hooks_come_first_and_every_route_has_a_validator(
    factories, monkeypatch
) -> None:
    app = with_endpoints(*(CHANGES.keys() | TRANSITIONS.keys()))
    auth = SimpleNamespace(BEFORE_REQUEST_VALIDATORS={}, create_app=lambda given: ("around", given))
    monkeypatch.setitem(sys.modules, "mlflow.server", SimpleNamespace(app=app, auth=auth))
    assert factories.create_app_with_auth() == ("around", app)
    assert len(auth.BEFORE_REQUEST_VALIDATORS) == 30
    assert all(validator() for validator in auth.BEFORE_REQUEST_VALIDATORS.values())


def test_without_authentication_everybody_may(factories, monkeypatch) -> None:
    app = with_endpoints(*(CHANGES.keys() | TRANSITIONS.keys()))
    monkeypatch.setitem(sys.modules, "mlflow.server", SimpleNamespace(app=app))
    monkeypatch.delenv("_MLFLOW_SGI_NAME", raising=False)
    assert factories.create_app() is app


@pytest.mark.parametrize("missing", ["MLFLOW_BRIDGE_URL", "MLFLOW_BRIDGE_TOKEN"])
def test_an_environment_that_says_too_little_ends_mlflows_command(monkeypatch, missing) -> None:
    monkeypatch.setenv("MLFLOW_BRIDGE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_BRIDGE_TOKEN", "0123456789abcdef")
    monkeypatch.delenv(missing)
    monkeypatch.delitem(sys.modules, MODULE, raising=False)
    with pytest.raises(click.ClickException, match=f"{missing} is missing"):
        importlib.import_module(MODULE)
