"""JMESPath expressions: compiled once, evaluated over JSON values, returning only JSON values.

A JMESPath expression (jmespath.org, *Specification*) only reads: it cannot loop, call out or change anything.
The library finds unknown functions and wrong numbers of arguments only during evaluation. Here they are found
when an expression is compiled.
"""

import math
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import pairwise, takewhile
from typing import Any

import jmespath
from jmespath.exceptions import EmptyExpressionError, JMESPathTypeError, LexerError, ParseError
from jmespath.functions import Functions
from jmespath.lexer import Lexer

_FUNCTIONS: Mapping[str, Mapping[str, Any]] = Functions.FUNCTION_TABLE
_BROKEN = (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, RecursionError)
"""What the library raises for an expression or a value that it cannot handle."""

_DEEPEST = 64
"""How deeply the value of an expression may be nested."""


_COMPARING = {"unknown token '='": "unknown token '=' (== compares)"}

_WIDEST = 4_096
"""How many bits an integer may have."""


class ExpressionFault(ValueError):
    """An expression that cannot be compiled: ``what`` is wrong, and ``at`` which position of its text (from 0)."""

    def __init__(self, what: str, at: int) -> None:
        """Make the error's message from the fault and its position."""
        super().__init__(f"at character {at + 1}: {what}")
        self.what = what
        self.at = at


class EvaluationFailed(ValueError):
    """An expression has no value for these members (a function was given a value of a wrong type)."""


@dataclass(frozen=True, slots=True)
class Expression:
    """A compiled expression. Expressions with the same text are equal."""

    text: str
    _parsed: Any = field(repr=False, compare=False)

    def value(self, context: Mapping[str, Any]) -> Any:
        """Return the JSON value of the expression for ``context``; None where it finds nothing.

        Raises:
            EvaluationFailed: the expression has no value.
        """
        try:
            return _as_json(self._parsed.search(context))
        except _BROKEN as error:
            raise EvaluationFailed(f"{self.text!r} has no value: {_why(error)}") from None

    def is_true(self, context: Mapping[str, Any]) -> bool:
        """Whether the value is true by JMESPath's rules: not null, false, or an empty text, list or table.

        Raises:
            EvaluationFailed: the expression has no value.
        """
        value = self.value(context)
        return value is not None and value is not False and value not in ("", [], {})

    @property
    def members(self) -> frozenset[str]:
        """The names of the context's members that the expression reads."""
        return frozenset(_members(self._parsed.parsed))

    def paths(self, context: Mapping[str, Any]) -> list[tuple[str, Any]]:
        """Return the paths of members that the expression reads, such as ``run.metrics.accuracy``, with their values."""
        found = dict.fromkeys(_paths(self._parsed.parsed))
        return [(".".join(path), _at(context, path)) for path in found]


def _at(context: Mapping[str, Any], path: Iterable[str]) -> Any:
    value: Any = context
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def compile_expression(text: str) -> Expression:
    """Return the compiled expression.

    Raises:
        ExpressionFault: the text is no JMESPath expression, or calls a function wrongly.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", PendingDeprecationWarning)
            parsed = jmespath.compile(text)
            tokens = list(Lexer().tokenize(text))
    except EmptyExpressionError:
        raise ExpressionFault("the expression is empty", 0) from None
    except LexerError as error:
        what = _lower(error.message)
        raise ExpressionFault(_COMPARING.get(what, what), error.lex_position) from None
    except ParseError as error:
        raise ExpressionFault(_unexpected(error, text), min(error.lex_position, len(text))) from None
    except PendingDeprecationWarning:
        raise ExpressionFault("a text is written '…', and JSON `…`", text.index("`")) from None
    except _BROKEN as error:
        raise ExpressionFault(f"cannot be read: {_first_line(error)}", 0) from None
    for what, at in _misused(parsed.parsed, tokens):
        raise ExpressionFault(what, at)
    return Expression(text, parsed)


_ONLY_FIRST = frozenset(
    ("subexpression", "index_expression", "pipe", "projection", "filter_projection", "value_projection")
)
"""Nodes of which only the first child is evaluated over the whole context."""


def _members(tree: Mapping[str, Any]) -> Iterator[str]:
    waiting: list[Any] = [tree]
    while waiting:
        node = waiting.pop()
        if node["type"] == "field":
            yield node["value"]
        elif node["type"] in _ONLY_FIRST:
            waiting.append(node["children"][0])
        elif node["type"] not in {"expref", "slice"}:
            waiting += node["children"]


def _paths(tree: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """Yield the paths from the context's members down, in the order of the text; a bare ``null`` is no member."""
    node = tree
    if node["type"] == "field" and node["value"] != "null":
        yield (node["value"],)
    elif node["type"] == "subexpression":
        fields = list(takewhile(lambda child: child["type"] == "field", node["children"]))
        if fields:
            yield tuple(child["value"] for child in fields)
        else:
            yield from _paths(node["children"][0])
    elif node["type"] in _ONLY_FIRST:
        yield from _paths(node["children"][0])
    elif node["type"] not in {"expref", "slice", "field"}:
        for child in node["children"]:
            yield from _paths(child)


