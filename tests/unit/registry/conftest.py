"""Fixtures for what reads a registry."""

import os

import pytest


@pytest.fixture(autouse=True)
def environment_restored(monkeypatch, tmp_path):
    """MLflow's client takes its settings from the process' environment, and from files of the user's."""
    before = dict(os.environ)
    for name in before:
        if name.startswith(("MLFLOW_TRACKING", "MLFLOW_REGISTRY", "DATABRICKS")) or name.lower().endswith(
            "proxy"
        ):
            monkeypatch.delenv(name)
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("NETRC", raising=False)
    yield
    monkeypatch.undo()
    for name in os.environ.keys() - before.keys():
        del os.environ[name]
    os.environ.update(before)
