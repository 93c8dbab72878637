"""Types, limits and defaults of settings, in the words and the spelling of those who write TOML."""

import json
import re
import types
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from annotated_types import Ge, Gt, Le, MaxLen, MinLen
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from bridge.config.governance_settings import Requirement
from bridge.config.setting_types import (
    Duration,
    HttpUrl,
    OneOrMoreSecrets,
    Rate,
    Secret,
    TextOrNumber,
    TextOrSecret,
)
from bridge.config.sink_settings import Condition, Stage
from bridge.events.event_names import STAGES
from bridge.sinks.sink_templates import TemplateTable
from bridge.sinks.success_condition import SuccessCondition

_NAMED = (
    (Duration, "duration"),
    (Rate, "rate"),
    (HttpUrl, "URL"),
    (OneOrMoreSecrets, "[secret](#secrets), or a list of them"),
    (TextOrNumber, "text or whole number"),
    (TextOrSecret, "text or [secret](#secrets)"),
    (Condition, "JMESPath expression"),
    (Requirement, "JMESPath expression"),
    (SuccessCondition, "JMESPath expression"),
    (Stage, "stage"),
    (TemplateTable, "table of [templates](templates.md)"),
)
_PLAIN = {
    bool: "`true` or `false`",
    int: "whole number",
    float: "number",
    str: "text",
    re.Pattern[str]: "regular expression",
    Any: "any, with [templates](templates.md)",
    Secret: "[secret](#secrets)",
}
_PLURALS = {
    "text or [secret](#secrets)": "texts or [secrets](#secrets)",
    "any, with [templates](templates.md)": "[templates](templates.md)",
}
_UNITS = (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1))


def hint_of(model: type[BaseModel], name: str) -> Any:
    """Return how the field is annotated, without ``| None``."""
    return _without_none(get_type_hints(model, include_extras=True)[name])


def _without_none(hint: Any) -> Any:
    if get_origin(hint) in {Union, types.UnionType}:
        rest = [part for part in get_args(hint) if part is not type(None)]
        return rest[0] if len(rest) == 1 else Union[tuple(rest)]  # noqa: UP007 - of parts known only here
    return hint


def table_of(hint: Any) -> type[BaseModel] | None:
    """Return the settings class that ``hint`` is a table of, where it is one."""
    if get_origin(hint) is Annotated:
        hint = get_args(hint)[0]
    is_table = isinstance(hint, type) and issubclass(hint, BaseModel) and hint is not Secret
    return hint if is_table else None


def item_of(hint: Any) -> type[BaseModel] | None:
    """Return the settings class that ``hint`` is a list of tables of, where it is one."""
    if get_origin(hint) is Annotated:
        hint = get_args(hint)[0]
    return table_of(get_args(hint)[0]) if get_origin(hint) is tuple else None


def spelled_type(hint: Any) -> str:
    """Return the type in words.

    Raises:
        LookupError: there are no words for it yet.
    """
    named = next((words for known, words in _NAMED if _is(hint, known)), "") or _PLAIN.get(hint, "")
    return named or _made_of(get_origin(hint), get_args(hint)) or _table(hint)


def _is(hint: Any, known: Any) -> bool:
    """Whether a type is a known one, perhaps with more conditions: those of `Annotated` come in one row."""
    if get_origin(known) is not Annotated:
        return hint == known
    parts = get_args(known)
    return get_args(hint)[: len(parts)] == parts


def _made_of(origin: Any, parts: Sequence[Any]) -> str:
    """Return the words for a type that is made of others, or nothing where it is none."""
    if origin is Annotated:
        return spelled_type(parts[0])
    if origin is Literal:
        return "one of " + ", ".join(f"`{json.dumps(part)}`" for part in parts)
    if origin is tuple:
        return "list of " + _plural(spelled_type(parts[0]))
    if origin in {dict, Mapping}:
        return "table of " + _plural(spelled_type(parts[1]))
    return " or ".join(map(spelled_type, parts)) if origin in {Union, types.UnionType} else ""


def _table(hint: Any) -> str:
    if not table_of(hint):
        raise LookupError(f"{hint} has no words yet: add some in {__name__}")
    return "table"


def _plural(words: str) -> str:
    return _PLURALS.get(words, words.removeprefix("one of ") if words.startswith("one of ") else f"{words}s")


def limits(hint: Any, field: FieldInfo) -> str:
    """Return which values are allowed, in words, or nothing where all of the type are."""
    if hint == tuple[Stage, ...]:
        return ", ".join(f"`{stage}`" for stage in STAGES)
    bounds = list(field.metadata)
    for part in get_args(hint):  # of `Annotated`, also within `| None`
        bounds += getattr(part, "metadata", [part])
    return "; ".join(filter(None, dict.fromkeys(_bound(bound) for bound in bounds)))


def _bound(bound: Any) -> str:
    words = {Ge: ("ge", "at least"), Gt: ("gt", "more than"), Le: ("le", "at most")}
    for kind, (attribute, said) in words.items():
        if isinstance(bound, kind):
            return f"{said} {getattr(bound, attribute)}"
    if isinstance(bound, MinLen):
        return "not empty"
    return f"{bound.max_length} characters at most" if isinstance(bound, MaxLen) else ""


def spelled_default(hint: Any, field: FieldInfo) -> str:
    """Return the default as it would be written, or nothing where there is none."""
    if field.is_required():
        return ""
    value = field.get_default(call_default_factory=True)
    return "" if value is None or isinstance(value, BaseModel) else f"`{_toml(hint, value)}`"


def _toml(hint: Any, value: Any) -> str:
    if hint == Duration:
        return json.dumps(duration(value))
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml(None, part) for part in value) + "]"
    return "{}" if value == {} else json.dumps(value)


def duration(milliseconds: int) -> str:
    """Return a duration in the largest unit that holds it whole; up to three days in hours."""
    for unit, length in _UNITS:
        if milliseconds % length == 0 and (unit != "d" or milliseconds > 3 * length):
            return f"{milliseconds // length}{unit}"
    raise ValueError(milliseconds)


def pace(distance_ms: int) -> str:
    """Return a distance between attempts as the rate that it is, for a minute."""
    return f"{60_000 // distance_ms}/m"
