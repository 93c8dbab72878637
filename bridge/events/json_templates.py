"""JSON templates: structures of JSON values with expressions that are filled in from an event.

A text that is exactly ``${EXPRESSION}`` becomes the value of that JMESPath expression, of any type. In any
other text, each ``${EXPRESSION}`` is filled in as text; ``$${`` stands for ``${``. Everything else is
literal. Values are inserted into the structure, never pasted into JSON text, so no name in a registry can
alter what surrounds it.
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
"""The position of a value in a structure: keys and indices, from outside to inside."""

_DEEPEST = 32
_QUOTES = "'\"`"
_BARE = re.compile(r"[A-Za-z0-9_-]+")


class ShapeFault(ValueError):
    """All faults of a template, each with its position in the structure."""

    def __init__(self, faults: list[tuple[Place, str]]) -> None:
        """Make the error's message from the faults."""
        super().__init__("; ".join(f"{told(place)}: {what}" if place else what for place, what in faults))
        self.faults = faults


@dataclass(frozen=True, slots=True)
class _Text:
    """A text with expressions in it: literal parts and expressions."""

    parts: tuple[str | Expression, ...]


@dataclass(frozen=True, slots=True)
class Shape:
    """A compiled template. `compile_shape` makes it."""

    _root: Any

    def render(self, context: Mapping[str, Any]) -> Any:
        """Return the JSON value of the template for ``context``.

        What ``context`` lacks becomes null, and an empty string within a text.

        Raises:
            ShapeFault: an expression has no value (a function was given a value of a wrong type).
        """
        faults: list[tuple[Place, str]] = []
        value = _rendered(self._root, context, (), faults)
        if faults:
            raise ShapeFault(faults)
        return value

    def expressions(self) -> Iterator[tuple[Place, Expression]]:
        """Yield every expression, with its position."""
        yield from _expressions(self._root, ())


def compile_shape(spec: object) -> Shape:
    """Return the compiled form of a TOML value: a text, a table, a list, a number or a boolean.

    Raises:
        ShapeFault: a ValueError, with every fault, its position in the structure, and its position in the text.
    """
    faults: list[tuple[Place, str]] = []
    root = _compiled(spec, (), faults)
    if faults:
        raise ShapeFault(faults)
    return Shape(root)


def context_of(event: Event, event_name: str, sink: str) -> dict[str, Any]:
    """Return the context of expressions: the default body's members, ``delivery_id`` and ``sink``."""
    payload = default_payload(event, event_name, ("webhook_id", webhook_id(sink)))
    return {**payload, "delivery_id": event.id, "sink": sink}


def told(place: Place) -> str:
    """Return a position as text: ``parameters[0].value``."""
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
    """Return a text without expressions as it is, a single expression, or a text with expressions.

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
    """Return where the expression that begins at ``dollar`` ends; braces nest, and those in quotes do not count."""
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
    """Return a JSON value as text: null as an empty string, lists and tables as JSON."""
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