def _unexpected(error: ParseError, text: str) -> str:
    if error.lex_position >= len(text) or error.token_value in (None, ""):
        return "the expression ends too early"
    meant = f" (a number is written `{error.token_value}`)" if isinstance(error.token_value, int) else ""
    return f"unexpected {str(error.token_value)!r}{meant}"


def _misused(tree: Mapping[str, Any], tokens: list[dict[str, Any]]) -> Iterator[tuple[str, int]]:
    """Yield the faults that the library would find only on evaluation; calls in the order of the text."""
    places = [
        (one["value"], one["start"])
        for one, following in pairwise(tokens)
        if one["type"] == "unquoted_identifier" and following["type"] == "lparen"
    ]
    for name, at in places:
        if name not in _FUNCTIONS:
            yield f"there is no function {name}(){_meant(name)}", at
    for node, is_argument in _nodes(tree):
        if node["type"] == "expref" and not is_argument:
            yield "&… is no value: it stands only for an argument of a function", 0
        if node["type"] == "function_expression":
            wrong = _wrong_number(node["value"], len(node["children"]))
            if wrong:
                yield wrong, next((at for name, at in places if name == node["value"]), 0)


def _nodes(node: Any, *, is_argument: bool = False) -> Iterator[tuple[Mapping[str, Any], bool]]:
    waiting = [(node, is_argument)]
    while waiting:  # without recursion: an expression may be nested as deeply as the parser accepts
        node, is_argument = waiting.pop()
        if isinstance(node, dict):
            yield node, is_argument
            is_call = node["type"] == "function_expression"
            waiting += [(child, is_call) for child in node["children"]]


def _wrong_number(name: str, given: int) -> str:
    signature = _FUNCTIONS[name]["signature"]
    needed = len(signature)
    if given == needed or (given > needed and signature and signature[-1].get("variadic")):
        return ""
    return f"{name}() takes {needed} argument{'' if needed == 1 else 's'}, not {given}"


def _meant(name: str) -> str:
    close = get_close_matches(name, _FUNCTIONS, n=1)
    return f" (did you mean {close[0]}()?)" if close else ""


def _as_json(value: Any, depth: int = 0) -> Any:
    """Return a copy that holds only JSON values; NaN and infinity, which JSON lacks, become null."""
    if depth > _DEEPEST:
        raise RecursionError
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, int) and value.bit_length() > _WIDEST:
        raise OverflowError("a number is too large")
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, Mapping):
        return {str(key): _as_json(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_as_json(item, depth + 1) for item in value]
    raise TypeError("&… is no value")


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0] or type(error).__name__


def _why(error: BaseException) -> str:
    """Return why an expression has no value, without the values themselves: they may be long, and private."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, JMESPathTypeError):
        return f"{error.function_name}() takes {' or '.join(error.expected_types)}, not {error.actual_type}"
    if isinstance(error, TypeError) and "not supported between" in str(error):
        return "a number is compared with a text (a number is written in backticks: `0.9`)"
    return _first_line(error)


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
