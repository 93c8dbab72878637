"""What becomes of an entry after an attempt."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.values import entry

from bridge.delivery.attempt_outcome import Reason, delivered, rejected, retryable
from bridge.delivery.outbox_entry import Entry, Status, remaining_ms
from bridge.delivery.retry_policy import Attempt, RetryPolicy, bury_orphan, redriven, settle, wait_ms

POLICY = RetryPolicy(first_ms=1_000, cap_ms=60_000, max_age_ms=100_000)
REFUSED = retryable(Reason.CONNECT, "refused")


def after(outcome, at: int = 10_000, spread: float = 0.0, *, of: Entry | None = None, **options) -> Entry:
    return settle(of or entry(), outcome, Attempt(at - 5, at, spread, **options), POLICY)


def test_a_delivered_entry_is_done() -> None:
    settled = after(delivered(204))

    assert (settled.status, settled.attempts, settled.http_status) == (Status.DELIVERED, 1, 204)
    assert (settled.first_attempt_at, settled.last_attempt_at) == (9_995, 10_000)


def test_where_the_receiver_shows_what_it_made_of_an_event_is_kept() -> None:
    settled = after(delivered(200, "https://ci/runs/7"))

    assert settled.link == "https://ci/runs/7"
    assert Entry.from_document(settled.to_document()) == settled
    assert "link" not in after(delivered(204)).to_document()
    assert len(after(delivered(200, "https://ci/" + "x" * 1_000)).link) == 500


def test_a_rejected_entry_is_dead_at_once() -> None:
    settled = after(rejected(Reason.REFUSED, "HTTP 400", 400))

    assert (settled.status, settled.reason, settled.detail) == (Status.DEAD, "refused", "HTTP 400")


def test_a_retryable_entry_waits_and_keeps_its_first_attempt() -> None:
    settled = after(REFUSED, at=20_000, spread=0.5, of=after(REFUSED))

    assert (settled.status, settled.attempts) == (Status.PENDING, 2)
    assert (settled.first_attempt_at, settled.last_attempt_at, settled.wait_ms) == (9_995, 20_000, 1_000)


def test_an_entry_is_dead_after_its_max_age_and_never_without_one_more_attempt() -> None:
    old = after(REFUSED)

    young = after(REFUSED, at=9_995 + 100_000, of=old)
    expired = after(REFUSED, at=9_995 + 100_001, of=old)

    assert (young.status, expired.status, expired.reason) == (Status.PENDING, Status.DEAD, "expired")
    assert expired.detail == "gave up after 2 attempts; the last: refused"


def test_while_its_sink_takes_nothing_an_entry_does_not_grow_older() -> None:
    old = replace(after(REFUSED), stood_still_ms=900_000)

    assert after(REFUSED, at=9_995 + 1_000_000, of=old).status is Status.PENDING
    assert after(REFUSED, at=9_995 + 1_000_001, of=old).status is Status.DEAD


def test_a_redriven_entry_begins_anew_outside_the_order_and_keeps_count() -> None:
    dead = after(rejected(Reason.REFUSED, "HTTP 400", 400))

    again = redriven(dead)

    assert (again.status, again.id, again.event_id, again.attempts) == (Status.PENDING, 1, dead.event_id, 1)
    assert (again.first_attempt_at, remaining_ms(again, 0)) == (None, 0)
    assert again.lane != dead.lane
    assert redriven(replace(again, status=Status.DEAD)).lane == again.lane


def test_a_late_success_is_a_success() -> None:
    assert after(delivered(200), at=10**9, of=after(REFUSED)).status is Status.DELIVERED


def test_nothing_expires_while_the_clock_cannot_be_trusted() -> None:
    assert after(REFUSED, at=10**12, of=after(REFUSED), may_expire=False).status is Status.PENDING


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_waits_double_up_to_the_cap_within_their_spread(attempts, spread) -> None:
    ceiling = min(60_000, 1_000 * 2 ** min(attempts - 1, 40))

    assert wait_ms(attempts, REFUSED, spread, POLICY) == int(ceiling * spread)


def test_a_receiver_wish_is_a_minimum() -> None:
    limited = retryable(Reason.RATE_LIMITED, retry_after_ms=90_000)

    assert wait_ms(1, limited, 0.5, POLICY) == 90_000


@given(st.integers(-(10**13), 10**13), st.integers(0, 10**9), st.integers(0, 10**13))
def test_no_clock_makes_an_entry_wait_longer_than_it_was_told_to(last, wait, now) -> None:
    assert 0 <= remaining_ms(entry(last_attempt_at=last, wait_ms=wait), now) <= wait


def test_an_entry_never_attempted_is_due() -> None:
    assert remaining_ms(entry(), 0) == 0


def test_an_orphan_is_buried_with_its_reason() -> None:
    dead = bury_orphan(entry(sink="old"))

    assert (dead.status, dead.reason) == (Status.DEAD, "orphaned")
    assert "'old' is no longer configured" in dead.detail


@pytest.mark.parametrize("attempts", [0, 3])
def test_an_entry_survives_its_document(attempts) -> None:
    original = entry(attempts=attempts, status=Status.DEAD)

    assert Entry.from_document({**original.to_document(), "later": 1}) == original


def test_a_long_detail_is_cut() -> None:
    assert len(after(retryable(Reason.CONNECT, "x" * 5_000)).detail) == 500
