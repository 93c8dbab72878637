"""Which version held which stage and alias when, as spans of time, from recorded events and the present model. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bridge.diff.snapshot import NO_STAGE, RegisteredModel, version_order
from bridge.events.event import Event
from bridge.events.name_stage_alias_history import Step, alias_steps, stage_steps

_RANKS = {"Production": 0, "Staging": 1}
_LAST = 2


@dataclass(frozen=True, slots=True)
class Span:
    """A stage or an alias (``@name``) that a version held from ``begin`` to ``end``, ms since the epoch.

    ``is_earlier`` says that it began before the first recorded event, ``is_now`` that it lasts.
    """

    holder: str
    version: str
    begin: int
    end: int
    is_earlier: bool
    is_now: bool


def spans_of(model: RegisteredModel | None, events: Sequence[Event], begin: int, end: int) -> list[Span]:
    """Return the spans between two times: stages first (Production, then Staging), then aliases.

    Args:
        model: the model as it is now; None if it is deleted.
        events: those of the model, in the order in which they were observed.
        begin: the earlier time, ms since the epoch.
        end: the later one.
    """
    return sorted(_spans(model, events, begin, end), key=_order)


def _order(span: Span) -> tuple[bool, int, str, int, tuple[int, str]]:
    rank = _RANKS.get(span.holder, _LAST)
    return span.holder.startswith("@"), rank, span.holder, span.begin, version_order(span.version)


def _spans(model: RegisteredModel | None, events: Sequence[Event], begin: int, end: int) -> Iterator[Span]:
    stages, aliases = stage_steps(events), alias_steps(events)
    for version in model.versions.values() if model else ():
        if not stages[version.version]:  # no event changed its stage
            stages[version.version] = [Step(end, version.stage, version.stage)]
    for alias, holder in model.aliases if model else ():
        if not aliases[alias]:
            aliases[alias] = [Step(end, holder, holder)]
    for number, steps in stages.items():
        for stage, since, until, is_earlier in _held(steps, begin, end):
            if stage != NO_STAGE:
                yield Span(stage, number, since, until, is_earlier, until == end)
    for alias, steps in aliases.items():
        for number, since, until, is_earlier in _held(steps, begin, end):
            yield Span(f"@{alias}", number, since, until, is_earlier, until == end)


def _held(steps: Sequence[Step], begin: int, end: int) -> Iterator[tuple[str, int, int, bool]]:
    """Yield each known value, from when to when it lasted, and whether it began before the first step."""
    if not steps:
        return
    values = [(steps[0].before, begin), *((step.after, max(step.at, begin)) for step in steps)]
    ends = [since for _, since in values[1:]] + [end]
    for number, ((value, since), until) in enumerate(zip(values, ends, strict=True)):
        if value and since < until:
            yield value, since, until, number == 0
