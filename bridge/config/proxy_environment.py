"""This process' environment, with the variables for proxies as the operator set them.

MLflow's client is given other values for some (`bridge.registry.proxy_variables`): process-wide, since it knows no
other place. Decisions rest on the operator's.
"""

import os
from collections import ChainMap
from collections.abc import Mapping

_given: dict[str, tuple[str, str]] = {}
"""What MLflow's client was given, by variable: that value, and the operator's own."""


def operators_environment() -> Mapping[str, str]:
    """Return the environment as the operator set it."""
    own = {name: before for name, (given, before) in _given.items() if os.environ.get(name) == given}
    return ChainMap(own, os.environ) if own else os.environ


def remember_given(variables: Mapping[str, str]) -> None:
    """Note what these variables hold now, before MLflow's client is given other values for them."""
    environment = operators_environment()
    _given.update({name: (value, environment.get(name, "")) for name, value in variables.items()})
