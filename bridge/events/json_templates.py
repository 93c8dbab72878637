"""Shapes: structures of JSON values with places that an event's members fill.

A text that is exactly ``${EXPRESSION}`` becomes the value of that JMESPath expression, of
whatever type; in any other text each ``${EXPRESSION}`` is filled in as text; ``$${`` stands
for ``${``. Everything else is literal. Values are put in their places in the structure, never
pasted into JSON: no name that a registry holds can alter what is around it.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bridge.events.event import Event
from bridge.events.formats import default_payload, webhook_id
from bridge.events.jmespath_expressions import (
    EvaluationFailed,
    Expression,
    ExpressionFault,
    compile_expression,
)

Place = tuple[str | int, ...]
"""Where something is in a structure: keys and indices, from outside to inside."""

_DEEPEST = 32
_QUOTES = "'\"`"
_BARE = re.compile(r"[A-Za-z0-9_-]+")


class ShapeFault(ValueError):
    """What is wrong with a shape: all of it, each with its place in the structure."""

    def __init__(self, faults: list[tuple[Place, str]]) -> None:
        """Say what is wrong where."""
        super().__init__("; ".join(f"{told(place)}: {what}" if place else what for place, what in faults))
        self.faults = faults


@dataclass(frozen=True, slots=True)
class _Text:
    """A text with places in it: literal parts, and expressions."""

    parts: tuple[str | Expression, ...]


@dataclass(frozen=True, slots=True)
class Shape:
    """A compiled structure. `compile_shape` makes it."""

    _root: Any

    def render(self, context: Mapping[str, Any]) -> Any:
        """Return the JSON value that the shape has over ``context``.

        What is missing there is null, and empty in a text.

        Raises:
            ShapeFault: an expression has no value (a function was given what it cannot take).
        """
        faults: list[tuple[Place, str]] = []
        value = _rendered(self._root, context, (), faults)
        if faults:
            raise ShapeFault(faults)
        return value

    def expressions(self) -> Iterator[tuple[Place, Expression]]:
        """Yield every expression, with the place that it fills."""
        yield from _expressions(self._root, ())


def compile_shape(spec: object) -> Shape:
    """Return the compiled form of what TOML gave: a text, a table, a list, a number or a boolean.

    Raises:
        ShapeFault: a ValueError, with every fault, its place, and its position in the text.
    """
    faults: list[tuple[Place, str]] = []
    root = _compiled(spec, (), faults)
    if faults:
        raise ShapeFault(faults)
    return Shape(root)


def context_of(event: Event, event_name: str, sink: str) -> dict[str, Any]:
    """Return what expressions see: the default body's members, ``delivery_id`` and ``sink``."""
    payload = default_payload(event, event_name, ("webhook_id", webhook_id(sink)))
    return {**payload, "delivery_id": event.id, "sink": sink}


def told(place: Place) -> str:
    """Return ``place`` as one would write it: ``parameters[0].value``."""
    text = ""
    for part in place:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            key = part if _BARE.fullmatch(part) else json.dumps(part)
            text += f".{key}" if text else key
    return text


def _compiled(spec: object, place: Place, faults: list[tuple[Place, str]]) -> Any:
    if len(place) > _DEEPEST:
        faults.append((place, f"is nested more than {_DEEPEST} levels deep"))
    elif isinstance(spec, str):
        try:
            return _text(spec)
        except ExpressionFault as fault:
            faults.append((place, str(fault)))
    elif isinstance(spec, Mapping):
        faults += [
            ((*place, key), "keys are taken as they are: no ${…} in them") for key in spec if "${" in key
        ]
        return {key: _compiled(item, (*place, key), faults) for key, item in spec.items()}
    elif isinstance(spec, list | tuple):
        return [_compiled(item, (*place, index), faults) for index, item in enumerate(spec)]
    elif isinstance(spec, bool | int) or (isinstance(spec, float) and math.isfinite(spec)):
        return spec
    else:
        faults.append((place, "JSON has no such value: write it as a text"))
    return None


def _text(text: str) -> Any:
    """Return a text without places as it is, a place that stands alone, or a text with places.

    Raises:
        ExpressionFault: with the position in ``text``.
    """
    parts: list[str | Expression] = []
    literal, at = "", 0
    while (dollar := text.find("$", at)) >= 0:
        literal += text[at:dollar]
        if text.startswith("$${", dollar):
            literal, at = literal + "${", dollar + 3
        elif text.startswith("${", dollar):
            end = _end(text, dollar)
            parts += [literal] if literal else []
            parts.append(_expression(text, dollar + 2, end))
            literal, at = "", end + 1
        else:
            literal, at = literal + "$", dollar + 1
    literal += text[at:]
    if not parts:
        return literal
    if not literal and len(parts) == 1:
        return parts[0]
    return _Text((*parts, literal) if literal else tuple(parts))


def _expression(text: str, start: int, end: int) -> Expression:
    try:
        return compile_expression(text[start:end])
    except ExpressionFault as fault:
        raise ExpressionFault(fault.what, start + fault.at) from None


def _end(text: str, dollar: int) -> int:
    """Return where the place that begins at ``dollar`` ends: braces nest, and quotes hide them."""
    depth, quote, at = 0, "", dollar + 1
    while at < len(text):
        char = text[at]
        if quote:
            at += char == "\\"
            quote = "" if char == quote else quote
        elif char in _QUOTES:
            quote = char
        else:
            depth += (char == "{") - (char == "}")
            if depth == 0:
                return at
        at += 1
    open_ = f", or the {quote} in it" if quote else ""
    raise ExpressionFault(f"${{ is not closed{open_} (a literal ${{ is written $${{)", dollar)


def _rendered(part: Any, context: Mapping[str, Any], place: Place, faults: list[tuple[Place, str]]) -> Any:
    if isinstance(part, dict):
        return {key: _rendered(item, context, (*place, key), faults) for key, item in part.items()}
    if isinstance(part, list):
        return [_rendered(item, context, (*place, index), faults) for index, item in enumerate(part)]
    try:
        if isinstance(part, Expression):
            return part.value(context)
        if isinstance(part, _Text):
            return "".join(
                piece if isinstance(piece, str) else as_text(piece.value(context)) for piece in part.parts
            )
    except EvaluationFailed as failed:
        faults.append((place, str(failed)))
    return part


def as_text(value: Any) -> str:
    """Return a JSON value as it stands in a text: null as nothing, lists and tables as JSON."""
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _expressions(part: Any, place: Place) -> Iterator[tuple[Place, Expression]]:
    if isinstance(part, Expression):
        yield place, part
    elif isinstance(part, _Text):
        yield from ((place, piece) for piece in part.parts if isinstance(piece, Expression))
    elif isinstance(part, dict | list):
        items = part.items() if isinstance(part, dict) else enumerate(part)
        for key, item in items:
            yield from _expressions(item, (*place, key))
