"""The delivery state of a sink: running, paused, stopped, failing, or resting for a while. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from enum import StrEnum, unique
from typing import Any, Self

from bridge.delivery.attempt_outcome import Outcome, Reason, Verdict
from bridge.delivery.retry_policy import Attempt, RetryPolicy, backoff_ms

OPENS_AT = 5
"""The circuit opens when this many lanes fail and none succeeds: then the sink is at fault, not one event."""

_ABOUT_THE_EVENT = frozenset({Reason.LIMIT, Reason.INTERNAL, Reason.ENRICHMENT})
"""Reasons that say nothing about the receiver, because nothing was sent."""


@unique
class Standing(StrEnum):
    """Whether a sink takes entries."""

    RUNNING = "running"
    PAUSED = "paused"
    """By an operator."""
    STOPPED = "stopped"
    """By its receiver, which says that it is gone (410)."""


@dataclass(frozen=True, slots=True)
class Condition:
    """The state of a sink. All times are ms since the epoch.

    Attributes:
        standing: whether it takes entries.
        since: since when it takes none, if it takes none.
        why: why it takes none, for people.
        failing: lanes with failed attempts since the last success, up to `OPENS_AT` of them.
        failures: how many attempts failed while the circuit was open.
        limited: how many rate limits followed one another, each after the rest that the previous one asked for.
        rested_at: when its present rest began.
        rest_ms: how long it rests.
        paced_at: when the last attempt began, if the sink has a minimum spacing.
    """

    standing: Standing = Standing.RUNNING
    since: int | None = None
    why: str = ""
    failing: tuple[str, ...] = ()
    failures: int = 0
    limited: int = 0
    rested_at: int | None = None
    rest_ms: int = 0
    paced_at: int | None = None

    @property
    def is_running(self) -> bool:
        """Whether the sink takes entries."""
        return self.standing is Standing.RUNNING

    @property
    def is_open(self) -> bool:
        """Whether the circuit is open: one entry at a time tests whether the receiver answers again."""
        return len(self.failing) >= OPENS_AT

    @property
    def word(self) -> str:
        """The state in one word: one of `WORDS`."""
        return "failing" if self.is_running and self.is_open else self.standing.value

    def to_document(self) -> dict[str, Any]:
        """Return the condition as plain JSON values, for the store."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {**values, "standing": self.standing.value, "failing": list(self.failing)}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Return the condition that `to_document` wrote; members of later versions are ignored."""
        values = {field.name: document[field.name] for field in fields(cls) if field.name in document}
        values["standing"] = Standing(values.get("standing", Standing.RUNNING))
        values["failing"] = tuple(values.get("failing", ()))
        return cls(**values)


RUNNING = Condition()

WORDS = ("running", "failing", "paused", "stopped")
"""The words for a sink's state; *failing* is a running sink whose circuit is open."""


def state_after_attempt(
    condition: Condition, lane: str, outcome: Outcome, attempt: Attempt, policy: RetryPolicy
) -> Condition:
    """Return the state of a sink after an attempt to deliver an entry of ``lane``."""
    if outcome.reason in _ABOUT_THE_EVENT:
        return condition
    if outcome.verdict is not Verdict.RETRYABLE:  # the receiver answered
        return _recovered(condition)
    if outcome.reason is Reason.GONE:
        condition = _stopped(condition, attempt.ended_at, outcome.detail)
    if outcome.reason is Reason.RATE_LIMITED:  # it is available, and says when to try again
        return _limited(condition, outcome, attempt, policy)
    failing = condition.failing
    if lane not in failing and not condition.is_open:
        failing = (*failing, lane)
    failed = replace(condition, failing=failing)
    if not failed.is_open:
        return _rested(failed, attempt.ended_at, outcome.retry_after_ms or 0)
    return _probed(failed, outcome, attempt, policy)


