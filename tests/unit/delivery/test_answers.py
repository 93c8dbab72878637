"""What HTTP answers mean."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.delivery.answers import interpret, retry_after_ms
from bridge.delivery.outcome import Reason, Verdict

NOW = 1_700_000_000_000
TABLE = {
    **dict.fromkeys([200, 201, 202, 204, 299], (Verdict.DELIVERED, Reason.OK)),
    **dict.fromkeys([408, 425, 429], (Verdict.RETRYABLE, Reason.RATE_LIMITED)),
    **dict.fromkeys([500, 502, 503, 504, 599, 100, 999], (Verdict.RETRYABLE, Reason.SERVER_ERROR)),
    **dict.fromkeys([300, 301, 302, 303, 304, 307, 308], (Verdict.RETRYABLE, Reason.MISCONFIGURED)),
    **dict.fromkeys([401, 403, 404, 407, 409, 423], (Verdict.RETRYABLE, Reason.MISCONFIGURED)),
    410: (Verdict.RETRYABLE, Reason.GONE),
    **dict.fromkeys([400, 402, 405, 406, 411, 413, 415, 418, 422, 451], (Verdict.REJECTED, Reason.REFUSED)),
}


@pytest.mark.parametrize(("status", "expected"), TABLE.items())
def test_the_table_of_the_contract(status, expected) -> None:
    outcome = interpret(status, {}, NOW)

    assert (outcome.verdict, outcome.reason) == expected
    assert outcome.status == status


@given(st.integers(100, 999), st.dictionaries(st.sampled_from(["retry-after", "location"]), st.text()))
def test_every_answer_means_something(status, headers) -> None:
    outcome = interpret(status, headers, NOW)

    assert outcome.retry_after_ms is None or 0 <= outcome.retry_after_ms <= 86_400_000


def test_a_redirect_names_where_to_and_keeps_what_may_be_secret() -> None:
    outcome = interpret(302, {"location": "https://user:pw@new.example.com:8443/T0KEN?k=v"}, NOW)

    assert "https://new.example.com:8443)" in outcome.detail
    assert not any(secret in outcome.detail for secret in ("T0KEN", "pw", "k=v"))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("120", 120_000),
        ("0", 0),
        (" 5 ", 5_000),
        ("Tue, 14 Nov 2023 22:14:20 GMT", 60_000),
        ("Tue, 14 Nov 2023 22:13:00 GMT", 0),
        ("Tue, 14 Nov 2999 22:13:00 GMT", 86_400_000),
        ("99999999999999", 86_400_000),
        ("-5", None),
        ("soon", None),
        ("", None),
        ("1.5", None),
        ("٣", None),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_bounded(value, expected) -> None:
    assert retry_after_ms({"retry-after": value}, NOW) == expected


def test_without_the_header_nothing_was_asked() -> None:
    assert retry_after_ms({}, NOW) is None


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"ratelimit-reset": "30"}, 30_000),
        ({"x-ratelimit-reset": "0"}, 1_000),
        ({"x-ratelimit-reset": str(NOW // 1000 + 90)}, 90_000 - NOW % 1000),
        ({"x-ratelimit-reset": str(NOW // 1000 - 90)}, 1_000),
        ({"x-ratelimit-reset": "9" * 40}, 3_600_000),
        ({"retry-after": "5", "x-ratelimit-reset": "60"}, 5_000),
        ({"x-ratelimit-reset": "soon"}, None),
    ],
)
def test_other_ways_to_name_the_end_of_a_rate_limit_are_understood(headers, wait) -> None:
    assert interpret(429, headers, NOW).retry_after_ms == wait
