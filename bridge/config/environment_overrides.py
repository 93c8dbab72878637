"""The process' environment: as the operator gave it, and as MLflow's client is to find it.

MLflow takes what it needs from process-wide variables, so the configuration has to go there. What
stood there before is remembered: a configuration that is read again must not take what the bridge
itself has written for the operator's word.
"""

import os
from collections import ChainMap
from collections.abc import Mapping

_replaced: dict[str, tuple[str | None, str]] = {}
"""By name: what the operator gave (None: nothing), and what was written in its place."""


def impose(variables: Mapping[str, str]) -> None:
    """Set ``variables`` in the environment of this process."""
    for name, value in variables.items():
        _replaced[name] = (given(name), value)
        os.environ[name] = value


def given(name: str) -> str | None:
    """Return what the operator gave for a variable, whatever was written in its place; None where it is not set."""
    now = os.environ.get(name)
    before, ours = _replaced.get(name, (now, None))
    return before if now == ours else now


def operators_environment() -> Mapping[str, str]:
    """Return the environment as the operator gave it; what was not set, and is now, is empty in it."""
    own = {name: before or "" for name, (before, ours) in _replaced.items() if os.environ.get(name) == ours}
    return ChainMap(own, os.environ) if own else os.environ


def workspace_of(configured: str | None) -> str | None:
    """Return the workspace that requests go to: the configured one, else that of the environment; None for the default one."""
    return configured or given("MLFLOW_WORKSPACE") or None
