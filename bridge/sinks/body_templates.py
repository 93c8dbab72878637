"""Templates as sinks have them: checked when they are read, rendered at each attempt."""

from typing import Annotated, Any

from pydantic import AfterValidator

from bridge.delivery.attempt_outcome import Outcome, Reason, retryable
from bridge.events.json_templates import Shape, ShapeFault, compile_shape, context_of
from bridge.sinks.base import Delivery


def _compilable(spec: dict[str, Any]) -> dict[str, Any]:
    compile_shape(spec)
    return spec


TemplateTable = Annotated[dict[str, Any], AfterValidator(_compilable)]
"""A table with places for an event's members, as TOML gives it (see `bridge.events.json_templates`)."""


def rendered(key: str, shape: Shape, delivery: Delivery, sink: str) -> Any | Outcome:
    """Return the JSON value of the template that ``sink`` has under ``key``, or why there is none.

    What has no value is worth another try: an operator can mend the template, and nothing is lost until then.
    """
    try:
        return shape.render(context_of(delivery.event, delivery.event_name, sink))
    except ShapeFault as fault:
        return retryable(Reason.MISCONFIGURED, f"sinks.{sink}.{key}: {fault}")
