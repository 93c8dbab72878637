"""The templates in a sink's settings: checked when the configuration is read, rendered at each attempt."""

from typing import Annotated, Any

from pydantic import AfterValidator

from bridge.delivery.attempt_outcome import Outcome, Reason, retryable
from bridge.events.json_templates import Shape, ShapeFault, compile_shape, context_of
from bridge.sinks.base import Delivery


def _compilable(spec: dict[str, Any]) -> dict[str, Any]:
    compile_shape(spec)
    return spec


TemplateTable = Annotated[dict[str, Any], AfterValidator(_compilable)]
"""A table with expressions over an event's members, as TOML gives it (see `bridge.events.json_templates`)."""


def rendered(key: str, shape: Shape, delivery: Delivery, sink: str) -> Any | Outcome:
    """Return the JSON value of the template that ``sink`` has under ``key``, or an outcome if it has none.

    Such an attempt is retried: an operator can correct the template, and nothing is lost until then.
    """
    try:
        return shape.render(context_of(delivery.event, delivery.event_name, sink))
    except ShapeFault as fault:
        return retryable(Reason.MISCONFIGURED, f"sinks.{sink}.{key}: {fault}")
