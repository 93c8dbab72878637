"""How a sink as a whole stands, and when it may be attempted."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.delivery.attempt_outcome import Reason, delivered, rejected, retryable
from bridge.delivery.retry_policy import Attempt, RetryPolicy
from bridge.delivery.sending_rate_limit import SendingRateLimits, Terms
from bridge.delivery.sink_state import (
    OPENS_AT,
    RUNNING,
    Condition,
    Standing,
    paced,
    paused,
    remaining_ms,
    resumed,
    state_after_attempt,
    stood_still_ms,
    without_future,
)

POLICY = RetryPolicy(first_ms=1_000, cap_ms=60_000)
DOWN = retryable(Reason.CONNECT, "down")


def attempted(condition: Condition, outcome, lane: str = "a", at: int = 10_000, spread: float = 0.5):
    return state_after_attempt(condition, lane, outcome, Attempt(at, at, spread), POLICY)


def failing(lanes: int = OPENS_AT) -> Condition:
    condition = RUNNING
    for number in range(lanes):
        condition = attempted(condition, DOWN, f"lane-{number}")
    return condition


def test_a_sink_that_works_has_nothing_written_down() -> None:
    assert attempted(RUNNING, delivered(204)) is RUNNING


def test_one_lane_that_fails_for_ever_opens_no_circuit() -> None:
    condition = RUNNING
    for _ in range(50):
        condition = attempted(condition, DOWN)

    assert not condition.is_open
    assert remaining_ms(condition, 10_000) == 0


def test_several_lanes_that_fail_in_a_row_open_the_circuit() -> None:
    assert not failing(OPENS_AT - 1).is_open
    assert failing().is_open


def test_one_that_gets_through_closes_it_and_clears_its_rest() -> None:
    assert attempted(failing(), delivered(200)) == RUNNING
    assert attempted(failing(), rejected(Reason.REFUSED, "no", 400)) == RUNNING
    assert attempted(failing(2), delivered(200)) == RUNNING


@pytest.mark.parametrize("reason", [Reason.LIMIT, Reason.INTERNAL])
def test_what_was_never_sent_says_nothing_of_the_sink(reason) -> None:
    assert attempted(failing(4), retryable(reason), "another") == failing(4)


def test_probes_come_further_and_further_apart_up_to_the_cap() -> None:
    condition, rests, now = failing(), [], 10_000
    for _ in range(10):
        now += remaining_ms(condition, now)
        condition = attempted(condition, DOWN, "probe", now, spread=0.999)
        rests.append(remaining_ms(condition, now))

    assert rests[:4] == [1_998, 3_996, 7_992, 15_984]
    assert rests[-1] == 59_940


def test_attempts_that_were_under_way_when_it_opened_count_once() -> None:
    condition = failing()
    late = state_after_attempt(condition, "x", DOWN, Attempt(9_000, 10_500, 0.5), POLICY)

    assert late == condition


def test_a_receiver_that_names_a_time_is_left_alone_by_all_lanes_and_opens_no_circuit() -> None:
    condition = RUNNING
    for number in range(20):
        condition = attempted(
            condition, retryable(Reason.RATE_LIMITED, "HTTP 429", 429, 30_000), f"lane-{number}"
        )

    assert not condition.is_open
    assert (remaining_ms(condition, 10_000), remaining_ms(condition, 39_999)) == (30_000, 1)
    assert remaining_ms(attempted(condition, delivered(204)), 10_000) == 30_000


def test_a_rate_limit_that_stays_is_asked_about_less_and_less_often_until_something_gets_through() -> None:
    limited = retryable(Reason.RATE_LIMITED, "HTTP 429", 429, 4_000)
    condition, at, rests = RUNNING, 10_000, []
    for _ in range(8):
        condition = attempted(condition, limited, at=at)
        rests.append(remaining_ms(condition, at))
        at += rests[-1]

    assert rests == [4_000, 4_000, 4_000, 4_000, 8_000, 16_000, 30_000, 30_000]
    condition = attempted(condition, delivered(204), at=at)
    assert remaining_ms(attempted(condition, limited, at=at), at) == 4_000


def test_attempts_that_were_under_way_together_meet_one_rate_limit() -> None:
    limited = retryable(Reason.RATE_LIMITED, "HTTP 429", 429, 4_000)
    condition = RUNNING
    for number in range(16):
        condition = state_after_attempt(
            condition, f"lane-{number}", limited, Attempt(9_000, 10_000 + number, 0.5), POLICY
        )

    assert (condition.limited, remaining_ms(condition, 10_015)) == (1, 4_000)


def test_a_longer_rest_is_not_cut_short_by_a_shorter_one() -> None:
    long = attempted(RUNNING, retryable(Reason.RATE_LIMITED, "", 429, 30_000))

    assert attempted(long, retryable(Reason.RATE_LIMITED, "", 429, 1_000)) == long


def test_a_receiver_that_is_gone_stops_its_sink_until_it_is_resumed() -> None:
    gone = attempted(failing(), retryable(Reason.GONE, "HTTP 410", 410))

    assert (gone.standing, gone.since, gone.why) == (Standing.STOPPED, 10_000, "HTTP 410")
    assert attempted(gone, delivered(204)).standing is Standing.STOPPED
    assert paused(gone, 99_999) == gone
    assert resumed(gone) == RUNNING


def test_a_paused_sink_counts_since_when() -> None:
    condition = paused(RUNNING, 5_000)

    assert (condition.standing, condition.since) == (Standing.PAUSED, 5_000)
    assert paused(condition, 9_000) == condition
    assert stood_still_ms(condition, 1_000, 9_000) == 4_000
    assert stood_still_ms(condition, 6_000, 9_000) == 3_000
    assert stood_still_ms(RUNNING, 6_000, 9_000) == 0


def test_nothing_in_it_stays_in_the_future_when_the_clock_is_set_back() -> None:
    condition = replace(failing(), since=10_000, paced_at=10_000)

    assert remaining_ms(condition, -(10**12)) == condition.rest_ms
    assert without_future(condition, 5) == replace(condition, since=5, rested_at=5, paced_at=5)
    assert without_future(condition, 10_000) == condition


CONDITIONS = st.builds(
    Condition,
    st.sampled_from(Standing),
    st.none() | st.integers(0, 10**13),
    st.text(max_size=20),
    st.lists(st.text(max_size=5), max_size=OPENS_AT, unique=True).map(tuple),
    st.integers(0, 100),
    st.none() | st.integers(0, 10**13),
    st.integers(0, 10**7),
    st.none() | st.integers(0, 10**13),
)


@given(CONDITIONS)
def test_what_is_stored_is_what_it_was(condition) -> None:
    assert Condition.from_document({**condition.to_document(), "later": 1}) == condition


def gates(condition: Condition = RUNNING, **terms) -> SendingRateLimits:
    made = SendingRateLimits({"ci": Terms(**terms)})
    made.put("ci", condition, 100.0, 10_000)
    return made


def test_an_open_circuit_lets_one_probe_pass_when_its_time_has_come() -> None:
    gate = gates(failing())

    assert (gate.limit_of("ci"), gates().limit_of("ci")) == (1, 16)
    assert gate.opens_at("ci") == pytest.approx(100.5)


def test_nothing_passes_where_a_sink_is_paused_or_stopped() -> None:
    assert gates(paused(RUNNING, 0)).limit_of("ci") == 0
    assert gates(attempted(RUNNING, retryable(Reason.GONE))).limit_of("ci") == 0


def test_a_pace_is_kept_over_restarts_and_whatever_is_settled_meanwhile() -> None:
    gate = gates(paced(RUNNING, 9_500), spacing_ms=2_000)
    assert gate.opens_at("ci") == pytest.approx(101.5)

    gate.passed("ci", 101.5)
    gate.put("ci", paced(RUNNING, 9_500), 101.6, 11_600)
    assert gate.opens_at("ci") == pytest.approx(103.5)


def test_a_pace_that_begins_in_the_future_is_one_spacing_at_most() -> None:
    assert gates(paced(RUNNING, 10**12), spacing_ms=2_000).opens_at("ci") == pytest.approx(102.0)
