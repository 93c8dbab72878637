"""Named texts that a sink passes on: inputs, variables, parameters, each with a template of its own."""

from collections.abc import Mapping
from typing import Any

from bridge.delivery.attempt_outcome import Outcome
from bridge.events.json_templates import as_text, compile_shape
from bridge.sinks.base import Delivery
from bridge.sinks.body_templates import rendered


class Texts:
    """Renders a table of templates as texts: receivers of forms know nothing else."""

    def __init__(self, key: str, fields: Mapping[str, Any]) -> None:
        """Compile ``fields``, which are configured at ``key``."""
        self._key = key
        self._shape = compile_shape(fields)

    def of(self, delivery: Delivery, sink: str) -> dict[str, str] | Outcome:
        """Return the texts for ``delivery``: null is empty, lists and tables are JSON."""
        values = rendered(self._key, self._shape, delivery, sink)
        if isinstance(values, Outcome):
            return values
        return {name: as_text(value) for name, value in values.items()}
