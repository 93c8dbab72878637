"""What becomes of an entry after an attempt: the retry policy, as data and pure functions."""

from dataclasses import dataclass, replace

from bridge.delivery.entry import Entry, Status
from bridge.delivery.outcome import Outcome, Reason, Verdict

_DETAIL_LIMIT = 500


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How attempts are repeated: all in ms.

    The wait before attempt n + 1 is drawn evenly from the upper half of
    ``min(cap, first * 2**(n-1))``: apart enough to spread a herd, and never at once.
    """

    first_ms: int = 2_000
    cap_ms: int = 600_000
    max_age_ms: int = 72 * 3_600_000


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt's frame: when it began and ended, in ms since the epoch.

    ``spread`` is a random number in [0, 1) that spreads retries. ``may_expire`` is off while
    the clock cannot be trusted.
    """

    began_at: int
    ended_at: int
    spread: float
    may_expire: bool = True


def settle(entry: Entry, outcome: Outcome, attempt: Attempt, policy: RetryPolicy) -> Entry:
    """Return ``entry`` as it stands after an attempt with this outcome."""
    settled = replace(
        entry,
        attempts=entry.attempts + 1,
        first_attempt_at=attempt.began_at if entry.first_attempt_at is None else entry.first_attempt_at,
        last_attempt_at=attempt.ended_at,
        wait_ms=0,
        reason=outcome.reason.value,
        http_status=outcome.status,
        detail=outcome.detail[:_DETAIL_LIMIT],
    )
    if outcome.verdict is Verdict.DELIVERED:
        return replace(settled, status=Status.DELIVERED)
    if outcome.verdict is Verdict.REJECTED:
        return replace(settled, status=Status.DEAD)
    if attempt.may_expire and _is_too_old(settled, attempt.ended_at, policy):
        return _expired(settled)
    return replace(settled, wait_ms=wait_ms(settled.attempts, outcome, attempt.spread, policy))


def wait_ms(attempts: int, outcome: Outcome, spread: float, policy: RetryPolicy) -> int:
    """Return how long to wait after attempt number ``attempts``; a receiver's wish is a minimum."""
    ceiling = min(policy.cap_ms, policy.first_ms * 2 ** min(attempts - 1, 32))
    backoff = int(ceiling * (1 + spread) / 2)
    return max(backoff, outcome.retry_after_ms or 0)


def _is_too_old(entry: Entry, now_ms: int, policy: RetryPolicy) -> bool:
    return entry.first_attempt_at is not None and now_ms - entry.first_attempt_at > policy.max_age_ms


def _expired(entry: Entry) -> Entry:
    """An entry dies of age only here, right after an attempt: never without a last one."""
    detail = f"gave up after {entry.attempts} attempts; the last: {entry.detail or entry.reason}"
    return replace(entry, status=Status.DEAD, reason=Reason.EXPIRED.value, detail=detail[:_DETAIL_LIMIT])


def bury_orphan(entry: Entry) -> Entry:
    """Return an orphaned entry as dead."""
    detail = f"the sink {entry.sink!r} is no longer configured"
    return replace(entry, status=Status.DEAD, reason=Reason.ORPHANED.value, detail=detail)
