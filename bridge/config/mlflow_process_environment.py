"""Set environment variables for MLflow's client, and keep the values that the operator gave.

MLflow reads credentials from the process environment, so the configured values are written there.
The operator's own values are kept: when the configuration is read again, a value that the bridge has
written must not be taken for one that the operator gave.
"""

import os
from collections import ChainMap
from collections.abc import Mapping

_replaced: dict[str, tuple[str | None, str]] = {}
"""For each variable: the operator's value (None: not set), and the value that the bridge has written."""


def impose(variables: Mapping[str, str]) -> None:
    """Set ``variables`` in the environment of this process."""
    for name, value in variables.items():
        _replaced[name] = (given(name), value)
        os.environ[name] = value


def given(name: str) -> str | None:
    """Return the operator's value of a variable, even if the bridge has overwritten it; None if it was not set."""
    now = os.environ.get(name)
    before, ours = _replaced.get(name, (now, None))
    return before if now == ours else now


def operators_environment() -> Mapping[str, str]:
    """Return the environment with the operator's values; a variable that only the bridge has set is empty in it."""
    own = {name: before or "" for name, (before, ours) in _replaced.items() if os.environ.get(name) == ours}
    return ChainMap(own, os.environ) if own else os.environ


def workspace_of(configured: str | None) -> str | None:
    """Return the workspace for requests: the configured one, or that of the environment; None for the default one."""
    return configured or given("MLFLOW_WORKSPACE") or None
