"""Validate templates by rendering them with a sample of every event that a sink asks for. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any

from bridge.events.event_names import EVENT_NAMES
from bridge.events.jmespath_expressions import EvaluationFailed, Expression
from bridge.events.json_templates import Place, ShapeFault, compile_shape, context_of, told
from bridge.events.sample_events import synthetic_details, synthetic_event

_EVENT_ID = "00000000-0000-4000-8000-000000000000"
_SOMETHING = "sample"
"""The sample value of a field that a registry may leave empty."""


@dataclass(frozen=True, slots=True)
class Samples:
    """The contexts that a sink's templates are rendered with: one for each event name that it asks for.

    Attributes:
        sparse: contexts with null for every field that a registry may leave empty.
        full: contexts with a value for those fields.
    """

    sparse: Mapping[str, Mapping[str, Any]]
    full: Mapping[str, Mapping[str, Any]]


def samples_of(
    sink: str, events: Sequence[str], to_stages: tuple[str, ...], include: tuple[str, ...] = ()
) -> Samples:
    """Return the samples for the sink of this name, with the details that it includes."""
    sparse: dict[str, Mapping[str, Any]] = {}
    for asked in events:
        name = EVENT_NAMES[asked].name
        event = synthetic_event(asked, to_stages, _EVENT_ID, 0)
        if include:
            event = replace(event, details=dict.fromkeys(include))
        sparse[name] = context_of(event, name, sink)
    more = {"details": open_sample(synthetic_details(include), _SOMETHING)} if include else {}
    full = {
        name: {key: _SOMETHING if value is None else value for key, value in context.items()} | more
        for name, context in sparse.items()
    }
    return Samples(sparse, full)


class _Open(dict[str, Any]):
    """A mapping whose keys are not known beforehand, such as tags: every key has a sample value."""

    sample: Any = _SOMETHING

    def get(self, key: str, default: Any = None) -> Any:  # noqa: ARG002 - a mapping's interface
        """Return the value of ``key``, or a sample value."""
        return super().get(key, self.sample)


_NAMED_BY_PEOPLE = frozenset({"metrics", "params", "tags", "aliases", "stages", "missing"})


def open_sample(value: Any, metric: Any, name: str = "") -> Any:
    """Return sample details in which every metric, parameter and tag has a value, metrics the value ``metric``."""
    if not isinstance(value, Mapping):
        return value
    members = {key: open_sample(one, metric, key) for key, one in value.items()}
    if name not in _NAMED_BY_PEOPLE:
        return members
    found = _Open(members)
    found.sample = metric if name == "metrics" else _SOMETHING
    return found


def faults(shapes: Mapping[str, Any], samples: Samples) -> list[tuple[Place, str]]:
    """Return the places in the templates that have no value for an event that the sink can get."""
    found: dict[tuple[Place, str], list[str]] = {}
    for key, spec in shapes.items():
        shape = compile_shape(spec)
        for name in samples.sparse:
            for context in (samples.sparse[name], samples.full[name]):
                try:
                    shape.render(context)
                except ShapeFault as fault:
                    for place, what in fault.faults:
                        found.setdefault(((key, *place), what), []).append(name)
    return [(place, f"{what} (for {_listed(names)})") for (place, what), names in found.items()]


def gaps(shapes: Mapping[str, Any], when: Expression | None, samples: Samples) -> Iterator[str]:
    """Yield a warning, beginning with its key, for each expression that is null for an event that the sink can get."""
    for key, spec in shapes.items():
        for place, expression in compile_shape(spec).expressions():
            empty = [name for name, context in samples.full.items() if _is_null(expression, context)]
            if empty:
                yield (
                    f"{told((key, *place))}: ${{{expression.text}}} is null for {_listed(empty)}"
                    f"{_meant(expression.members, samples)}"
                )
    if when is not None:
        yield from _open_questions(when, samples)


def _open_questions(when: Expression, samples: Samples) -> Iterator[str]:
    for name in sorted(when.members.difference(*samples.full.values())):
        hint = _quoted(when.text, name) or _meant([name], samples)
        yield f"when: {name!r} is in no event that it asks for{hint}"
    failing = [name for name, context in samples.sparse.items() if _fails(when, context)]
    if failing:
        yield f"when: has no value for {_listed(failing)}: what it cannot decide is delivered"


def _is_null(expression: Expression, context: Mapping[str, Any]) -> bool:
    try:
        return expression.value(context) is None and bool(
            expression.members
        )  # an expression without fields is null on purpose
    except EvaluationFailed:
        return False  # an evaluation error is reported as a fault


def _fails(expression: Expression, context: Mapping[str, Any]) -> bool:
    try:
        expression.value(context)
    except EvaluationFailed:
        return True
    return False


def _quoted(text: str, name: str) -> str:
    """Return a hint if a name is in double quotes, which mean a field in JMESPath, not a text."""
    return f" (a text stands in single quotes: '{name}')" if f'"{name}"' in text else ""


def _meant(names: Iterable[str], samples: Samples) -> str:
    known = sorted(set().union(*samples.full.values()))
    for name in sorted(set(names).difference(known)):
        close = get_close_matches(name, known, n=1)
        if close:
            return f" (did you mean {close[0]!r}?)"
    return ""


def _listed(names: Sequence[str]) -> str:
    return ", ".join(dict.fromkeys(names))
