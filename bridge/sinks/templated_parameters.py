"""Named texts that a sink sends (inputs, variables, parameters), each made by a template."""

from collections.abc import Mapping
from typing import Any

from bridge.delivery.attempt_outcome import Outcome
from bridge.events.json_templates import as_text, compile_shape
from bridge.sinks.base import Delivery
from bridge.sinks.sink_templates import rendered


class Texts:
    """Renders a table of templates as texts, because receivers of forms accept only texts."""

    def __init__(self, key: str, fields: Mapping[str, Any]) -> None:
        """Compile ``fields``, which are configured under ``key``."""
        self._key = key
        self._shape = compile_shape(fields)

    def of(self, delivery: Delivery, sink: str) -> dict[str, str] | Outcome:
        """Return the texts for ``delivery``: null becomes empty, lists and tables become JSON."""
        values = rendered(self._key, self._shape, delivery, sink)
        if isinstance(values, Outcome):
            return values
        return {name: as_text(value) for name, value in values.items()}
