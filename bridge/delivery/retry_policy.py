"""The retry policy: what an outcome does to its entry, as data and pure functions."""

from dataclasses import dataclass, replace

from bridge.delivery.attempt_outcome import Outcome, Reason, Verdict
from bridge.delivery.outbox_entry import Entry, Status
from bridge.events.display_text import count

_DETAIL_LIMIT = 500
_LINK_LIMIT = 500
_AGAIN = "\x1fagain"
"""A suffix that no lane of a model has, unless a name contains a control character."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When attempts are repeated; all values in ms.

    The wait before attempt n + 1 is random, between zero and ``min(cap, first * 2**(n-1))``: exponential
    backoff with full jitter, which spreads many clients best (Brooker, *Exponential Backoff And Jitter*, AWS
    Architecture Blog, 2015).
    """

    first_ms: int = 2_000
    cap_ms: int = 600_000
    max_age_ms: int = 72 * 3_600_000


@dataclass(frozen=True, slots=True)
class Attempt:
    """When one attempt began and ended, in ms since the epoch, and how its retry is chosen.

    ``spread`` is a random number in [0, 1) that spreads retries. ``may_expire`` is False while the clock
    cannot be trusted.
    """

    began_at: int
    ended_at: int
    spread: float
    may_expire: bool = True


def settle(entry: Entry, outcome: Outcome, attempt: Attempt, policy: RetryPolicy) -> Entry:
    """Return ``entry`` as it is after an attempt with this outcome."""
    settled = replace(
        entry,
        attempts=entry.attempts + 1,
        first_attempt_at=attempt.began_at if entry.first_attempt_at is None else entry.first_attempt_at,
        last_attempt_at=attempt.ended_at,
        wait_ms=0,
        reason=outcome.reason.value,
        http_status=outcome.status,
        detail=outcome.detail[:_DETAIL_LIMIT],
        duration_ms=max(0, attempt.ended_at - attempt.began_at),
        link=outcome.link[:_LINK_LIMIT],
    )
    if outcome.verdict is Verdict.DELIVERED:
        return replace(settled, status=Status.DELIVERED)
    if outcome.verdict is Verdict.REJECTED:
        return replace(settled, status=Status.DEAD)
    if attempt.may_expire and _is_too_old(settled, attempt.ended_at, policy):
        return _expired(settled)
    return replace(settled, wait_ms=wait_ms(settled.attempts, outcome, attempt.spread, policy))


def wait_ms(attempts: int, outcome: Outcome, spread: float, policy: RetryPolicy) -> int:
    """Return how long to wait after attempt number ``attempts``; the receiver's Retry-After is the minimum."""
    return max(backoff_ms(attempts, spread, policy), outcome.retry_after_ms or 0)


def backoff_ms(failures: int, spread: float, policy: RetryPolicy) -> int:
    """Return how long to wait after this number of ``failures``, at least one."""
    return int(min(policy.cap_ms, policy.first_ms * 2 ** min(failures - 1, 32)) * spread)


def _is_too_old(entry: Entry, now_ms: int, policy: RetryPolicy) -> bool:
    """Whether `max_age` passed since the first attempt, not counting the time when its sink took no entries."""
    if entry.first_attempt_at is None:
        return False
    return now_ms - entry.first_attempt_at - entry.stood_still_ms > policy.max_age_ms


def _expired(entry: Entry) -> Entry:
    """Return an entry that is too old as dead. This is called only right after a last attempt."""
    detail = f"gave up after {count(entry.attempts, 'attempt')}; the last: {entry.detail or entry.reason}"
    return replace(entry, status=Status.DEAD, reason=Reason.EXPIRED.value, detail=detail[:_DETAIL_LIMIT])


def redriven(entry: Entry) -> Entry:
    """Return a dead entry as pending, to be attempted at once, outside the order of its lane.

    Its attempts stay on record; `max_age` counts from the next attempt.
    """
    return replace(
        entry,
        status=Status.PENDING,
        lane=outside_order(entry.lane),
        first_attempt_at=None,
        wait_ms=0,
        stood_still_ms=0,
    )


def outside_order(lane: str) -> str:
    """Return the lane for resent entries of ``lane``: they are ordered among themselves, beside that lane."""
    return lane if lane.endswith(_AGAIN) else lane + _AGAIN


def bury_orphan(entry: Entry) -> Entry:
    """Return an entry as dead because its sink is no longer configured."""
    return _orphaned(entry, f"the sink {entry.sink!r} is no longer configured")


def bury_of_webhook(entry: Entry) -> Entry:
    """Return an entry as dead because its webhook is deleted."""
    return _orphaned(entry, "its webhook was deleted")


def _orphaned(entry: Entry, why: str) -> Entry:
    last = f"; the last attempt: {entry.detail or entry.reason}" if entry.attempts else ""
    detail = f"{why}{last}"
    return replace(entry, status=Status.DEAD, reason=Reason.ORPHANED.value, detail=detail[:_DETAIL_LIMIT])