def _probed(condition: Condition, outcome: Outcome, attempt: Attempt, policy: RetryPolicy) -> Condition:
    """Wait longer after every probe; attempts that began before the last probe ended do not count again."""
    if condition.failures and condition.rested_at is not None and attempt.began_at < condition.rested_at:
        return condition
    failures = condition.failures + 1
    rest = max(backoff_ms(failures, attempt.spread, policy), outcome.retry_after_ms or 0)
    return _rested(replace(condition, failures=failures), attempt.ended_at, rest)


def _limited(condition: Condition, outcome: Outcome, attempt: Attempt, policy: RetryPolicy) -> Condition:
    """Rest as long as the receiver asks, and longer if it reports a rate limit again after that."""
    met_anew = not remaining_ms(
        condition, attempt.began_at
    )  # else this is the rate limit that began the rest
    limited = condition.limited + 1 if met_anew else max(condition.limited, 1)
    rest = max(backoff_ms(limited, attempt.spread, policy), outcome.retry_after_ms or 0)
    return _rested(replace(condition, limited=limited), attempt.ended_at, rest)


def _rested(condition: Condition, at: int, rest_ms: int) -> Condition:
    """Let the sink rest, unless it already rests for longer."""
    if rest_ms <= remaining_ms(condition, at):
        return condition
    return replace(condition, rested_at=at, rest_ms=rest_ms)


def _recovered(condition: Condition) -> Condition:
    if condition.is_open:
        return replace(condition, failing=(), failures=0, limited=0, rested_at=None, rest_ms=0)
    return replace(condition, failing=(), limited=0) if condition.failing or condition.limited else condition


def paced(condition: Condition, began_at: int) -> Condition:
    """Record when an attempt began, for the minimum spacing."""
    return replace(condition, paced_at=max(condition.paced_at or 0, began_at))


def remaining_ms(condition: Condition, now_ms: int) -> int:
    """Return how long the sink still rests; never longer than its whole rest."""
    if condition.rested_at is None:
        return 0
    return min(max(condition.rested_at + condition.rest_ms - now_ms, 0), condition.rest_ms)


def shifted(condition: Condition, by_ms: int) -> Condition:
    """Return ``condition`` with its times moved by ``by_ms``, after the wall clock jumped."""
    return replace(
        condition,
        since=_later(condition.since, by_ms),
        rested_at=_later(condition.rested_at, by_ms),
        paced_at=_later(condition.paced_at, by_ms),
    )


def _later(instant: int | None, by_ms: int) -> int | None:
    return None if instant is None else instant + by_ms


def without_future(condition: Condition, now_ms: int) -> Condition:
    """Return ``condition`` without times in the future, after the clock was set back."""
    return replace(
        condition,
        since=_no_later(condition.since, now_ms),
        rested_at=_no_later(condition.rested_at, now_ms),
        paced_at=_no_later(condition.paced_at, now_ms),
    )


def _no_later(instant: int | None, now_ms: int) -> int | None:
    return None if instant is None else min(instant, now_ms)


def _stopped(condition: Condition, now_ms: int, why: str) -> Condition:
    since = now_ms if condition.since is None else condition.since
    return replace(condition, standing=Standing.STOPPED, since=since, why=why)


def paused(condition: Condition, now_ms: int) -> Condition:
    """Return the state of a sink that an operator pauses; a stopped sink stays stopped."""
    if not condition.is_running:
        return condition
    return replace(condition, standing=Standing.PAUSED, since=now_ms, why="paused by an operator")


def resumed(condition: Condition) -> Condition:
    """Return the state of a sink that an operator resumes: it is attempted at once."""
    return replace(RUNNING, paced_at=condition.paced_at)


def stood_still_ms(condition: Condition, first_attempt_at: int, now_ms: int) -> int:
    """Return for how long a sink has taken no entries since an entry's first attempt."""
    if condition.since is None:
        return 0
    return max(0, now_ms - max(condition.since, first_attempt_at))
