"""The success condition of an ``http`` sink, evaluated over a 2xx answer.

Chat services and gateways answer 200 and report a failure in the body. The condition is a JMESPath expression
over ``status`` (a number), ``headers`` (by name, ignoring case), ``body`` (the answer's JSON, else null) and
``text`` (the answer as text, without surrounding blanks).
"""

import json
import re
from typing import Annotated, Any

from pydantic import PlainValidator

from bridge.delivery.attempt_outcome import Outcome, Reason, delivered, retryable
from bridge.delivery.http_status_outcome import retry_after_ms
from bridge.events.display_text import count
from bridge.events.jmespath_expressions import EvaluationFailed, Expression, compile_expression
from bridge.sinks.base import Response

JUDGED_BYTES = 1_048_576
"""How much of an answer is read for the condition."""

_MEMBERS = ("status", "headers", "body", "text")
_LONGEST_SHOWN = 120


def success_condition(value: object) -> Expression:
    """Return the compiled condition.

    Raises:
        ValueError: it is no JMESPath expression, or uses a member that no answer has.
    """
    if not isinstance(value, str):
        msg = 'must be a JMESPath expression in quotes, such as "body.ok"'
        raise ValueError(msg)  # noqa: TRY004 - pydantic collects ValueError
    condition = compile_expression(value)
    for name in sorted(
        condition.members.difference(_MEMBERS, ("null",))
    ):  # null is never found, which is intended
        found = re.search(rf"\b{re.escape(name)}\b", value)
        known = f"an answer has no {name}, it has {', '.join(_MEMBERS)}"
        what = f"{name} is written `{name}`" if name in {"true", "false"} else known
        raise ValueError(f"at character {found.start() + 1}: {what}" if found else what)
    return condition


SuccessCondition = Annotated[Expression, PlainValidator(success_condition)]
"""A compiled JMESPath expression over an answer."""


class _Headers(dict[str, str]):
    """Headers that JMESPath finds whatever the case of the name."""

    def get(self, name: Any, default: Any = None) -> Any:
        return super().get(str(name).lower(), default)


def outcome_of_success(condition: Expression, answer: Response, now_ms: int) -> Outcome:
    """Return the outcome of a 2xx answer: delivered only if the condition is true.

    The receiver may complain about the settings or about the event. Retrying loses nothing in either case.
    """
    try:
        if condition.is_true(_context(answer)):
            return delivered(answer.status)
        why = f"{_shown(condition)} is not true of the answer"
    except EvaluationFailed as error:
        why = str(error)
    cut = (
        ""
        if answer.is_whole
        else f" (of which no more than {count(len(answer.body), 'byte')} came or were read)"
    )
    detail = f"HTTP {answer.status}, but no success: {why}{cut}"
    return retryable(Reason.UNSUCCESSFUL, detail, answer.status, retry_after_ms(answer.headers, now_ms))


def _context(answer: Response) -> dict[str, Any]:
    return {
        "status": answer.status,
        "headers": _Headers(answer.headers),
        "body": _json(answer.body),
        "text": answer.body.decode("utf-8-sig", "replace").strip(),
    }


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _shown(condition: Expression) -> str:
    text = condition.text
    shown = text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"
    return f"success = {shown!r}"
