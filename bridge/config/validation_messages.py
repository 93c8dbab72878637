"""Turn pydantic's validation errors into messages in the terms of TOML and the configuration's keys."""

import json
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from bridge.events.event_names import EVENT_NAMES, STAGES
from bridge.events.json_templates import ShapeFault

_PREFIXES = ("Value error, ", "Input ")


def describe(
    error: ValidationError, model: type[BaseModel], document: Mapping[str, Any], where: str = ""
) -> list[str]:
    """Return a line for each fault: its key, the fault, and what was probably meant."""
    faults = error.errors(include_url=False)
    places = [fault["loc"] for fault in faults]
    lines = [
        line
        for fault in faults
        if not _follows(fault["loc"], places)
        for line in _lines(fault, model, document, where)
    ]
    return list(dict.fromkeys(lines))


def _follows(place: tuple[int | str, ...], places: Sequence[tuple[int | str, ...]]) -> bool:
    """Whether a fault only results from a fault further inside (a list is empty if its only item is wrong)."""
    return any(len(other) > len(place) and other[: len(place)] == place for other in places)


def _lines(
    fault: ErrorDetails, model: type[BaseModel], document: Mapping[str, Any], where: str
) -> Iterator[str]:
    path = fault["loc"]
    error = fault.get("ctx", {}).get("error")
    if isinstance(error, ShapeFault):
        yield from (f"{_key((*path, *place), where)}: {what}" for place, what in error.faults)
    else:
        yield f"{_key(path, where)}: {_message(fault, path, model, document)}"


def _key(path: Sequence[int | str], where: str) -> str:
    key = where
    for part in path:
        key += f"[{part}]" if isinstance(part, int) else f".{_bare(part)}" if key else _bare(part)
    return key or "configuration"


def _bare(part: str) -> str:
    """Return a key in TOML syntax: quoted if it is not a bare key."""
    return part if part.replace("-", "_").isidentifier() else json.dumps(part)


_TYPES = {
    "model_type": "must be a table",
    "dict_type": "must be a table",
    "mapping_type": "must be a table",
    "model_attributes_type": "must be a table",
    "tuple_type": 'must be a list, such as ["..."]',
    "string_type": "must be a text in quotes",
    "bool_type": "must be true or false",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
}
"""Messages for pydantic's type errors, in the terms of TOML."""

_SIZES = {
    "string_too_short": "characters",
    "string_too_long": "characters",
    "too_short": "items",
    "too_long": "items",
}
"""What a length limit counts, for each type of error."""


def _size(fault: ErrorDetails) -> str:
    limits, what = fault.get("ctx", {}), _SIZES[fault["type"]]
    if "max_length" in limits:
        return f"must have at most {limits['max_length']} {what}"
    return (
        "must not be empty"
        if limits.get("min_length") == 1
        else f"must have at least {limits['min_length']} {what}"
    )


def _message(
    fault: ErrorDetails, path: Sequence[int | str], model: type[BaseModel], document: Mapping[str, Any]
) -> str:
    if fault["type"] == "extra_forbidden":
        return f"unknown key{did_you_mean(str(path[-1]), _keys_beside(path, model))}"
    if fault["type"] == "missing":
        return "is missing" + (" (or set MLFLOW_TRACKING_URI)" if path[-1] == "tracking_uri" else "")
    if fault["type"] in _TYPES:
        return _TYPES[fault["type"]]
    if fault["type"] in _SIZES:
        return _size(fault)
    message = fault["msg"]
    for prefix in _PREFIXES:
        message = message.removeprefix(prefix)
    for list_name, known in (("events", EVENT_NAMES), ("to_stages", STAGES), ("from_stages", STAGES)):
        if len(path) > 1 and path[-2] == list_name and "is not the name" in message:
            value = str(_at(document, path))
            message = f"{value!r} {message}{did_you_mean(value, known)}"
    return message


def did_you_mean(word: str, known: Sequence[str] | Mapping[str, Any]) -> str:
    """Return the end of a message about the unknown ``word``: the most similar known word, or all known words."""
    spelled = {name.upper(): name for name in known}
    close = [spelled[name] for name in get_close_matches(word.upper(), spelled, n=1)]
    if close:
        return f" (did you mean {close[0]!r}?)"
    return f": one of {', '.join(known)}"


def _keys_beside(path: Sequence[int | str], model: type[BaseModel]) -> list[str]:
    """Return the known keys of the table that contains the last part of ``path``."""
    current: type[BaseModel] = model
    for part in path[:-1]:
        field = current.model_fields.get(str(part))
        inner = _model_of(field.annotation) if field else None
        if inner is None:
            break
        current = inner
    return list(current.model_fields)


def _model_of(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_model_of, get_args(annotation))), None)


def _at(document: Any, path: Sequence[int | str]) -> Any:
    for part in path:
        document = document[part]
    return document
