"""Named texts that a sink passes on: inputs, variables, parameters, each with a shape of its own."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator

from bridge.delivery.outcome import Outcome, Reason, retryable
from bridge.events.shapes import ShapeFault, as_text, compile_shape, context_of
from bridge.sinks.base import Delivery


def _compilable(fields: dict[str, Any]) -> dict[str, Any]:
    compile_shape(fields)
    return fields


Fields = Annotated[dict[str, Any], AfterValidator(_compilable)]
"""A table of names and shapes, as TOML gives it, all of which compile."""


class Texts:
    """Renders a table of shapes as texts: receivers of forms know nothing else."""

    def __init__(self, key: str, fields: Mapping[str, Any]) -> None:
        """Compile ``fields``, which are configured at ``key``."""
        self._key = key
        self._shape = compile_shape(fields)

    def of(self, delivery: Delivery, sink: str) -> dict[str, str] | Outcome:
        """Return the texts for ``delivery``: null is empty, lists and tables are JSON.

        Where an expression has no value over this event, the configuration is at fault, not the event.
        """
        context = context_of(delivery.event, delivery.event_name, sink)
        try:
            values = self._shape.render(context)
        except ShapeFault as fault:
            return retryable(Reason.MISCONFIGURED, f"sinks.{sink}.{self._key}: {fault}")
        return {name: as_text(value) for name, value in values.items()}
