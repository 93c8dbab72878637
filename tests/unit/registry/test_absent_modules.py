"""Modules that MLflow's client looks for at every request, and that are not installed."""

import json
import sys
from importlib.util import find_spec

import pytest

from bridge.registry import mlflow_client
from bridge.registry.mlflow_client import record_absent_modules


def test_a_module_that_is_not_installed_is_not_searched_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mlflow_client, "_NOTEBOOK_MODULES", ("absent_module",))
    monkeypatch.setitem(sys.modules, "absent_module", None)
    del sys.modules["absent_module"]
    record_absent_modules()
    monkeypatch.setattr(sys, "meta_path", [])
    with pytest.raises(ModuleNotFoundError, match="absent_module"):
        __import__("absent_module.part")
    assert find_spec("absent_module") is None


def test_an_installed_module_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mlflow_client, "_NOTEBOOK_MODULES", ("json", "sqlite3.dump"))
    monkeypatch.delitem(sys.modules, "sqlite3.dump", raising=False)
    record_absent_modules()
    assert sys.modules["json"] is json
    assert "sqlite3.dump" not in sys.modules
